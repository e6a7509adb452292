"""What the faces show of mail: lines of the log, letters of the inbox, the story of one message.

Their field names are the JSON shapes others rely on (`fleet send`, `messages`, `inbox`, `why`, `invite`).
"""

from collections.abc import Iterable, Sequence
from math import inf

import msgspec

from engine.model.channel import Channel, Verdict
from engine.model.envelope import Kind, Rung
from engine.model.hop import TEXT_ONLY
from engine.model.mail import Number


class TryLine(msgspec.Struct, frozen=True):
    """One try of a message: the channel, how it ended (`Verdict`, `overtaken`, or `flying`), the milliseconds it took,
    and why. `at`: when it ended, or began if it still flies (wall milliseconds; 0: unknown)."""

    channel: Channel
    outcome: str
    ms: float
    note: str = ""
    at: int = 0

    @property
    def told(self) -> tuple[Channel, str, str]:
        """What it says, whenever it was."""
        return self.channel, self.outcome, self.note

    @property
    def keeper(self) -> str:
        """Which relay took it, by the name in its own word; empty where none did."""
        took = self.channel is Channel.RELAY and self.outcome == Verdict.LANDED and self.note.startswith(_BY_RELAY)
        return self.note.removeprefix(_BY_RELAY).partition(":")[0] if took else ""

    @property
    def began(self) -> float:
        """When it began. What was typed there came after every try that could have brought it."""
        if not self.at or self.channel is Channel.TEXT:
            return inf
        return self.at if self.outcome == FLYING else self.at - self.ms


_BY_RELAY = "relay "


def relayed(relay: str, word: str) -> str:
    """What is noted of a try over a relay: who that was, and what it said. Stores hold it in this form, and `keeper`
    reads it."""
    return f"{_BY_RELAY}{relay}: {word}"


# How a try that is under way is told; and one during which its message was proved, whose own end nobody heard.
FLYING, OVERTAKEN = "flying", "overtaken"
# Moments are kept in whole milliseconds: what is closer together than this has no order of its own.
ROUNDED_MS = 1.0


def beside(one: TryLine, other: TryLine) -> bool:
    """Whether this try was still under way when that one began: neither stepped in for the other."""
    ends = inf if one.outcome == FLYING else one.at - ROUNDED_MS
    return bool(one.at) and other.began < ends


def proving(tries: Sequence[TryLine], channel: Channel | None) -> TryLine | None:
    """The try over the channel that proved the message, where it is not plain: several were answered."""
    answered = [one for one in tries if one.outcome == Verdict.CONFIRMED]
    return next((one for one in answered if one.channel is channel), None) if len(answered) > 1 else None


def in_order(tries: Iterable[TryLine]) -> tuple[TryLine, ...]:
    """Tries in the order in which they began."""
    found: list[TryLine] = []
    for one in tries:
        at = len(found)
        while at and one.began < found[at - 1].began - ROUNDED_MS:
            at -= 1
        found.insert(at, one)
    return tuple(found)


def as_ended(tries: Iterable[TryLine]) -> tuple[TryLine, ...]:
    """Tries as they are kept, in order; without those that were overtaken and of which the end was heard after all."""
    found: list[TryLine] = []
    for one in map(_closed, tries):
        told = next((line for line in found if line.outcome == OVERTAKEN and line.channel is one.channel), None)
        if told and one.outcome != OVERTAKEN:
            found.remove(told)
        found.append(one)
    carried = [one for one in found if one.channel is not Channel.TEXT]
    # Words on what was typed are the peer's, by its clock, and come as they come.
    typed = sorted((one for one in found if one.channel is Channel.TEXT), key=lambda one: one.ms)
    ends = [one.at for one in carried]
    # They came in the order of their ends: where the clock has them otherwise it was set meanwhile, and proves nothing.
    return (*(in_order(carried) if ends == sorted(ends) else carried), *typed)


def _closed(one: TryLine) -> TryLine:
    """What older stores hold as flying was overtaken: it was written when the receipt came, with its beginning."""
    if one.outcome != FLYING:
        return one
    return msgspec.structs.replace(one, outcome=OVERTAKEN, at=one.at and one.at + round(one.ms))


