"""What happens on the last hop, into a session."""

import msgspec

from engine.model.hop import Addressee, Hop, HopState
from engine.model.packets import Climb


class Addressed(msgspec.Struct, frozen=True):
    """Letters that name a session are in the inbox."""

    letters: tuple[Addressee, ...]


class Climbed(msgspec.Struct, frozen=True):
    """A peer says what became of messages of ours in its sessions."""

    frm: str
    climbs: tuple[Climb, ...]


class Seated(msgspec.Struct, frozen=True):
    """These sessions let themselves be typed into, and no others."""

    sessions: tuple[str, ...]


class Glimpsed(msgspec.Struct, frozen=True):
    """What a session's terminal shows now. `why`: why nothing can be typed into it (empty: it can)."""

    session: str
    state: str
    why: str = ""


class HopsLoaded(msgspec.Struct, frozen=True):
    """The oldest open hops of a session, as they were when `turn` was its last, and when it was last typed into."""

    session: str
    turn: int
    hops: tuple[Hop, ...]
    typed_ms: int


class Typed(msgspec.Struct, frozen=True):
    """How typing a message went so far. `over`: no more will be heard of it. `screen`, `why`: what its terminal shows
    now."""

    session: str
    hop: Hop
    state: HopState
    reason: str = ""
    over: bool = True
    screen: str = ""
    why: str = ""


class Fetched(msgspec.Struct, frozen=True):
    """A session has read its letters up to `row` of the inbox (0: no further than before); `hops` are in `state` by
    that, because of `reason`."""

    session: str
    row: int
    hops: tuple[Hop, ...]
    state: HopState
    reason: str
    ticket: int = 0
