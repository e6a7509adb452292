"""When numbers have to begin anew: our own store went back in time, or a peer's stream can take no more.

Every start mints an epoch above the last one and not below the wall clock, so numbers are never used twice even where
an old copy of the store was put back. One case is left: the clock went back as well. A peer then remembers a newer
epoch of ours than we have, or numbers of this one that we have not given yet, and says so in its heartbeats and
receipts; it would take what we send under the old epoch for a replay. We move above it, and give every message numbered
since this start a new number. This is done before anything else such a parcel says is believed, because what it says of
the old epoch is said of other messages. It is told as a finding, because a store that went back has forgotten messages
too.

A peer whose lines lag half of `AHEAD_LIMIT` behind our numbers has lost its store, or holds everything but one old
number nobody can settle. New messages then begin an epoch of their own; of the open ones only those get another number
that the peer cannot have taken under theirs.
"""

from collections.abc import Callable

import msgspec
from immutables import Map

from engine.effects import Effect, Raise, Save
from engine.mail import receipts
from engine.mail.lanes import armed
from engine.model.envelope import AHEAD_LIMIT, Kind
from engine.model.finding import Finding, Severity
from engine.model.mail import AckLine, Lane, Parcel, Waiting
from engine.model.moment import Moment
from engine.model.packets import Heartbeat, unpack
from engine.model.records import AddEntry, OpenNumber, PutMeta, Record
from engine.signals import Arrived, Found, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]
Picked = Callable[[str, int, int], bool]

# Where the store keeps the epoch of the last start (`engine.store.rows`).
META_KEY = "store.epoch"
# Epochs are wall milliseconds: what lies beyond is said by nobody honest, and would use up the numbers there are.
HIGHEST = 1 << 53


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Begin a new epoch where what these parcels say makes it necessary."""
    if not isinstance(signal, Arrived):
        return fleet, []
    said = [(parcel, receipts.said(parcel).acks) for parcel in signal.parcels]
    seen = max((epoch for parcel, acks in said for epoch in _known(parcel, acks)), default=0)
    reused = any(_never_given(fleet, parcel.envelope.src, acks) for parcel, acks in said)
    if fleet.me.epoch < seen + reused and seen < HIGHEST:
        fleet, effects = _begun(fleet, seen + 1, lambda peer, epoch, seq: epoch == fleet.me.epoch, now)
        facts = {"code": WENT_BACK.code, "detail": WENT_BACK.detail}
        noted = Save((AddEntry(now.wall_ms, fleet.me.id, "store", fleet.me.id, facts),))
        return fleet, [*effects, noted, Raise(Found(WENT_BACK))]
    for parcel, acks in said:
        watermark = _lagging(fleet, parcel, acks)
        if watermark is not None:
            return _begun(fleet, fleet.me.epoch + 1, _beyond(fleet, parcel.envelope.src, watermark), now)
    return fleet, []


def _known(parcel: Parcel, acks: tuple[AckLine, ...]) -> list[int]:
    """The epochs of ours that the sender has seen."""
    if parcel.envelope.kind is not Kind.HEARTBEAT:
        return [ack.epoch for ack in acks]
    beat: Heartbeat = unpack(Kind.HEARTBEAT, parcel.envelope.body)
    return [beat.your_epoch, *(ack.epoch for ack in acks)]


def _never_given(fleet: Fleet, peer: str, acks: tuple[AckLine, ...]) -> bool:
    """Whether a peer holds numbers of this epoch that we have not given to anything yet."""
    lane = fleet.mail.lanes.get(peer, Lane())
    tops = (ack.watermark + receipts.bits(ack.above) for ack in acks if ack.epoch == fleet.me.epoch)
    return any(top >= lane.next_seq for top in tops)


def _lagging(fleet: Fleet, parcel: Parcel, acks: tuple[AckLine, ...]) -> int | None:
    """The watermark of a peer that is too far behind our numbers; None while it is not. Its heartbeat has a line for
    all it holds of us, so there no line means that it holds nothing."""
    lane = fleet.mail.lanes.get(parcel.envelope.src, Lane())
    if lane.next_seq <= AHEAD_LIMIT // 2:
        return None
    absent = [0] if parcel.envelope.kind is Kind.HEARTBEAT else []
    watermark = max([ack.watermark for ack in acks if ack.epoch == fleet.me.epoch] or absent, default=lane.next_seq)
    return watermark if lane.next_seq - watermark > AHEAD_LIMIT // 2 else None


def _beyond(fleet: Fleet, src: str, watermark: int) -> Picked:
    present, limit = fleet.me.epoch, watermark + AHEAD_LIMIT
    return lambda peer, epoch, seq: peer == src and epoch == present and seq > limit


def _begun(fleet: Fleet, epoch: int, picked: Picked, now: Moment) -> Step:
    """Another epoch; the picked open messages of every lane get a number in it, in their order."""
    records: list[Record] = [PutMeta(META_KEY, str(epoch).encode())]
    effects: list[Effect] = []
    lanes = fleet.mail.lanes.mutate()
    for peer, lane in sorted(fleet.mail.lanes.items(), key=lambda pair: pair[0]):
        lanes[peer] = _renumbered(peer, lane, epoch, picked, now, records)
        effects += armed(peer, lanes[peer])
    mail = msgspec.structs.replace(fleet.mail, lanes=lanes.finish())
    me = msgspec.structs.replace(fleet.me, epoch=epoch)
    return msgspec.structs.replace(fleet, me=me, mail=mail), [Save(tuple(records)), *effects]


def _renumbered(peer: str, lane: Lane, epoch: int, picked: Picked, now: Moment, records: list[Record]) -> Lane:
    kept: dict[tuple[int, int], Waiting] = {}
    next_seq = 1
    for (was, seq), waiting in sorted(lane.open.items(), key=lambda pair: pair[0]):
        if not picked(peer, was, seq):
            kept[was, seq] = waiting
        elif not waiting.skipping:
            envelope = msgspec.structs.replace(waiting.envelope, src_epoch=epoch, seq=next_seq)
            kept[epoch, next_seq] = msgspec.structs.replace(
                waiting, envelope=envelope, tried=(), flying=(), due=now.mono
            )
            records.append(OpenNumber(envelope.msg_id, epoch, next_seq))
            next_seq += 1
    return msgspec.structs.replace(lane, open=Map(kept), next_seq=next_seq)


WENT_BACK = Finding(
    "store.went_back",
    "This node's memory went back in time",
    Severity.HIGH,
    "a peer remembers newer messages of this node than its store holds: an old copy was put back",
    next_step="nothing has to be done for new mail; what was sent after that copy is missing from this log",
)
