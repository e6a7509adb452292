"""What the fleet's own kinds carry in their bodies: one table, a typed struct each.

People's kinds carry UTF-8 text and have no entry. A body that does not fit its type is refused with the path of the
offending field; a field this version does not know is ignored.
"""

from typing import Any

import msgspec

from engine.errors import Fault, FleetError
from engine.model.envelope import Kind
from engine.model.mail import AckLine
from engine.model.roster import Address


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What became of one number where "I hold it" is not the whole truth. `rung`: `on_host` (its SKIP came after the
    message), `refused` with the reason, or `CLOSED`: its epoch is over, number the message anew."""

    epoch: int
    seq: int
    rung: str
    reason: str = ""


CLOSED = "closed"


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """Cumulative receipts for your newest streams, and for all that it answers."""

    acks: tuple[AckLine, ...] = ()
    notes: tuple[Note, ...] = ()


class Heartbeat(msgspec.Struct, frozen=True):
    """How a node is, every ten seconds. `sent_ms`: its wall clock. `load`: 1-minute load average. `floor_epoch`: its
    oldest epoch with open numbers to you. `your_epoch`: the newest of your epochs it has seen (it tells you if your
    store went back in time). `prekey`: its present sealing key as (key_epoch, X25519 public key)."""

    sent_ms: int
    version: str
    load: float = 0.0
    uptime_s: int = 0
    cwd: str = ""
    branch: str = ""
    head: str = ""
    dirty: int = 0
    sessions: int = 0
    broker: str = ""
    addresses: tuple[Address, ...] = ()
    roster_version: int = 0
    roster_hash: bytes = b""
    floor_epoch: int = 0
    your_epoch: int = 0
    prekey: tuple[int, bytes] | None = None
    incarnation: int = 0
    reaches: tuple[str, ...] = ()


class Forward(msgspec.Struct, frozen=True, array_like=True):
    """A sealed frame on its way through a relay to `dst`. `hop`: relays passed, this one included."""

    dst: str
    hop: int
    frame: bytes


PACKETS: dict[Kind, type[msgspec.Struct]] = {
    Kind.RECEIPT: Receipt,
    Kind.HEARTBEAT: Heartbeat,
    Kind.FORWARD: Forward,
    Kind.PASS: Forward,
}

_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[Kind, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(type=packet) for kind, packet in PACKETS.items()
}


def pack(packet: msgspec.Struct) -> bytes:
    """A packet as the body of an envelope."""
    return _encode(packet)


def unpack(kind: Kind, body: bytes) -> Any:
    """The packet in a body of `kind`. Raises `FleetError` `bad.packet`, naming the field, when it does not fit."""
    try:
        return _DECODERS[kind].decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise FleetError("bad.packet", "Packet does not fit its type", f"{kind}: {error}", "", Fault.THEIRS) from None
