"""The outbox: a message of ours from accepted to settled.

    accepted -> [cascade: channel, hedge, channel, ...] -> receipt: on_host
                 nothing left, or 30 s: back-off -> next cascade          end of life: expired, its number closed

It numbers a message when its lane has room (at most 1,024 open to a peer), starts channels in the order of
`engine.health.cascade`, starts the next one when the first is slow or has failed, and moves the ladder only on the
peer's own receipt. What a channel "took" is written down as a try and proves nothing. A message whose life is over
keeps its number until the peer has acknowledged an empty SKIP under it, so no gap can block a stream.

It never sleeps, sends or saves: it asks (`engine.effects`).
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from engine.effects import Arm, Effect, Publish, Raise, Reload, Resolve, Save
from engine.errors import ErrorFacts, Fault
from engine.health.cascade import hedge_s
from engine.mail import receipts
from engine.mail.farewell import gone
from engine.mail.flight import begin, onward
from engine.mail.lanes import TIMER, armed, counted, ends_at, page, uncarried, with_lane
from engine.model.channel import Channel, Verdict
from engine.model.envelope import FAILED, OPEN_LIMIT, Envelope, Kind, Rung
from engine.model.event import MessageMoved
from engine.model.mail import AckLine, Lane, Parcel, Waiting
from engine.model.moment import Moment
from engine.model.packets import Note, Receipt, unpack
from engine.model.records import AddOutbox, AddTry, MoveRung, OpenNumber, Record
from engine.signals import (
    Arrived,
    ChannelTurned,
    Loaded,
    Nudged,
    Overtaken,
    Posted,
    Rang,
    Signal,
    Started,
    StoreFilled,
    StoreFreed,
    Tried,
)
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]
Number = tuple[int, int]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The outbox after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _posted(fleet: Fleet, signal: Posted, now: Moment) -> Step:
    envelope = signal.envelope
    if fleet.mail.full and envelope.kind is not Kind.FORWARD:
        return fleet, [Resolve(signal.ticket, error=DISK_FULL)]
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    opened: list[Effect] = []
    if len(lane.open) < OPEN_LIMIT and not lane.backlog:
        waiting = Waiting(envelope, signal.via, signal.widened, expires_at=ends_at(envelope, now))
        fleet, envelope, opened = _open(fleet, waiting, now)
    else:
        fleet = with_lane(fleet, envelope.dst, msgspec.structs.replace(lane, backlog=lane.backlog + 1))
        fleet, opened = page(fleet, envelope.dst)
    fleet = counted(fleet, envelope, waiting=1)
    return fleet, [
        Save((AddOutbox(envelope, signal.via, signal.widened),)),
        Resolve(signal.ticket, value=envelope.msg_id),
        Publish(MessageMoved(envelope.msg_id, envelope.dst, Rung.ACCEPTED, None)),
        *opened,
    ]


DISK_FULL = ErrorFacts(
    "store.full",
    "The disk is full",
    "nothing new is accepted until there is room; what is under way goes on",
    "free some space on the disk of the data directory (`fleet status` names it) and send again",
    Fault.WORLD,
)


def _open(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Fleet, Envelope, list[Effect]]:
    """Give a message the next number of its lane and begin its first cascade."""
    dst = waiting.envelope.dst
    lane = fleet.mail.lanes.get(dst, Lane())
    envelope = msgspec.structs.replace(waiting.envelope, src_epoch=fleet.me.epoch, seq=lane.next_seq)
    lane = msgspec.structs.replace(lane, next_seq=lane.next_seq + 1)
    begun, effects = begin(fleet, msgspec.structs.replace(waiting, envelope=envelope), now)
    lane = msgspec.structs.replace(lane, open=lane.open.set((envelope.src_epoch, envelope.seq), begun))
    return with_lane(fleet, dst, lane), envelope, [*effects, Arm(TIMER + dst, begun.due)]


def _loaded(fleet: Fleet, signal: Loaded, now: Moment) -> Step:
    """A page from the store. What has a number already was closed once and is missing at the peer: open it again."""
    if gone(fleet, signal.peer):
        return fleet, []
    lane = fleet.mail.lanes.get(signal.peer, Lane())
    again = [one for one in signal.waiting if one.envelope.seq]
    fresh = [one for one in signal.waiting if not one.envelope.seq]
    if fresh or not again:
        lane = msgspec.structs.replace(lane, backlog=signal.left, loading=False)
    fleet = with_lane(fleet, signal.peer, lane)
    records: list[Record] = []
    effects: list[Effect] = []
    for waiting in fresh:
        ends = ends_at(waiting.envelope, now)
        fleet, envelope, begun = _open(fleet, msgspec.structs.replace(waiting, expires_at=ends), now)
        records.append(OpenNumber(envelope.msg_id, envelope.src_epoch, envelope.seq))
        effects += begun
    for waiting in again:
        fleet, begun = _reopen(fleet, waiting, now)
        effects += begun
    saved: list[Effect] = [Save(tuple(records))] if records else []
    return fleet, [*saved, *effects]


def _reopen(fleet: Fleet, waiting: Waiting, now: Moment) -> Step:
    envelope = waiting.envelope
    begun, effects = begin(fleet, msgspec.structs.replace(waiting, expires_at=float("inf")), now)
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    lane = msgspec.structs.replace(lane, open=lane.open.set((envelope.src_epoch, envelope.seq), begun))
    return counted(with_lane(fleet, envelope.dst, lane), envelope, waiting=1), [
        *effects,
        Arm(TIMER + envelope.dst, begun.due),
    ]


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    if not signal.key.startswith(TIMER):
        return fleet, []
    return _moved_on(fleet, signal.key.removeprefix(TIMER), now, lambda waiting: waiting.due <= now.mono)


def _turned(fleet: Fleet, signal: ChannelTurned, now: Moment) -> Step:
    """A channel came back: whoever rests need not wait for the back-off to end."""
    if not signal.usable:
        return fleet, []
    return _moved_on(fleet, signal.peer, now, lambda waiting: not waiting.flying)


def _nudged(fleet: Fleet, signal: Nudged, now: Moment) -> Step:
    return _moved_on(fleet, signal.peer, now, lambda waiting: not waiting.flying)


def _moved_on(fleet: Fleet, peer: str, now: Moment, picked: Callable[[Waiting], bool]) -> Step:
    """Let the picked messages of a lane take their next action, urgent and old first; ring again for the rest."""
    lane = fleet.mail.lanes.get(peer)
    if lane is None or not lane.open:
        return fleet, []
    effects: list[Effect] = []
    records: list[Record] = []
    open_ = lane.open.mutate()
    due = sorted(((number, one) for number, one in lane.open.items() if picked(one)), key=_first)
    for number, waiting in due:
        if waiting.expires_at <= now.mono and not waiting.skipping:
            one_over = waiting.envelope
            waiting, ended = _ended(waiting, Rung.EXPIRED, "its time to live ended", now)
            records += ended
            effects.append(Publish(MessageMoved(waiting.envelope.msg_id, peer, Rung.EXPIRED, None)))
            fleet = counted(uncarried(fleet, one_over), one_over, waiting=-1, dead=1)
        act = onward if waiting.tried else begin
        open_[number], more = act(fleet, waiting, now)
        effects += more
    lane = msgspec.structs.replace(lane, open=open_.finish())
    fleet = with_lane(fleet, peer, lane)
    saved: list[Effect] = [Save(tuple(records))] if records else []
    return fleet, [*saved, *effects, *armed(peer, lane)]


def _first(pair: tuple[Number, Waiting]) -> tuple[int, Number]:
    return -pair[1].envelope.urgency, pair[0]


def _ended(waiting: Waiting, rung: Rung, reason: str, now: Moment) -> tuple[Waiting, list[Record]]:
    """The message is over, its number is not: from here on an empty SKIP travels under it."""
    envelope = waiting.envelope
    skip = msgspec.structs.replace(envelope, kind=Kind.SKIP, body=b"", ttl_s=0, thread="")
    over = msgspec.structs.replace(
        waiting, envelope=skip, skipping=True, expires_at=float("inf"), tried=(), flying=(), via=None, landed=False
    )
    return over, [MoveRung(envelope.msg_id, rung, now.wall_ms, None, reason)]


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    """Write every try down; a failed one lets its messages go to their next channel at once."""
    if not signal.numbers:
        return fleet, []
    outcome = signal.outcome
    tries = tuple(
        AddTry(msg_id, signal.channel, str(outcome.verdict), round(signal.latency_ms, 3), now.wall_ms, outcome.note)
        for _, _, msg_id in signal.numbers
    )
    effects: list[Effect] = [Save(tries, lazy=True)]
    lane = fleet.mail.lanes.get(signal.peer)
    if lane is None:
        return fleet, effects
    open_ = lane.open.mutate()
    for epoch, seq, _ in signal.numbers:
        waiting = open_.get((epoch, seq))
        if waiting is not None and signal.channel in waiting.tried:
            open_[epoch, seq], more = _judged(fleet, waiting, signal, now)
            effects += more
    lane = msgspec.structs.replace(lane, open=open_.finish())
    return with_lane(fleet, signal.peer, lane), [*effects, *armed(signal.peer, lane)]


def _judged(fleet: Fleet, waiting: Waiting, signal: Tried, now: Moment) -> tuple[Waiting, list[Effect]]:
    flying = tuple(one for one in waiting.flying if one[0] is not signal.channel)
    waiting = msgspec.structs.replace(waiting, flying=flying)
    if signal.outcome.verdict is Verdict.CONFIRMED:
        # The receipt that settles it is the next thing to be heard; should it not cover this one, `due` goes on.
        return waiting, []
    if signal.outcome.verdict is Verdict.LANDED:
        return msgspec.structs.replace(waiting, landed=True), []
    return onward(fleet, waiting, now)


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    effects: list[Effect] = []
    for parcel in signal.parcels:
        via = Channel.RELAY if parcel.relay else signal.via
        acks, notes = _said(parcel)
        if notes:
            fleet, more = _noted(fleet, parcel.envelope.src, notes, via, now)
            effects += more
        if acks:
            fleet, more = _acknowledged(fleet, parcel.envelope.src, acks, via, now)
            effects += more
        if parcel.envelope.kind is Kind.HEARTBEAT:
            fleet, more = _compared(fleet, parcel)
            effects += more
    return fleet, effects


def _said(parcel: Parcel) -> tuple[tuple[AckLine, ...], tuple[Note, ...]]:
    if parcel.envelope.kind is not Kind.RECEIPT:
        return parcel.acks, ()
    receipt: Receipt = unpack(Kind.RECEIPT, parcel.envelope.body)
    return receipt.acks, receipt.notes


def _acknowledged(fleet: Fleet, peer: str, acks: Iterable[AckLine], via: Channel, now: Moment) -> Step:
    """The peer holds these numbers: their messages are on its host, and their numbers are closed."""
    lane = fleet.mail.lanes.get(peer)
    if lane is None or not lane.open:
        return fleet, []
    records: list[Record] = []
    effects: list[Effect] = []
    open_ = lane.open.mutate()
    for number in list(receipts.covered(acks, lane.open)):
        waiting = open_.pop(number)
        if waiting.skipping:
            continue
        channel = _proved_by(waiting, via)
        records.append(MoveRung(waiting.envelope.msg_id, Rung.ON_HOST, now.wall_ms, channel))
        effects.append(Publish(MessageMoved(waiting.envelope.msg_id, peer, Rung.ON_HOST, channel)))
        effects += _overtaken(fleet, waiting, via, now)
        fleet = counted(uncarried(fleet, waiting.envelope), waiting.envelope, waiting=-1)
    closed = open_.finish()
    if len(closed) == len(lane.open):
        return fleet, []
    fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, open=closed))
    fleet, paged = page(fleet, peer)
    saved: list[Effect] = [Save(tuple(records), lazy=True)] if records else []
    return fleet, [*saved, *effects, *paged]


def _proved_by(waiting: Waiting, via: Channel) -> Channel:
    """The channel that carried it: the receipt's own if it was tried there, else the last one tried."""
    return via if via in waiting.tried or not waiting.tried else waiting.tried[-1]


