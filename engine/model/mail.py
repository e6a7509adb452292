"""Mail under way: what waits to go to a peer, and what has come from one.

Two small machines, both bounded. A lane holds the at most 1,024 open numbers of one peer, the last 128 of which are for
what is urgent; what is beyond waits in the store. A stream is a watermark and a bit mask: everything at or below the
watermark is held, so nothing is ever dropped as old and no number takes effect twice.
"""

from typing import Annotated

import msgspec
from immutables import Map

from engine.model.channel import Channel
from engine.model.envelope import AHEAD_LIMIT, Envelope

# A number as the wire, the store and a shift can hold it.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# No receiver takes a number further ahead than this, so no mask of one is longer.
Mask = Annotated[bytes, msgspec.Meta(max_length=AHEAD_LIMIT // 8)]
# Receipts get lost like anything else: what they echo is repeated so long, and so many of them.
ECHO_S, ECHOES = 30.0, 16
Brought = Annotated[tuple[tuple[Number, str], ...], msgspec.Meta(max_length=ECHOES)]


class Waiting(msgspec.Struct, frozen=True):
    """One open message. `tried`: channels begun in this cascade, `flying`: those without an answer yet, each with the
    monotonic second it started. `due`: when to hedge, give up the cascade, or begin anew. `expires_at`: monotonic end
    of its life. `cascades`: begun so far. `landed`: channels that took it and cannot say more. `skipping`: the message
    is over; only its number is still to be closed. `died`: it counts among the dead. `closing`: a SKIP has left, so a
    number that is held no longer proves that its message is."""

    envelope: Envelope
    via: Channel | None = None
    widened: bool = False
    tried: tuple[Channel, ...] = ()
    flying: tuple[tuple[Channel, float], ...] = ()
    began_at: float = 0.0
    due: float = 0.0
    expires_at: float = float("inf")
    cascades: int = 0
    landed: frozenset[Channel] = frozenset()
    skipping: bool = False
    died: bool = False
    closing: bool = False


class Lane(msgspec.Struct, frozen=True):
    """The open messages to one peer, by (epoch, seq). `next_seq`: the next free number. `backlog`: messages that wait
    in the store without a number, at most. `pressing`: some of these may be urgent. `loading`: a page of them was asked
    for; `since`: how many were added after that. `heard`: (epoch, number) of the newest pulse of the peer whose
    receipts were read."""

    open: Map[tuple[int, int], Waiting] = Map()
    next_seq: int = 1
    backlog: int = 0
    pressing: bool = False
    loading: bool = False
    since: int = 0
    heard: tuple[int, int] = (0, 0)


class Stream(msgspec.Struct, frozen=True):
    """What is held of one (sender, epoch). Bit 0 of `above` is `watermark + 1`."""

    watermark: int = 0
    above: int = 0

    def holds(self, seq: int) -> bool:
        """Whether this number has already taken effect."""
        return seq <= self.watermark or bool(self.above >> (seq - self.watermark - 1) & 1)

    def with_number(self, seq: int) -> "Stream":
        """The stream holding `seq` as well; the watermark moves over what became contiguous."""
        if self.holds(seq):
            return self
        above = self.above | 1 << (seq - self.watermark - 1)
        run = (~above & above + 1).bit_length() - 1
        return Stream(self.watermark + run, above >> run)


class Pulse(msgspec.Struct, frozen=True):
    """The replay window of one sender's pulses: the newest epoch and number seen, and the 1,024 below it as bits
    (bit 0 is `top`), after RFC 4303, section 3.4.3."""

    epoch: int = 0
    top: int = 0
    seen: int = 0


class Inflow(msgspec.Struct, frozen=True):
    """How much one member may still send us: `left` messages at monotonic second `at`; `refused_at`: when one was too
    many, last, while that lasts."""

    left: float
    at: float
    refused_at: float | None = None


class Echo(msgspec.Struct, frozen=True):
    """Something came over `channel`, which has no way back: its id, its number (0: it has none, or came
    before on another way), and the monotonic second until which receipts repeat that it came."""

    channel: str
    msg_id: str
    epoch: int
    seq: int
    until: float


class Freight(msgspec.Struct, frozen=True):
    """A sealed frame of others that waits in our outbox. `by`: the member that handed it to us; `size`: its bytes."""

    by: str
    size: int


class Burden(msgspec.Struct, frozen=True):
    """All that we carry for one member."""

    frames: int = 0
    size: int = 0


def freight_thread(msg_id: str, by: str) -> str:
    """The thread of our own message around such a frame: what it is there, and who handed it to us. No id has a
    space."""
    return f"{msg_id} {by}"


def freight_of(thread: str) -> tuple[str, str]:
    """Id and member, from that thread."""
    msg_id, _, by = thread.partition(" ")
    return msg_id, by


class AckLine(msgspec.Struct, frozen=True, array_like=True):
    """What of one of your epochs I hold: all numbers up to `watermark`, and those above it whose bit is set
    (`above`, little-endian; bit 0 is `watermark + 1`). `brought`: (number, channel) of the newest that came over a way
    that cannot be answered, because whoever hears this on another way could not tell."""

    epoch: Number
    watermark: Number
    above: Mask = b""
    brought: Brought = ()


class Parcel(msgspec.Struct, frozen=True):
    """An authenticated envelope as it came in. `tag`: the frame's authentication tag. `relay`: the peer that carried
    it, if any. `acks`: what the sender says it holds of ours, carried by every frame."""

    envelope: Envelope
    tag: bytes = b""
    relay: str = ""
    acks: tuple[AckLine, ...] = ()
