"""The frame: how an envelope looks on any wire, and what is refused before anyone trusts it.

    magic 4 | version 1 | flags 1 | header length 2 | total length 4 | header | nonce 12 + sealed | tag 32

Integers are big-endian; the header is a msgpack array of the envelope's fields without its body. The first twelve bytes
look the same in every version, so frames can be laid end to end and a frame of tomorrow can be stepped over. Header
fields this version does not know are ignored; an unknown version is refused with both versions named. Flags mean
nothing yet: a sender sets none, a receiver ignores them, and the tag covers them.

This module decides shape and size, and nothing about trust: what `peek` and `dissect` return is a claim until
`engine.security.seal` has checked the tag. Sizes are checked before anything is parsed. A header is at most 1 KiB,
which also bounds how deep its msgpack can nest; msgspec stops at the interpreter's recursion limit before that.
"""

from struct import Struct
from typing import Annotated

import msgspec

from engine.errors import Fault, FleetError
from engine.model.envelope import BODY_LIMIT, ID_LIMIT, Envelope, Urgency

MAGIC = b"FLT\x1a"
VERSION = 1
TAG_SIZE = 32
HEADER_LIMIT = 1_024
# A relayed frame is the body of another: room for the headers, receipts and tags of two relays and the frame itself.
FRAME_LIMIT = BODY_LIMIT + 64 * 1_024
# A batch holds up to 128 messages (`mail.batch`) and what rides with them.
BATCH_LIMIT = 512

REFUSALS: dict[str, str] = {
    "unsigned": "It carries no tag, so nobody vouches for it.",
    "garbage": "It is not a frame: its shape cannot be read.",
    "oversized": "It is larger than a frame may be.",
    "version": "It speaks a version of the protocol that this node does not.",
    "unknown": "Its sender is not in the roster.",
    "revoked": "Its sender was revoked.",
    "left": "Its sender has left the fleet.",
    "expired_member": "Its sender's membership has expired.",
    "misaddressed": "It was sealed for another node.",
    "tampered": "Its tag does not fit: it was forged, or changed on the way.",
    "stale_key": "It was sealed with a key that this node no longer holds.",
    "replayed": "It was received before, bit for bit.",
    "not_carried": "It is mail for another node, and this one carries no more of it now.",
    "foreign": "It lay in the seed folder and is none of ours to open: a link, another's file, another name.",
    "role": "Its sender's role does not allow this kind of message.",
    "unmendable": "It asks for a repair that this node does not know.",
}

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Word = Annotated[str, msgspec.Meta(max_length=64)]
# Its sender chose it, and it is printed, kept and typed into terminals: nothing in it may end a line or a word.
Id = Annotated[str, msgspec.Meta(max_length=ID_LIMIT, pattern=r"^[!-~]*\Z")]
Frame = bytes | bytearray | memoryview

_PREFIX = Struct(">4sBBHI")
_NO_TAG = bytes(TAG_SIZE)


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An envelope's fields without its body. `kind` is a plain word here: one we do not know yet must still be read."""

    src: Word
    src_epoch: Number
    seq: Number
    dst: Word
    msg_id: Id
    kind: Word
    urgency: Urgency
    thread: str
    created_ms: Number
    ttl_s: Number
    hop: Number
    key_epoch: Number


class Refusal(Exception):
    """A frame that was not let in. `code` is a key of `REFUSALS`; `src` is what it claimed to be, never believed."""

    def __init__(self, code: str, src: str = "", detail: str = ""):
        super().__init__(f"{REFUSALS[code]} {detail}".rstrip())
        self.code = code
        self.src = src
        self.detail = detail


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Header).decode


def head(envelope: Envelope, key_epoch: int, room: int) -> bytes:
    """Prefix and header of a frame whose sealed body and tag take `room` bytes more: what the seal is bound to.

    Raises `FleetError` `usage.oversized` when the frame would exceed what a receiver reads.
    """
    one = envelope
    stream, what = (one.src, one.src_epoch, one.seq, one.dst), (one.msg_id, one.kind, one.urgency, one.thread)
    header = _encode((*stream, *what, one.created_ms, one.ttl_s, one.hop, key_epoch))
    total = _PREFIX.size + len(header) + room
    if len(header) > HEADER_LIMIT or total > FRAME_LIMIT:
        raise oversized(f"a header of {len(header)} bytes in a frame of {total}")
    return _PREFIX.pack(MAGIC, VERSION, 0, len(header), total) + header


def oversized(what: str) -> FleetError:
    """The error of a sender whose message no receiver would read."""
    return FleetError(
        "usage.oversized",
        "The message is too large",
        f"{what}; a body holds at most {BODY_LIMIT} bytes, a thread's name a few hundred",
        "send less at once, or put it in a file and name the file",
        Fault.THEIRS,
    )


def frames(data: Frame) -> list[bytes]:
    """The frames that lie end to end in `data`, cut by their lengths alone. Raises `Refusal` when any of it is none."""
    found: list[bytes] = []
    start, end = 0, len(data)
    while start < end or not found:
        total = _total(data, start)
        if total > end - start:
            raise Refusal("garbage", detail=f"{end - start} of {total} bytes are there.")
        if len(found) == BATCH_LIMIT:
            raise Refusal("oversized", detail=f"More than {BATCH_LIMIT} frames came together.")
        found.append(bytes(data[start : start + total]))
        start += total
    return found


def peek(frame: Frame) -> Header:
    """What a frame claims to be, for a relay that cannot open it. Raises `Refusal`; nothing in it is proved."""
    return dissect(bytes(frame))[0]


def dissect(frame: bytes) -> tuple[Header, int]:
    """The claimed header of exactly one frame, and where its sealed body starts. Raises `Refusal`."""
    total = _total(frame, 0)
    _, version, _, header_size, _ = _PREFIX.unpack_from(frame)
    if version != VERSION:
        raise Refusal("version", detail=f"The frame has version {version}, this node speaks {VERSION}.")
    if total != len(frame) or header_size > HEADER_LIMIT:
        raise Refusal("garbage", detail="Its lengths contradict each other.")
    start = _PREFIX.size + header_size
    header = _header(frame[_PREFIX.size : start])
    if total < start + TAG_SIZE or frame.endswith(_NO_TAG):
        raise Refusal("unsigned", header.src)
    return header, start


def _total(data: Frame, start: int) -> int:
    """The length that the frame at `start` says it has: a claim, but a sane one."""
    if len(data) - start < _PREFIX.size or data[start : start + 4] != MAGIC:
        raise _no_frame(bytes(data[start : start + 1]))
    total: int = _PREFIX.unpack_from(data, start)[4]
    if total > FRAME_LIMIT:
        raise Refusal("oversized", detail=f"{total} bytes, where {FRAME_LIMIT} are allowed.")
    if total < _PREFIX.size:
        raise Refusal("garbage", detail="Its length is too short for a frame.")
    return total


def _no_frame(first: bytes) -> Refusal:
    # Bare JSON is what an older or foreign tool sends: it can be read, but nobody vouches for it.
    return Refusal("unsigned" if first in (b"{", b"[") else "garbage")


def _header(data: bytes) -> Header:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("garbage", detail="Its header cannot be read.") from None
