"""A disk that takes nothing: what is shown gets old, and this says so (edge).

Nothing is shown before it is durable. So while a commit hangs, the value that faces look at stands still, with peers as
alive as they were, and nothing that happens can correct it. What can be said without the disk is that it hangs, and
whether for want of room: in what is shown, once a second, until a commit ends and the truth takes its place. What is on
its way to the disk cannot be taken back; whoever waits for a message to be accepted is told that nobody knows yet.
"""

import asyncio
from collections.abc import Callable

import msgspec

from engine.errors import Fault, FleetError
from engine.model.event import Event, Noticed
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.state import Fleet

# A commit takes milliseconds, on a slow disk half a second. Of a disk that is full nobody has to wait for more.
STALLED_S = 5.0
AGAIN_S = 1.0
# Whoever waits for a message to be accepted is not left without a word for longer.
UNKNOWN_S = 10.0
CODE, FULL, UNKNOWN = "store.stalled", "store.full", "store.unknown"
_SEE = "free some space on the disk of the data directory, or look why it hangs (`dmesg`)"


class Stall:
    """Whether commits end. `say` is called with each new word on what is shown, `publish` when that begins and ends,
    `unknown` once a second while nobody knows what will be accepted. `full`: whether the disk is, as heard last."""

    def __init__(
        self,
        now: Callable[[], Moment],
        say: Callable[[Callable[[Fleet], Fleet]], None],
        publish: Callable[[Event], None],
        full: Callable[[], bool],
        unknown: Callable[[FleetError], None],
    ):
        self._now, self._say, self._publish = now, say, publish
        self._full, self._unknown = full, unknown
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told = ""

    def waits(self) -> None:
        """Something waits for the disk."""
        if self._since is None:
            self._since = self._now().mono
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._look)

    def moved(self) -> None:
        """A commit has ended."""
        self._since = None
        self._tell("")

    def stop(self) -> None:
        """No more words."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        now = self._now()
        waited_s, full = now.mono - self._since, self._full()
        if waited_s >= (AGAIN_S if full else STALLED_S):
            word = no_room if full else stalled
            self._tell(FULL if full else CODE)
            self._say(lambda shown: word(shown, waited_s, now))
        if waited_s >= UNKNOWN_S:
            self._unknown(unknown(waited_s))
        self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._look)

    def _tell(self, code: str) -> None:
        """That a disk is not full any more is told in its turn, by whoever hears it."""
        before, self._told = self._told, code
        if before == CODE != code:
            self._publish(Noticed(CODE, "", present=False))
        if code and code != before:
            self._publish(Noticed(code, "", present=True))


def stalled(shown: Fleet, waited_s: float, now: Moment) -> Fleet:
    """What is shown, with the word that it is as old as the oldest commit that waits."""
    finding = Finding(
        CODE,
        "Nothing can be written",
        Severity.CRITICAL,
        _age(waited_s),
        next_step=_SEE,
        depends_on=(FULL,),
        at_ms=now.wall_ms - round(waited_s * 1000),
    )
    return msgspec.structs.replace(shown, findings=shown.findings.set((CODE, ""), finding))


def no_room(shown: Fleet, waited_s: float, now: Moment) -> Fleet:
    """What is shown, with the word that it is as old, for the disk is full and what was kept back is used up."""
    finding = Finding(
        FULL,
        "The disk is full",
        Severity.CRITICAL,
        f"new messages are refused, and there is no room to settle those under way: {_age(waited_s)}",
        next_step="free some space; sending resumes by itself",
        at_ms=now.wall_ms - round(waited_s * 1000),
    )
    findings = shown.findings.delete((CODE, "")) if (CODE, "") in shown.findings else shown.findings
    mail = msgspec.structs.replace(shown.mail, full=True)
    return msgspec.structs.replace(shown, mail=mail, findings=findings.set((FULL, ""), finding))


def unknown(waited_s: float) -> FleetError:
    """What is on its way to the disk will be kept, or not."""
    return FleetError(
        UNKNOWN,
        "Not known yet whether it is accepted",
        f"nothing could be written for {waited_s:.0f} s; it may still be accepted as soon as something can",
        _SEE,
        Fault.WORLD,
    )


def _age(waited_s: float) -> str:
    return f"no commit has ended for {waited_s:.0f} s; what is shown of this node and its peers is as old"