def _overtaken(fleet: Fleet, waiting: Waiting, via: Channel, now: Moment) -> list[Effect]:
    """Channels still silent past their hedge while this one proved the message: health wants to know."""
    peer, mail = waiting.envelope.dst, fleet.config.mail
    return [
        Raise(Overtaken(peer, channel))
        for channel, since in waiting.flying
        if channel is not via and now.mono - since > hedge_s(fleet.health(peer, channel), mail)
    ]


def _noted(fleet: Fleet, peer: str, notes: Iterable[Note], via: Channel, now: Moment) -> Step:
    """What the peer says of single numbers: refused for good, or held after all although we closed it."""
    effects: list[Effect] = []
    for note in notes:
        lane = fleet.mail.lanes.get(peer, Lane())
        waiting = lane.open.get((note.epoch, note.seq))
        if waiting is None or note.rung not in _NOTABLE:
            continue
        late = waiting.skipping and note.rung == Rung.ON_HOST
        if waiting.skipping and not late:
            continue
        rung = Rung(note.rung)
        record = MoveRung(waiting.envelope.msg_id, rung, now.wall_ms, via if late else None, note.reason)
        effects += [Save((record,)), Publish(MessageMoved(waiting.envelope.msg_id, peer, rung, via, note.reason))]
        lane = msgspec.structs.replace(lane, open=lane.open.delete((note.epoch, note.seq)))
        died = rung in FAILED
        fleet = uncarried(with_lane(fleet, peer, lane), waiting.envelope)
        fleet = counted(fleet, waiting.envelope, waiting=-1 if died else 0, dead=1 if died else -1)
    return fleet, effects


