"""Gossip packets: four small arrays, and the rumours that ride on them.

    Ping     "are you there?"                         to the peer, answered with Ack
    PingReq  "ask it for me, I hear nothing"          to others, answered with Ack, or Nack where they hear nothing too
    Ack      "yes"            Nack  "I asked, nothing yet; but I hear you"

A packet has at most 1,200 bytes, so that with tag and headers it crosses any path unfragmented (IPv6 guarantees 1,280).
A reply is never larger than what it answers, so a forged source address gains an attacker nothing; questions are padded
to 160 bytes to leave the answer room for news. What cannot be read is None: a peer of tomorrow may say what we do not
know, and unknown trailing fields are ignored.

The tag around a packet says that some member spoke; that the claimed source spoke is taken on trust here
(`engine.security.gossip`), which is why nothing but liveness is decided by gossip.
"""

from enum import IntEnum
from typing import Annotated

import msgspec

from engine.model.packets import INCARNATION_LIMIT

PACKET_LIMIT = 1_200
QUESTION_FLOOR = 160
RUMOUR_LIMIT = 32

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Note = Annotated[str, msgspec.Meta(max_length=64)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=INCARNATION_LIMIT)]


class Claim(IntEnum):
    """What is said of somebody; of one incarnation the higher claim wins."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


class Rumour(msgspec.Struct, frozen=True, array_like=True):
    """One claim about `subject` in one of its incarnations; `accuser` is who makes it, and empty for ALIVE."""

    claim: Claim
    subject: Word
    incarnation: Number
    accuser: Note = ""


Rumours = tuple[msgspec.Raw, ...]


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`number` rises with every question of `src`. `dst`: who is meant, since another may listen there now."""

    src: Word
    number: Number
    incarnation: Number
    dst: Word
    rumours: Rumours = ()
    pad: bytes = b""


class PingReq(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Ping `target` for me, and answer under my `number`."""

    src: Word
    number: Number
    incarnation: Number
    target: Word
    rumours: Rumours = ()
    pad: bytes = b""


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The one who was asked for under `number` answered; `src` is who says so."""

    src: Word
    number: Number
    incarnation: Number
    rumours: Rumours = ()


class Nack(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Whom you asked for under `number` has not answered me."""

    src: Word
    number: Number
    incarnation: Number


Question = Ping | PingReq
Packet = Ping | PingReq | Ack | Nack

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packet).decode
_decode_rumour = msgspec.msgpack.Decoder(Rumour).decode


def encode(packet: Packet) -> bytes:
    """A packet as bytes; a question is padded to its floor."""
    data = _encode(packet)
    if isinstance(packet, Question) and len(data) < QUESTION_FLOOR:
        data = _encode(msgspec.structs.replace(packet, pad=bytes(QUESTION_FLOOR - len(data))))
    return data


def bare_size(packet: Packet) -> int:
    """The bytes a packet takes beside its rumours."""
    # More than fifteen of them have a header of three bytes instead of one.
    return len(_encode(packet)) + 2


def laden(packet: Ping | PingReq | Ack, rumours: list[bytes]) -> Ping | PingReq | Ack:
    """The packet carrying these rumours."""
    return msgspec.structs.replace(packet, rumours=tuple(msgspec.Raw(one) for one in rumours))


def decode(data: bytes) -> Packet | None:
    """The packet in `data`, or None when it is too large or none at all."""
    if len(data) > PACKET_LIMIT:
        return None
    try:
        came: Packet = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return came


def encode_rumour(rumour: Rumour) -> bytes:
    """A rumour as it is kept in the news and laid into packets."""
    return _encode(rumour)


def decode_rumour(data: bytes | msgspec.Raw) -> Rumour | None:
    """The rumour in `data`, or None when it is none."""
    try:
        return _decode_rumour(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def rumours_of(packet: Packet) -> tuple[Rumour, ...]:
    """What a packet says of others. All of it or nothing: one bad rumour makes the packet's gossip worthless."""
    raw = () if isinstance(packet, Nack) else packet.rumours
    if not raw:
        return ()
    read = [decode_rumour(one) for one in raw[:RUMOUR_LIMIT]]
    return tuple(one for one in read if one) if None not in read else ()
