"""What the fleet's own kinds carry in their bodies: one table, a typed struct each.

People's kinds carry UTF-8 text and have no entry. A body that does not fit its type is refused with the path of the
offending field; a field this version does not know is ignored. The door and several rooms ask for the same packet one
after another: a small one is decoded once.
"""

from functools import lru_cache
from typing import Annotated, Any

import msgspec

from engine.errors import Fault, FleetError
from engine.model.envelope import Kind, Rung
from engine.model.mail import AckLine, Number
from engine.model.roster import Address
from engine.model.ways import Ways


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What became of one number where "I hold it" is not the whole truth. `rung`: `on_host` (its SKIP came after the
    message), `refused` with the reason, `CLOSED`: its epoch is over, number the message anew, or `BUSY`: not taken now,
    send it again later."""

    epoch: Number
    seq: Number
    rung: str
    reason: str = ""


CLOSED, BUSY = "closed", "busy"


class Pong(msgspec.Struct, frozen=True, array_like=True):
    """A message or a ping that came over a channel without a way back: which, and its id. Whoever sent it learns from
    this, on whatever channel it comes, that the channel works."""

    channel: str
    msg_id: str


# As gossip packets have it: an incarnation beyond would make everything unreadable that tells of it.
INCARNATION_LIMIT = 1 << 62
Incarnation = Annotated[int, msgspec.Meta(ge=0, lt=INCARNATION_LIMIT)]
Load = Annotated[float, msgspec.Meta(ge=0, lt=1e6)]


# Names and ids that a peer chooses.
Label = Annotated[str, msgspec.Meta(max_length=64)]
# What a node says of itself is kept by every peer, dialled, and shown: each part has a size.
Said = Annotated[str, msgspec.Meta(max_length=4_096)]
Hash = Annotated[bytes, msgspec.Meta(max_length=64)]
ADDRESSES_LIMIT = 32
# Who reaches whom is told for so many peers at most: relays are chosen among them.
REACHES_LIMIT = 128
Addresses = Annotated[tuple[Address, ...], msgspec.Meta(max_length=ADDRESSES_LIMIT)]
Reaches = Annotated[tuple[Label, ...], msgspec.Meta(max_length=REACHES_LIMIT)]


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """Cumulative receipts for your newest streams, and for all that it answers."""

    acks: tuple[AckLine, ...] = ()
    notes: tuple[Note, ...] = ()
    pongs: tuple[Pong, ...] = ()


# By then a node has found out what its machine offers: sshd is asked how it is set up, and may be slow to tell.
SETTLED_S = 15


class Heartbeat(msgspec.Struct, frozen=True):
    """How a node is, every ten seconds. `sent_ms`: its wall clock. `load`: 1-minute load average. `floor_epoch`: its
    oldest epoch with open numbers to you. `your_epoch`: the newest of your epochs it has seen (it tells you if your
    store went back in time). `ways`: how else its machine can be reached. `prekey`: its present sealing key as
    (key_epoch, X25519 public key)."""

    sent_ms: Number
    version: Label
    load: Load = 0.0
    uptime_s: Number = 0
    cwd: Said = ""
    branch: Said = ""
    head: Label = ""
    dirty: Number = 0
    sessions: Number = 0
    broker: Label = ""
    addresses: Addresses = ()
    roster_version: Number = 0
    roster_hash: Hash = b""
    floor_epoch: Number = 0
    your_epoch: Number = 0
    prekey: tuple[Number, Hash] | None = None
    incarnation: Incarnation = 0
    reaches: Reaches = ()
    ways: Ways | None = None

    def ways_after(self, before: "Heartbeat | None") -> Ways | None:
        """Its ways, after the heartbeat `before`: who has just started is still finding out its sshd and cards, so what
        it does not name yet is as it was."""
        known = before.ways if before else None
        if known is None or self.ways is None or self.uptime_s >= SETTLED_S:
            return self.ways
        return msgspec.structs.replace(self.ways, ssh=self.ways.ssh or known.ssh, nics=self.ways.nics or known.nics)


class Wake(msgspec.Struct, frozen=True, array_like=True):
    """Send magic packets for a member on your network."""

    node: str


# What people may read of a repair; a peer chooses it.
Brief = Annotated[str, msgspec.Meta(max_length=400)]


class Mend(msgspec.Struct, frozen=True, array_like=True):
    """Repair yourself. `ask`: its id. `action`: one of the closed table of repairs. `channel`: what is broken as the
    sender sees it, `why`: what it saw."""

    ask: Label
    action: Label
    channel: Label
    why: Brief = ""


class Mended(msgspec.Struct, frozen=True, array_like=True):
    """What came of it: `outcome` done, already, refused or failed, and a line for people. `after_s`: a refusal holds
    for so many seconds from now (0: what it is for does not pass by itself)."""

    ask: Label
    action: Label
    outcome: Label
    note: Brief = ""
    after_s: Number = 0


class Climb(msgspec.Struct, frozen=True, array_like=True):
    """What became of one of your messages on its last hop here. `at_ms`: when, by our clock; `after_ms`: since it was
    on this host. `channel`: `text` where it was typed; else its session took it. `reason`: why it is not further."""

    msg_id: str
    rung: Rung
    at_ms: Number
    after_ms: Number = 0
    channel: str = ""
    reason: Annotated[str, msgspec.Meta(max_length=512)] = ""


class Climbs(msgspec.Struct, frozen=True, array_like=True):
    """Several of them, in order."""

    climbs: Annotated[tuple[Climb, ...], msgspec.Meta(max_length=128)] = ()


class Forward(msgspec.Struct, frozen=True, array_like=True):
    """A sealed frame on its way through a relay to `dst`. `hop`: relays passed, this one included."""

    dst: str
    hop: Number
    frame: bytes


PACKETS: dict[Kind, type[msgspec.Struct]] = {
    Kind.RECEIPT: Receipt,
    Kind.HEARTBEAT: Heartbeat,
    Kind.FORWARD: Forward,
    Kind.PASS: Forward,
    Kind.WAKE: Wake,
    Kind.MEND: Mend,
    Kind.MENDED: Mended,
    Kind.RUNG: Climbs,
}

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[Kind, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(type=packet) for kind, packet in PACKETS.items()
}


def pack(packet: msgspec.Struct) -> bytes:
    """A packet as the body of an envelope."""
    return _encode(packet)


# As many as one delivery may hold, and what a heartbeat needs at most; a frame in a wrapper is not worth its memory.
REMEMBERED, REMEMBERED_BYTES = 64, 8_192


def _decoded(kind: Kind, body: bytes) -> Any:
    return _DECODERS[kind].decode(body)


# Packets are frozen, so that everybody may hold the same one.
_remembered = lru_cache(REMEMBERED)(_decoded)


def unpack(kind: Kind, body: bytes) -> Any:
    """The packet in a body of `kind`. Raises `FleetError` `bad.packet`, naming the field, when it does not fit."""
    try:
        return (_remembered if len(body) <= REMEMBERED_BYTES else _decoded)(kind, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FleetError("bad.packet", "Packet does not fit its type", f"{kind}: {error}", "", Fault.THEIRS) from None
