"""What happens on channels, and what a person wants of them."""

import msgspec

from engine.model.channel import Channel, Outcome
from engine.model.repair import Ended
from engine.model.roster import Address


class Tried(msgspec.Struct, frozen=True):
    """A delivery to `peer` over `channel` ended. `numbers`: the (epoch, seq, message id) of the durable messages in
    it, without an id where only a SKIP went under its number; `probe`: it carried only pulses. `latency_ms`: from start
    to end of the try. `owed`: the peer owes a word for something in it. `pings`: the ids of the probes in it."""

    peer: str
    channel: Channel
    numbers: tuple[tuple[int, int, str], ...]
    outcome: Outcome
    latency_ms: float
    probe: bool = False
    owed: bool = True
    pings: tuple[str, ...] = ()


class Overtaken(msgspec.Struct, frozen=True):
    """Another channel proved a message to `peer` while `channel` was past its hedge."""

    peer: str
    channel: Channel


class ChannelTurned(msgspec.Struct, frozen=True):
    """A (peer, channel) pair became usable, or stopped being so."""

    peer: str
    channel: Channel
    usable: bool


class Readied(msgspec.Struct, frozen=True):
    """What each transport answered to "could you reach this peer at all": None, or the reason why not."""

    peer: str
    reasons: dict[Channel, str | None]


class ChannelHeld(msgspec.Struct, frozen=True):
    """A person took a (peer, channel) out of the cascade, or put it back."""

    peer: str
    channel: Channel
    held: bool


class ProbeAsked(msgspec.Struct, frozen=True):
    """A person asks for a round trip to `peer` on `channel` (None: on every one) now. `ask`: the id
    its ping is to have."""

    peer: str
    channel: Channel | None = None
    ask: str = ""


class Detoured(msgspec.Struct, frozen=True):
    """A kept tunnel to `peer` has its near end at `near` now (None: it has none)."""

    peer: str
    near: Address | None


class WakeWanted(msgspec.Struct, frozen=True):
    """Magic packets for `node` are wanted from whoever shares its network."""

    node: str


class NodeStarting(msgspec.Struct, frozen=True):
    """A person has `node` started over ssh: it is tried, and a `NodeStarted` follows."""

    node: str


class NodeStarted(msgspec.Struct, frozen=True):
    """What came of that (None: nobody knows), and the line about it."""

    node: str
    outcome: Ended | None
    note: str


class WakeCame(msgspec.Struct, frozen=True):
    """A peer asks us to send magic packets for `node`, which is on our network."""

    frm: str
    node: str
