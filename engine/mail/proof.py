"""What a peer's own word proves of our messages, and nothing else does.

    receipt lines  a number in them is held there: its message is on its host, however late that is heard
    notes          a number was refused; was held although we gave it up; belongs to an epoch that is over; or is to
                   come later, because the peer has too much of ours
    a heartbeat    a number we closed is missing in its lines: the peer's store has lost it, so it is read again

Words of an earlier life of the peer prove nothing: it may have lost its store since. Of one life the newest pulse
counts, by its number. That a number is held proves its message only while no SKIP has been sent under it.
"""

from collections.abc import Callable, Iterable

import msgspec

from engine.effects import Arm, Effect, Publish, Raise, Reload, Save
from engine.mail import receipts
from engine.mail.flight import opened, rested, silent
from engine.mail.lanes import TIMER, counted, page, revived, uncarried, with_lane
from engine.mail.unheard import heard_of, unheard
from engine.model.channel import Channel, Verdict
from engine.model.envelope import OPEN_LIMIT, Kind, Rung
from engine.model.event import MessageMoved
from engine.model.mail import AckLine, Lane, Parcel, Waiting
from engine.model.moment import Moment
from engine.model.packets import BUSY, CLOSED, Note
from engine.model.records import AddTry, MoveRung, OpenNumber, Record
from engine.model.story import OVERTAKEN
from engine.signals import Arrived, Overtaken
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def heard(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    """Our messages after what the senders of these parcels say of them."""
    effects: list[Effect] = []
    for parcel in signal.parcels:
        lane = fleet.mail.lanes.get(parcel.envelope.src)
        if lane is not None and parcel.envelope.src_epoch >= lane.heard[0]:
            via = Channel.RELAY if parcel.relay else signal.via
            fleet, more = _read(fleet, lane, parcel, via, now)
            effects += more
    return fleet, effects


def _read(fleet: Fleet, lane: Lane, parcel: Parcel, via: Channel, now: Moment) -> Step:
    peer, kind = parcel.envelope.src, parcel.envelope.kind
    number = (parcel.envelope.src_epoch, parcel.envelope.seq)
    newest = kind in _PULSES and number > lane.heard
    if newest:
        fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, heard=number))
    said = receipts.said(parcel)
    effects: list[Effect] = []
    for note in said.notes:
        fleet, more = _noted(fleet, peer, note, via, now)
        effects += more
    if said.acks:
        fleet, more = _acknowledged(fleet, peer, said.acks, via, now)
        effects += more
    if newest and kind is Kind.HEARTBEAT:
        effects += _missed(fleet, peer, said.acks)
    return fleet, effects


_PULSES = frozenset({Kind.RECEIPT, Kind.HEARTBEAT})
_NAMES = frozenset(map(str, Channel))


def _acknowledged(fleet: Fleet, peer: str, acks: tuple[AckLine, ...], via: Channel, now: Moment) -> Step:
    """The peer holds these numbers: their messages are on its host, and their numbers are closed."""
    brought = {(ack.epoch, seq): Channel(name) for ack in acks for seq, name in ack.brought if name in _NAMES}
    lane = fleet.mail.lanes.get(peer, Lane())
    records: list[Record] = []
    effects: list[Effect] = []
    over: list[Waiting] = []
    open_ = lane.open.mutate()
    for number in sorted(receipts.covered(acks, lane.open)):
        waiting = open_.pop(number)
        if waiting.closing:
            continue
        over.append(waiting)
        channel = brought.get(number) or _proved_by(waiting, via)
        records.append(MoveRung(waiting.envelope.msg_id, Rung.ON_HOST, now.wall_ms, channel))
        effects.append(Publish(MessageMoved(waiting.envelope.msg_id, peer, Rung.ON_HOST, channel)))
        records += _unended(waiting, channel, via, now)
        effects += _overtaken(fleet, waiting, via, now)
        fleet = _settled(fleet, waiting)
    closed = open_.finish()
    if len(closed) == len(lane.open):
        return fleet, []
    fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, open=closed))
    effects += heard_of(fleet, peer, over, closed.values())
    fleet, paged = page(fleet, peer)
    saved: list[Effect] = [Save(tuple(records), lazy=True)] if records else []
    return fleet, [*saved, *effects, *paged]


def _settled(fleet: Fleet, waiting: Waiting) -> Fleet:
    if waiting.skipping:
        return revived(fleet) if waiting.died else fleet
    return counted(uncarried(fleet, waiting.envelope), waiting.envelope, waiting=-1)


def _unended(waiting: Waiting, channel: Channel, via: Channel, now: Moment) -> list[Record]:
    """The receipt may be faster than the end of the try that earned it, which is told when it comes. It may never: what
    had not left yet never does, and either node may die first. So what is written now is true without it."""
    since = dict(waiting.flying).get(channel)
    if since is None:
        return []
    ms = round((now.mono - since) * 1000, 3)
    return [AddTry(waiting.envelope.msg_id, channel, OVERTAKEN, ms, now.wall_ms, f"its receipt came over {via}")]


