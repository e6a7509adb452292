"""Receipts: what we hold of a peer's streams, as lines that ride on every frame to it; and how to read such lines.

Pure arithmetic on watermarks and bit masks. Lines are cumulative, so any later one makes up for any that was lost, on
whatever channel it travels.
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec
from immutables import Map

from engine.model.envelope import Envelope, Kind
from engine.model.mail import AckLine, Echo, Parcel, Stream
from engine.model.moment import Moment
from engine.model.packets import Note, Pong, Receipt, pack, unpack
from engine.state import Fleet

# A sender has few epochs open at once; more than these ride on no frame (the newest matter).
LINES_A_FRAME = 4


def lines(fleet: Fleet, peer: str, epochs: Collection[int] = ()) -> tuple[AckLine, ...]:
    """What we hold of `peer`'s streams: of these epochs, then of the newest. The floor it announced is among them, so
    that a peer that forgot its newer epochs learns of them before it believes what is said of an older one."""
    streams = fleet.mail.streams.get(peer, _NO_STREAMS)
    floor = fleet.mail.floors.get(peer, 0)
    known = {*streams, floor} if floor else streams
    if not known and not epochs:
        return ()
    newest = sorted(known, reverse=True)[:LINES_A_FRAME]
    brought = fleet.mail.echoes.get(peer, ())
    return tuple(
        line(epoch, streams.get(epoch, Stream()), brought) for epoch in dict.fromkeys((*sorted(epochs), *newest))
    )


_NO_STREAMS: Map[int, Stream] = Map()


def line(epoch: int, stream: Stream, brought: Iterable[Echo] = ()) -> AckLine:
    """One stream as a line, with what brought its newest where nobody else could know."""
    named = tuple((echo.seq, echo.channel) for echo in brought if echo.seq and echo.epoch == epoch)
    return AckLine(epoch, stream.watermark, to_bytes(stream.above), named)


def to_bytes(above: int) -> bytes:
    """The bit mask as little-endian bytes, as records and lines keep it."""
    return above.to_bytes((above.bit_length() + 7) // 8, "little")


def bits(above: bytes) -> int:
    """How far above its watermark a line reaches."""
    return int.from_bytes(above, "little").bit_length()


def covered(acks: Iterable[AckLine], numbers: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Which of our (epoch, seq) numbers the lines say are held."""
    held = {ack.epoch: Stream(ack.watermark, int.from_bytes(ack.above, "little")) for ack in acks}
    for epoch, seq in numbers:
        stream = held.get(epoch)
        if stream is not None and stream.holds(seq):
            yield epoch, seq


def missing(ack: AckLine, upto: int, limit: int) -> tuple[int, ...]:
    """The lowest numbers below `upto` that the line does not hold, at most `limit`."""
    stream = Stream(ack.watermark, int.from_bytes(ack.above, "little"))
    gaps = (seq for seq in range(ack.watermark + 1, upto) if not stream.holds(seq))
    return tuple(seq for seq, _ in zip(gaps, range(limit), strict=False))


def said(parcel: Parcel) -> Receipt:
    """What a parcel says that its sender holds of ours: in its body if it is a receipt, else what rides on it."""
    if parcel.envelope.kind is not Kind.RECEIPT:
        return Receipt(parcel.acks)
    told: Receipt = unpack(Kind.RECEIPT, parcel.envelope.body)
    return told


def receipt(
    fleet: Fleet,
    peer: str,
    now: Moment,
    notes: tuple[Note, ...] = (),
    epochs: Collection[int] = (),
    pongs: tuple[Pong, ...] = (),
) -> Envelope:
    """The pulse that says to `peer` what we hold, of `epochs` first, what became of single numbers, and what came over
    a way that cannot be answered."""
    said = pack(Receipt(lines(fleet, peer, epochs), notes, pongs))
    return fleet.envelope(peer, Kind.RECEIPT, f"receipt-{int(now.mono * 1e6)}", now.wall_ms, said)


def with_stream(fleet: Fleet, src: str, epoch: int, stream: Stream) -> Fleet:
    """The fleet with one stream of one sender moved."""
    mail = fleet.mail
    epochs = (mail.streams.get(src) or Map()).set(epoch, stream)
    return msgspec.structs.replace(fleet, mail=msgspec.structs.replace(mail, streams=mail.streams.set(src, epochs)))


def stream_of(fleet: Fleet, src: str, epoch: int) -> Stream:
    """What is held of one sender's epoch; an empty stream when nothing is."""
    streams = fleet.mail.streams.get(src)
    return Stream() if streams is None else streams.get(epoch, Stream())
