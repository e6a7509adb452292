"""When our own store went back in time.

Every start mints an epoch above the last one and not below the wall clock, so numbers are never used twice even where
an old copy of the store was put back. One case is left: the clock went back as well. A peer then remembers a newer
epoch of ours than we have, and says so in its heartbeat; it would take what we send under the old epoch for a replay.
We move above it, and give every message numbered since this start a new number. It is told as a finding, because a
store that went back has forgotten messages too.
"""

import msgspec
from immutables import Map

from engine.effects import Effect, Raise, Save
from engine.model.envelope import Kind
from engine.model.finding import Finding, Severity
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.packets import Heartbeat, unpack
from engine.model.records import OpenNumber, PutMeta, Record
from engine.signals import Arrived, Found, Signal
from engine.state import Fleet

# Where the store keeps the epoch of the last start (`engine.store.rows`).
META_KEY = "store.epoch"


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """Move above any epoch of ours that a peer has seen and we have not."""
    if not isinstance(signal, Arrived):
        return fleet, []
    beats = (parcel.envelope for parcel in signal.parcels if parcel.envelope.kind is Kind.HEARTBEAT)
    seen = max((_seen(beat.body) for beat in beats), default=0)
    return _raised(fleet, seen + 1) if seen > fleet.me.epoch else (fleet, [])


def _seen(body: bytes) -> int:
    beat: Heartbeat = unpack(Kind.HEARTBEAT, body)
    return beat.your_epoch


def _raised(fleet: Fleet, epoch: int) -> tuple[Fleet, list[Effect]]:
    old = fleet.me.epoch
    records: list[Record] = [PutMeta(META_KEY, str(epoch).encode())]
    lanes = fleet.mail.lanes.mutate()
    for peer, lane in fleet.mail.lanes.items():
        lanes[peer] = _renumbered(lane, old, epoch, records)
    mail = msgspec.structs.replace(fleet.mail, lanes=lanes.finish())
    me = msgspec.structs.replace(fleet.me, epoch=epoch)
    return msgspec.structs.replace(fleet, me=me, mail=mail), [Save(tuple(records)), Raise(Found(WENT_BACK))]


def _renumbered(lane: Lane, old: int, epoch: int, records: list[Record]) -> Lane:
    fresh: dict[tuple[int, int], Waiting] = {}
    next_seq = 1
    for (was, seq), waiting in sorted(lane.open.items()):
        if was != old:
            fresh[was, seq] = waiting
            continue
        envelope = msgspec.structs.replace(waiting.envelope, src_epoch=epoch, seq=next_seq)
        fresh[epoch, next_seq] = msgspec.structs.replace(waiting, envelope=envelope, tried=(), flying=(), due=0.0)
        records.append(OpenNumber(envelope.msg_id, epoch, next_seq))
        next_seq += 1
    return msgspec.structs.replace(lane, open=Map(fresh), next_seq=next_seq)


WENT_BACK = Finding(
    "store.went_back",
    "This node's memory went back in time",
    Severity.HIGH,
    "a peer remembers newer messages of this node than its store holds: an old copy was put back",
    next_step="nothing has to be done for new mail; what was sent after that copy is missing from this log",
)