class Story(msgspec.Struct, frozen=True):
    """A message of ours: where it is on the ladder, over which channel that was proved, what was tried. `to`: the
    name. `reason`: why it is not further. `at`, `expires_at`: wall milliseconds (0: never). `story`: one sentence.
    `session`: the one it names there. `group`: what it was sent together with. `waits`: half a sentence on why it is
    not on its host yet and what becomes of it; empty where it is settled."""

    id: str
    to: str
    kind: Kind
    rung: Rung
    channel: Channel | None
    tries: tuple[TryLine, ...]
    reason: str = ""
    at: int = 0
    expires_at: int = 0
    story: str = ""
    session: str = ""
    group: str = ""
    waits: str = ""


class Group(msgspec.Struct, frozen=True):
    """One message to several: each copy's story. `story`: one sentence on all."""

    group: str
    messages: tuple[Story, ...]
    story: str = ""


class Line(msgspec.Struct, frozen=True):
    """One row of the log. `dir`: `out` or `in`. `peer`: name. `channel`: the one that proved the rung, or brought it.
    `path`: the tries of an outgoing message, in order, without notes."""

    id: str
    dir: str
    peer: str
    kind: Kind
    rung: Rung
    channel: Channel | None
    at: int
    reason: str = ""
    path: tuple[TryLine, ...] = ()


class Arrival(Line, frozen=True):
    """A message that came, told: its row of the log. `story`: one sentence."""

    story: str = ""


def arrived(line: Line) -> str:
    """The sentence on a message that came."""
    return (
        f"{line.peer} sent it{f' over {line.channel}' if line.channel else ''}, and it is in this node's inbox, once."
    )


# No letter has this id, so every one comes after it.
BEFORE_ALL = "0"


class Letter(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A message for us, with its body."""

    id: str
    sender: str
    kind: Kind
    body: str
    at: int


class Unread(msgspec.Struct, frozen=True):
    """A letter a session has not read yet. `row`: its place in the inbox, `state`: of its last hop."""

    row: int
    letter: Letter
    thread: str
    state: str = ""

    @property
    def text_only(self) -> bool:
        """Whether it is to be typed and to come no other way."""
        return self.thread.startswith(TEXT_ONLY)


class SessionMail(msgspec.Struct, frozen=True):
    """What waits for a session. `row`: what to say once it was handed over, `left`: so many more wait. `text`: the
    letters as its agent is to read them. `known`: something came for it once, or it may be typed into."""

    session: str
    row: int
    letters: tuple[Letter, ...]
    left: int
    text: str = ""
    known: bool = True


class SeatLine(msgspec.Struct, frozen=True):
    """A session that may be typed into. `state`: idle, busy, asking, half_typed or unknown; `why`: why nothing can be
    typed now. `waiting`: at least so many messages are to be typed. `typed_ms`: when something last was (0: never)."""

    session: str
    kind: str
    pane: str
    socket: str
    state: str
    why: str
    waiting: int
    typed_ms: int


class Query(msgspec.Struct, frozen=True):
    """Which lines: newest first, at most `limit`, older than row `before` (0: from the newest), filtered by peer id,
    kind, direction and rung where given; `text` matches peer name, kind, rung, channel or id."""

    before: Number = 0
    limit: int = 100
    peer: str = ""
    kind: str = ""
    dir: str = ""
    rung: str = ""
    text: str = ""


class Page(msgspec.Struct, frozen=True):
    """Lines, newest first, each with its row number; `total` matches in all; `next` is the `before` of the next page
    (0: this was the last)."""

    lines: tuple[Line, ...]
    rows: tuple[int, ...]
    total: int
    next: int


class Letters(msgspec.Struct, frozen=True):
    """A page of the inbox, oldest first. `more`: there are further ones in the direction that was asked for."""

    letters: tuple[Letter, ...]
    more: bool


# What is asked for a page at a time ends here, whatever its number of rows: a node holds the whole answer in memory.
PAGE_BYTES = 4 << 20


def fitting(sizes: Iterable[int], room: int = PAGE_BYTES) -> int:
    """How many of these, in their order, fit on one page; at least the first, so that whoever goes on gets on."""
    count = 0
    for size in sizes:
        room -= size
        if room < 0 and count:
            break
        count += 1
    return count


class Left(msgspec.Struct, frozen=True):
    """How this node left the fleet `fleet`, in which it was called `name`. `given_up`: messages of people that waited.
    `untold`: the admin that has not confirmed the goodbye; empty where one did, or nobody would take it. `story`: the
    sentences."""

    fleet: str
    name: str
    given_up: int
    untold: str
    story: str = ""


class Invite(msgspec.Struct, frozen=True):
    """A single-use code and its end in wall milliseconds."""

    code: str
    expires_at: int