def _proved_by(waiting: Waiting, via: Channel) -> Channel:
    """The channel that carried it, where the receipt does not say: its own if the message was tried there; else one
    that took the message and could not be answered, for what can be answered mostly was; else the last one tried."""
    if via in waiting.tried or not waiting.tried:
        return via
    stored = [channel for channel in waiting.tried if channel in waiting.landed]
    return stored[-1] if stored else waiting.tried[-1]


def _overtaken(fleet: Fleet, waiting: Waiting, via: Channel, now: Moment) -> list[Effect]:
    """Channels silent past their hedge while this one proved the message, without an answer to anything since: health
    wants to know. One that answers others is only busy."""
    return [
        Raise(Overtaken(waiting.envelope.dst, channel))
        for channel, since in waiting.flying
        if channel is not via and silent(fleet, waiting, channel, since, now)
    ]


def _noted(fleet: Fleet, peer: str, note: Note, via: Channel, now: Moment) -> Step:
    """One number of which "I hold it" is not the whole truth."""
    lane = fleet.mail.lanes.get(peer, Lane())
    waiting = lane.open.get((note.epoch, note.seq))
    act = _NOTED.get(note.rung)
    return act(fleet, waiting, note, via, now) if waiting and act else (fleet, [])


def _held_after_all(fleet: Fleet, waiting: Waiting, note: Note, via: Channel, now: Moment) -> Step:
    """The message was there before its SKIP: we gave it up while its receipt was on the way."""
    return _ended(_settled(fleet, waiting), waiting, Rung.ON_HOST, via, "", now)


def _refused(fleet: Fleet, waiting: Waiting, note: Note, via: Channel, now: Moment) -> Step:
    """The peer will never take it."""
    if not waiting.skipping:
        fleet = counted(uncarried(fleet, waiting.envelope), waiting.envelope, waiting=-1, dead=1)
    return _ended(fleet, waiting, Rung.REFUSED, None, note.reason, now)


def _ended(fleet: Fleet, waiting: Waiting, rung: Rung, via: Channel | None, why: str, now: Moment) -> Step:
    envelope = waiting.envelope
    fleet = _without(fleet, waiting)
    if waiting.skipping and rung is not Rung.ON_HOST:
        return fleet, []
    moved = MessageMoved(envelope.msg_id, envelope.dst, rung, via, why)
    unsaid = heard_of(fleet, envelope.dst, (waiting,), fleet.mail.lanes[envelope.dst].open.values())
    return fleet, [Save((MoveRung(envelope.msg_id, rung, now.wall_ms, via, why),)), Publish(moved), *unsaid]


def _closed(fleet: Fleet, waiting: Waiting, note: Note, via: Channel, now: Moment) -> Step:
    """Our store remembers a number that had been closed (an old copy of it was put back). Whether the message arrived
    then, nobody here knows: it goes again under a new number, and its receiver knows its id."""
    if note.epoch >= fleet.me.epoch:
        return fleet, []
    fleet = _without(fleet, waiting)
    if waiting.skipping:
        return fleet, []
    fleet, envelope, begun = opened(fleet, waiting, now)
    return fleet, [Save((OpenNumber(envelope.msg_id, envelope.src_epoch, envelope.seq),)), *begun]


def _busy(fleet: Fleet, waiting: Waiting, note: Note, via: Channel, now: Moment) -> Step:
    """It has too much of ours, or no room, and took none of this, whatever brought it: another channel would only add
    to that."""
    if waiting.skipping:
        return fleet, []
    envelope = waiting.envelope
    resting = rested(fleet, msgspec.structs.replace(waiting, landed=frozenset()), now)
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    open_ = lane.open.set((envelope.src_epoch, envelope.seq), resting)
    lane = msgspec.structs.replace(lane, open=open_)
    why = f"the peer is busy: {note.reason[:80] or TOO_MUCH}"
    told = AddTry(envelope.msg_id, via, str(Verdict.REFUSED), 0.0, now.wall_ms, why)
    fleet = with_lane(fleet, envelope.dst, lane)
    return fleet, [Save((told,), lazy=True), *unheard(fleet, resting), Arm(TIMER + envelope.dst, resting.due)]


TOO_MUCH = "it gets too many messages from here"


def _without(fleet: Fleet, waiting: Waiting) -> Fleet:
    envelope = waiting.envelope
    lane = fleet.mail.lanes.get(envelope.dst, Lane())
    left = lane.open.delete((envelope.src_epoch, envelope.seq))
    return with_lane(fleet, envelope.dst, msgspec.structs.replace(lane, open=left))


_NOTED: dict[str, Callable[[Fleet, Waiting, Note, Channel, Moment], Step]] = {
    Rung.ON_HOST: _held_after_all,
    Rung.REFUSED: _refused,
    CLOSED: _closed,
    BUSY: _busy,
}


def _missed(fleet: Fleet, peer: str, acks: Iterable[AckLine]) -> list[Effect]:
    """What we closed in this life and the peer's lines no longer hold."""
    lane, epoch = fleet.mail.lanes.get(peer, Lane()), fleet.me.epoch
    mine = next((ack for ack in acks if ack.epoch == epoch), AckLine(epoch, 0))
    lost = [seq for seq in receipts.missing(mine, lane.next_seq, OPEN_LIMIT) if (epoch, seq) not in lane.open]
    return [Reload(peer, epoch, tuple(lost))] if lost else []
