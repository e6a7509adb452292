"""What happens on this machine and in this node."""

import msgspec
from immutables import Map

from engine.model.broker import BrokerState
from engine.model.roster import Address
from engine.model.ways import Ways


class Started(msgspec.Struct, frozen=True):
    """The node's hands are ready; the value was restored from the store."""


class Rang(msgspec.Struct, frozen=True):
    """A timer armed under `key` is due."""

    key: str


class LoopLagged(msgspec.Struct, frozen=True):
    """The engine's loop did not run for `lag_s` seconds (a stall, or the machine slept)."""

    lag_s: float


class BrokerChanged(msgspec.Struct, frozen=True):
    """The node's own broker is `state`. `pid` 0: none of ours. `dying`: down so often that its next start is held
    back."""

    state: BrokerState
    pid: int = 0
    url: str = ""
    note: str = ""
    dying: bool = False


class TerminalChanged(msgspec.Struct, frozen=True):
    """A terminal was lent or given back. `state`: attached, detached, none."""

    state: str
    size: tuple[int, int] = (0, 0)


class Listening(msgspec.Struct, frozen=True):
    """Where this node listens now."""

    addresses: tuple[Address, ...]


class Reachable(msgspec.Struct, frozen=True):
    """How else this machine can be reached now, besides its own ports."""

    ways: Ways


class Proved(msgspec.Struct, frozen=True):
    """By which sshd each peer's node has answered so far (`ways.door`)."""

    doors: Map[str, str]


class Looked(msgspec.Struct, frozen=True):
    """What this machine looks like now: load average, git state of the working directory."""

    load: float
    cwd: str
    branch: str
    head: str
    dirty: int
    sessions: int = 0


class StoreFilled(msgspec.Struct, frozen=True):
    """The disk is full: the ballast was given back; new sends are refused until there is room."""

    free_mb: int


class StoreFreed(msgspec.Struct, frozen=True):
    """There is room again."""


class Refreshed(msgspec.Struct, frozen=True):
    """The sealing key was rotated: `key_epoch` and the public half of the present pre-key."""

    key_epoch: int
    public: bytes
