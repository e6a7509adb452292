"""The outbox: a message of ours from accepted to settled.

    accepted -> [cascade: channel, hedge, channel, ...] -> receipt: on_host
                 nothing left, or 30 s: back-off -> next cascade          end of life: expired, its number closed

It numbers a message when its lane has room (at most 1,024 open to a peer, 128 of them for the urgent), starts channels
in the order of `engine.health.cascade`, and starts the next one when the first is slow or has failed. The ladder moves
only on the peer's own word (`engine.mail.proof`); what a channel "took" is written down as a try and proves nothing. A
message whose life is over keeps its number until the peer has acknowledged an empty SKIP under it: no gap can block a
stream.

It never sleeps, sends or saves: it asks (`engine.effects`).
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Arm, Effect, Publish, Resolve, Save
from engine.errors import ErrorFacts, Fault
from engine.mail import proof
from engine.mail.farewell import gone
from engine.mail.flight import back, begin, followed, onward, opened
from engine.mail.lanes import TIMER, armed, counted, ends_at, page, paged, roomy, stored, uncarried, with_lane
from engine.mail.unheard import heard_of
from engine.model.channel import NAMED, Verdict
from engine.model.envelope import KINDS, Kind, Rung
from engine.model.event import MessageMoved
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.records import AddOutbox, AddTry, MoveRung, OpenNumber, Record, Widen
from engine.signals import (
    Arrived,
    ChannelTurned,
    Loaded,
    Nudged,
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
    if fleet.mail.full and envelope.kind not in _EVEN_THEN:
        return fleet, [Resolve(signal.ticket, error=DISK_FULL)]
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    if roomy(lane, envelope.urgency):
        waiting = Waiting(envelope, signal.via, signal.widened, expires_at=ends_at(envelope, now))
        fleet, envelope, begun = opened(fleet, waiting, now)
    else:
        fleet, begun = page(with_lane(fleet, envelope.dst, stored(lane, envelope.urgency)), envelope.dst)
    fleet = counted(fleet, envelope, waiting=1)
    return fleet, [
        Save((AddOutbox(envelope, signal.via, signal.widened),)),
        Resolve(signal.ticket, value=envelope.msg_id),
        Publish(MessageMoved(envelope.msg_id, envelope.dst, Rung.ACCEPTED, None)),
        *begun,
    ]


# What others wait for, and what has happened already.
_EVEN_THEN = (Kind.FORWARD, Kind.RUNG)
DISK_FULL = ErrorFacts(
    "store.full",
    "The disk is full",
    "nothing new is accepted until there is room; what is under way is not lost",
    "free some space on the disk of the data directory (`fleet status` names it) and send again",
    Fault.WORLD,
)


def _loaded(fleet: Fleet, signal: Loaded, now: Moment) -> Step:
    """A page from the store. What has a number already was closed once and is missing at the peer: open it again."""
    if gone(fleet, signal.peer):
        return fleet, []
    lane = fleet.mail.lanes.get(signal.peer, Lane())
    again = [one for one in signal.waiting if one.envelope.seq]
    fresh = [one for one in signal.waiting if not one.envelope.seq]
    if fresh or not again:
        lane = paged(lane, fresh, signal.left)
    fleet = with_lane(fleet, signal.peer, lane)
    records: list[Record] = []
    effects: list[Effect] = []
    for waiting in fresh:
        fleet, record, begun = _taken_up(fleet, waiting, now)
        records.append(record)
        effects += begun
    for waiting in again:
        fleet, begun = _reopen(fleet, waiting, now)
        effects += begun
    fleet, more = page(fleet, signal.peer)
    saved: list[Effect] = [Save(tuple(records))] if records else []
    return fleet, [*saved, *effects, *more]


def _taken_up(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Fleet, Record, list[Effect]]:
    """A message that waited in the store gets its number; one whose life ended there needs none."""
    ends, envelope = ends_at(waiting.envelope, now), waiting.envelope
    if ends > now.mono:
        fleet, envelope, begun = opened(fleet, msgspec.structs.replace(waiting, expires_at=ends), now)
        return fleet, OpenNumber(envelope.msg_id, envelope.src_epoch, envelope.seq), begun
    fleet = counted(uncarried(fleet, envelope), envelope, waiting=-1, dead=1)
    moved = MessageMoved(envelope.msg_id, envelope.dst, Rung.EXPIRED, None)
    return fleet, MoveRung(envelope.msg_id, Rung.EXPIRED, now.wall_ms, None, TIME_OVER), [Publish(moved)]


def _reopen(fleet: Fleet, waiting: Waiting, now: Moment) -> Step:
    """A number the peer has lost. Whether a SKIP was sent under it before, nobody remembers."""
    envelope = waiting.envelope
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    if (envelope.src_epoch, envelope.seq) in lane.open:
        return fleet, []
    waiting = msgspec.structs.replace(waiting, expires_at=float("inf"), closing=waiting.skipping)
    begun, effects = begin(fleet, waiting, now)
    lane = msgspec.structs.replace(lane, open=lane.open.set((envelope.src_epoch, envelope.seq), begun))
    fleet = counted(with_lane(fleet, envelope.dst, lane), envelope, waiting=1)
    return fleet, [*_waits_again(waiting, now), *effects, Arm(TIMER + envelope.dst, begun.due)]


def _waits_again(waiting: Waiting, now: Moment) -> list[Effect]:
    """It is not on its host any more; should we die before it is again, our store must know that."""
    if waiting.skipping:
        return []
    envelope = waiting.envelope
    record = MoveRung(envelope.msg_id, Rung.ACCEPTED, now.wall_ms, None, LOST_THERE)
    return [Save((record,)), Publish(MessageMoved(envelope.msg_id, envelope.dst, Rung.ACCEPTED, None, LOST_THERE))]


LOST_THERE = "its receiver's store had lost it"


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    if not signal.key.startswith(TIMER):
        return fleet, []
    return _moved_on(fleet, signal.key.removeprefix(TIMER), now, lambda waiting: waiting.due <= now.mono)


def _turned(fleet: Fleet, signal: ChannelTurned, now: Moment) -> Step:
    """A channel came back: whoever rests need not wait for the back-off to end, nor who flies on a colder one for its
    answer."""
    if not signal.usable:
        return fleet, []

    def act(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Waiting, list[Effect]]:
        return back(fleet, waiting, signal.channel, now) if waiting.flying else _next(fleet, waiting, now)

    return _moved_on(fleet, signal.peer, now, lambda waiting: True, act)


def _nudged(fleet: Fleet, signal: Nudged, now: Moment) -> Step:
    saved: list[Effect] = []
    if signal.widen:
        # Written down first: it may still wait in the store, without a number.
        saved.append(Save((Widen(signal.widen),)))
        fleet = _widened(fleet, signal.peer, signal.widen)
    fleet, effects = _moved_on(fleet, signal.peer, now, lambda waiting: not waiting.flying)
    return fleet, [*saved, *effects]


def _widened(fleet: Fleet, peer: str, msg_id: str) -> Fleet:
    lane = fleet.mail.lanes.get(peer, Lane())
    for number, one in lane.open.items():
        if one.envelope.msg_id == msg_id:
            wider = lane.open.set(number, msgspec.structs.replace(one, via=None, widened=True))
            return with_lane(fleet, peer, msgspec.structs.replace(lane, open=wider))
    return fleet


Act = Callable[[Fleet, Waiting, Moment], tuple[Waiting, list[Effect]]]


def _next(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Waiting, list[Effect]]:
    return (onward if waiting.tried else begin)(fleet, waiting, now)


def _moved_on(fleet: Fleet, peer: str, now: Moment, picked: Callable[[Waiting], bool], act: Act = _next) -> Step:
    """Let the picked messages of a lane take their next action, urgent and old first; ring again for the rest."""
    lane = fleet.mail.lanes.get(peer)
    if lane is None or not lane.open:
        return fleet, []
    effects: list[Effect] = []
    records: list[Record] = []
    open_ = lane.open.mutate()
    over: list[Waiting] = []
    due = sorted(((number, one) for number, one in lane.open.items() if picked(one)), key=_first)
    for number, waiting in due:
        if waiting.expires_at <= now.mono and not waiting.skipping:
            over.append(waiting)
            one_over = waiting.envelope
            records.append(MoveRung(one_over.msg_id, Rung.EXPIRED, now.wall_ms, None, TIME_OVER))
            waiting = _over(waiting)
            effects.append(Publish(MessageMoved(waiting.envelope.msg_id, peer, Rung.EXPIRED, None)))
            fleet = counted(uncarried(fleet, one_over), one_over, waiting=-1, dead=1)
        open_[number], more = act(fleet, waiting, now)
        effects += more
    lane = msgspec.structs.replace(lane, open=open_.finish())
    fleet = with_lane(fleet, peer, lane)
    effects += heard_of(fleet, peer, over, lane.open.values())
    saved: list[Effect] = [Save(tuple(records))] if records else []
    return fleet, [*saved, *effects, *armed(peer, lane)]


def _first(pair: tuple[Number, Waiting]) -> tuple[int, Number]:
    return -pair[1].envelope.urgency, pair[0]


def _over(waiting: Waiting) -> Waiting:
    """The message is over, its number is not: from here on an empty SKIP travels under it."""
    envelope = waiting.envelope
    skip = msgspec.structs.replace(envelope, kind=Kind.SKIP, body=b"", ttl_s=0, thread="")
    died = KINDS[envelope.kind].public
    return Waiting(skip, widened=waiting.widened, skipping=True, died=died)


TIME_OVER = "its time to live ended"


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    """Write every try of a message down; a failed one lets its messages go to their next channel at once."""
    if not signal.numbers:
        return fleet, []
    outcome = signal.outcome
    lane = fleet.mail.lanes.get(signal.peer)
    verdict, took_ms = str(outcome.verdict), round(signal.latency_ms, 3)
    tries = tuple(
        AddTry(msg_id, signal.channel, verdict, took_ms, now.wall_ms, _note(fleet, lane, (epoch, seq), signal))
        for epoch, seq, msg_id in signal.numbers
        if msg_id
    )
    effects: list[Effect] = [Save(tries, lazy=True)] if tries else []
    if lane is None:
        return fleet, effects
    open_ = lane.open.mutate()
    for epoch, seq, _ in signal.numbers:
        waiting = open_.get((epoch, seq))
        if waiting is not None and signal.channel in waiting.tried:
            open_[epoch, seq], more = _judged(fleet, waiting, signal, now)
            effects += more
    if outcome.verdict is Verdict.CONFIRMED:
        for number, _ in sorted((pair for pair in lane.open.items() if _pressing(pair[1])), key=_first):
            open_[number], more = followed(fleet, open_[number], signal.channel, now)
            effects += more
    lane = msgspec.structs.replace(lane, open=open_.finish())
    return with_lane(fleet, signal.peer, lane), [*effects, *armed(signal.peer, lane)]


def _note(fleet: Fleet, lane: Lane | None, number: Number, signal: Tried) -> str:
    """What is known of a try: what its channel said, and first that a hold was passed over for the sender's word."""
    note, waiting = signal.outcome.note, lane.open.get(number) if lane else None
    if waiting is None or waiting.via is not signal.channel or not fleet.health(signal.peer, signal.channel).held:
        return note
    return f"{NAMED}; {note}" if note else NAMED


def _pressing(waiting: Waiting) -> bool:
    return waiting.envelope.urgency.pressing


def _judged(fleet: Fleet, waiting: Waiting, signal: Tried, now: Moment) -> tuple[Waiting, list[Effect]]:
    flying = tuple(one for one in waiting.flying if one[0] is not signal.channel)
    waiting = msgspec.structs.replace(waiting, flying=flying)
    if signal.outcome.verdict is Verdict.CONFIRMED:
        # The receipt that settles it is the next thing to be heard; should it not cover this one, `due` goes on.
        return waiting, []
    if signal.outcome.verdict is Verdict.LANDED:
        return msgspec.structs.replace(waiting, landed=waiting.landed | {signal.channel}), []
    return onward(fleet, waiting, now)


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """After a restart every open number takes up its cascade again, and what waits in the store is fetched."""
    effects: list[Effect] = []
    for peer, lane in sorted(fleet.mail.lanes.items(), key=lambda pair: pair[0]):
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
    Arrived: proof.heard,
    StoreFilled: _filled,
    StoreFreed: _filled,
}