_NOTABLE = frozenset({Rung.ON_HOST.value, Rung.REFUSED.value})


def _compared(fleet: Fleet, parcel: Parcel) -> Step:
    """Hold a heartbeat's receipts against what we closed: what the peer no longer holds, its store has lost.

    Heartbeats are compared in the order they were sent, so an old receipt cannot look like a loss.
    """
    peer = parcel.envelope.src
    key = (parcel.envelope.src_epoch, parcel.envelope.seq)
    lane = fleet.mail.lanes.get(peer)
    if lane is None or key <= lane.heard:
        return fleet, []
    fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, heard=key))
    mine = next((ack for ack in parcel.acks if ack.epoch == fleet.me.epoch), None) or AckLine(fleet.me.epoch, 0)
    lost = [seq for seq in receipts.missing(mine, lane.next_seq, OPEN_LIMIT) if (fleet.me.epoch, seq) not in lane.open]
    return fleet, [Reload(peer, fleet.me.epoch, tuple(lost))] if lost else []


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """After a restart every open number takes up its cascade again, and what waits in the store is fetched."""
    effects: list[Effect] = []
    for peer, lane in fleet.mail.lanes.items():
        fleet, paged = page(fleet, peer)
        effects += [*armed(peer, lane), *paged]
    return fleet, effects


def _filled(fleet: Fleet, signal: StoreFilled | StoreFreed, now: Moment) -> Step:
    mail = msgspec.structs.replace(fleet.mail, full=isinstance(signal, StoreFilled))
    return msgspec.structs.replace(fleet, mail=mail), []


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Started: _started,
    Posted: _posted,
    Loaded: _loaded,
    Rang: _rang,
    ChannelTurned: _turned,
    Nudged: _nudged,
    Tried: _tried,
    Arrived: _arrived,
    StoreFilled: _filled,
    StoreFreed: _filled,
}
