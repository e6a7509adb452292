"""What the API says: the JSON shapes others rely on, as types.

Field names are a promise (`docs/api.md`): a field may be added, never renamed. Messages, letters and invites have
their shapes in `engine.model.story`. Times ending in `_ms` are wall milliseconds, in `_s` seconds.
"""

import msgspec

from engine.errors import ErrorFacts
from engine.model.channel import Channel, ChannelState
from engine.model.finding import Finding
from engine.model.peer import Standing
from engine.model.roster import Role
from engine.model.story import Left


class NodeView(msgspec.Struct, frozen=True):
    """The node that answers. `terminal`: attached, detached or none. `fingerprint`: of its device key, for people to
    compare."""

    name: str
    id: str
    version: str
    pid: int
    uptime_s: float
    terminal: str
    fingerprint: str = ""


class FleetView(msgspec.Struct, frozen=True):
    """The fleet it is in. `chief`: a name, or null where nobody has the role."""

    name: str
    id: str
    roster_version: int
    chief: str | None


class BrokerView(msgspec.Struct, frozen=True):
    """Its own nats-server."""

    state: str
    pid: int
    url: str
    note: str = ""


class OutboxView(msgspec.Struct, frozen=True):
    """`waiting`: not yet on their host. `dead`: given up, expired or refused. `full`: no room for new ones."""

    waiting: int
    dead: int
    full: bool = False


class PeerView(msgspec.Struct, frozen=True):
    """Another member. `seen_s`: since it was last heard (null: never). `best`: the channel the next message would take
    (null: none works). `channels`: every channel this version has, by name. `held`: those a person holds back.
    `retried`: those HEALING that have not answered since they broke."""

    name: str
    id: str
    role: Role
    standing: Standing
    seen_s: float | None
    best: Channel | None
    channels: dict[Channel, ChannelState]
    revoked: bool = False
    version: str = ""
    branch: str = ""
    head: str = ""
    load: float | None = None
    clock_offset_ms: float | None = None
    held: tuple[Channel, ...] = ()
    retried: tuple[Channel, ...] = ()


class DoorsView(msgspec.Struct, frozen=True):
    """Where the API listens: the Unix socket, and the loopback TCP port or null."""

    socket: str
    tcp: int | None = None


class Status(msgspec.Struct, frozen=True):
    """`fleet status`. `refused`: how much was turned away at the door since the start; `fleet metrics` says why."""

    node: NodeView
    fleet: FleetView
    broker: BrokerView
    outbox: OutboxView
    peers: list[PeerView]
    findings: list[Finding]
    api: DoorsView
    home: str
    refused: int


class Departed(Status, frozen=True):
    """What `leave` comes to: this node as it is now, and how it went."""

    left: Left


class ChannelView(msgspec.Struct, frozen=True):
    """One (peer, channel). `latency_ms`: the median of the last five round trips. `fails`: in the last five minutes;
    16 are 16 or more. `retried`: HEALING, and no answer yet since it broke."""

    state: ChannelState
    latency_ms: float | None
    fails: int
    reason: str
    held: bool = False
    since_ms: int = 0
    retried: bool = False


class Health(msgspec.Struct, frozen=True):
    """`GET /health`. `ok` is false while something of severity high or critical is found or the broker is down."""

    ok: bool
    name: str
    id: str
    version: str
    uptime_s: float
    broker: str
    outbox: OutboxView
    lag_s: float
    findings: list[Finding]


class Refused(msgspec.Struct, frozen=True):
    """One refused frame: what it claimed to be is in `src`, and never to be believed."""

    at: int
    reason: str
    channel: str
    src: str


class RefusalsView(msgspec.Struct, frozen=True):
    """`GET /refusals`: counts by reason since the node started, and the last 32."""

    counts: dict[str, int]
    last: list[Refused]


class ConfigView(msgspec.Struct, frozen=True):
    """`GET /config`: what is in force, by `section.key`, and where each value came from."""

    values: dict[str, object]
    origins: dict[str, str]


class Reach(msgspec.Struct, frozen=True):
    """One line of `GET /preview`: whom a message would reach, over which channels in order, or why not now."""

    to: str
    channels: tuple[Channel, ...]
    reason: str


class Trouble(msgspec.Struct, frozen=True):
    """Every error, whatever was asked."""

    error: ErrorFacts
