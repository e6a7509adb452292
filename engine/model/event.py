"""Events: what the faces are told happened, after it is durable. They name things; they never carry a body."""

import msgspec

from engine.model.broker import BrokerState
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Rung
from engine.model.peer import Standing


class MessageMoved(msgspec.Struct, frozen=True, tag=True):
    """A message of ours climbed (or fell off) the ladder."""

    msg_id: str
    peer: str
    rung: Rung
    channel: Channel | None
    reason: str = ""


class MessageCame(msgspec.Struct, frozen=True, tag=True):
    """A message for us is in the inbox."""

    msg_id: str
    peer: str
    channel: Channel


class PeerMoved(msgspec.Struct, frozen=True, tag=True):
    """A peer's standing changed."""

    peer: str
    old: Standing
    new: Standing


class ChannelMoved(msgspec.Struct, frozen=True, tag=True):
    """A (peer, channel) pair changed state."""

    peer: str
    channel: Channel
    old: ChannelState
    new: ChannelState
    reason: str


class RosterMoved(msgspec.Struct, frozen=True, tag=True):
    """The roster has a new version."""

    version: int
    why: str


class FrameRejected(msgspec.Struct, frozen=True, tag=True):
    """Something unsigned, forged, replayed, tampered, revoked, oversized or of a wrong version was refused."""

    why: str
    channel: Channel | None
    src: str = ""


class BrokerMoved(msgspec.Struct, frozen=True, tag=True):
    """The node's own broker changed state."""

    state: BrokerState
    note: str = ""


class Noticed(msgspec.Struct, frozen=True, tag=True):
    """A finding appeared (`present`) or went away."""

    code: str
    subject: str
    present: bool


class RepairMoved(msgspec.Struct, frozen=True, tag=True):
    """A repair is on another rung, or (`level` 0) it ended. Without a channel: this node repairs itself."""

    peer: str
    channel: Channel | None
    level: int
    what: str = ""


Event = (
    MessageMoved
    | MessageCame
    | PeerMoved
    | ChannelMoved
    | RosterMoved
    | FrameRejected
    | BrokerMoved
    | Noticed
    | RepairMoved
)
