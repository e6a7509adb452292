"""The inbox: an authenticated parcel takes effect once, is durable before it is visible, visible before acknowledged.

    parcel -> number known?  yes: only the receipt again
                             no : the number and its effect, in one transaction; then the receipt

Durable kinds are told apart by (sender, epoch, number); nothing is dropped as old, because everything at or below the
watermark is held. Pulses pass a sliding window. An epoch below the floor its sender announced is closed: what comes
from it is a replay, or its sender's store went back; it is not taken, and its sender is told. A number too far ahead is
not taken either, and not refused: its sender keeps it, and begins another epoch. No clock decides what is fresh.
"""

from collections.abc import Callable

import msgspec
from immutables import Map

from engine.effects import Answer, Deliver, Effect, Publish, Raise, Save
from engine.health.cascade import choose, trusted
from engine.mail import flood, relay, welcome
from engine.mail.receipts import receipt, stream_of, to_bytes, with_stream
from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import AHEAD_LIMIT, KINDS, Envelope, Kind, Rung
from engine.model.event import MessageCame
from engine.model.hop import Addressee, session_of
from engine.model.mail import ECHO_S, ECHOES, Echo, Parcel, Pulse, Stream
from engine.model.moment import Moment
from engine.model.packets import BUSY, CLOSED, Climbs, Forward, Heartbeat, Note, Pong, Wake, unpack
from engine.model.records import AddInbox, DropStreams, Record, SetStream
from engine.signals import (
    Addressed,
    Arrived,
    Climbed,
    ForwardCame,
    Greeted,
    MemberAsked,
    MendAnswered,
    MendCame,
    Rejected,
    Signal,
    WakeCame,
)
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

WINDOW = 1_024


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The inbox after one delivery."""
    return _arrived(fleet, signal, now) if isinstance(signal, Arrived) else (fleet, [])


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    """All parcels of one delivery, one transaction, one receipt a sender."""
    before = fleet
    records: list[Record] = []
    effects: list[Effect] = []
    notes: dict[str, list[Note]] = {}
    came: dict[str, list[Echo]] = {}
    delivered: set[tuple[str, int]] = set()
    owed: dict[str, None] = {}
    thrown: set[str] = set()
    room: dict[str, float] = {}
    flooding: set[str] = set()
    for parcel in signal.parcels:
        envelope = parcel.envelope
        via = Channel.RELAY if parcel.relay else signal.via
        if CHANNELS[via].stores and (envelope.kind is Kind.PING if parcel.relay else envelope.kind is not Kind.RECEIPT):
            came.setdefault(envelope.src, []).append(_echo(fleet, envelope, via, now))
        if (why := _not_now(fleet, envelope, room, flooding, now)) is not None:
            if envelope.kind is Kind.PASS:
                # It has no number that could be told: without a receipt it goes another way.
                thrown.add(envelope.src)
                effects.append(Raise(Rejected("not_carried", via, envelope.src)))
                continue
            notes.setdefault(envelope.src, []).append(Note(envelope.src_epoch, envelope.seq, BUSY, why))
            owed[envelope.src] = None
        elif KINDS[envelope.kind].durable:
            fleet, note = _take(fleet, parcel, via, now, records, effects)
            delivered.add((envelope.src, envelope.src_epoch))
            notes.setdefault(envelope.src, []).extend(note)
            owed[envelope.src] = None
        else:
            fleet, more = _pulse(fleet, parcel, via, now)
            effects += more
            if envelope.kind in _ANSWERED or (signal.token and not parcel.relay):
                owed[envelope.src] = None
            if _thrown_away(fleet, parcel):
                thrown.add(envelope.src)
    effects += _addressed(records)
    records += _streams(before, fleet, delivered)
    fleet = _echoing(fleet, came, now)
    fleet, told = flood.settled(fleet, room, flooding, now)
    effects += told
    answers = tuple(
        receipt(
            fleet,
            src,
            now,
            tuple(notes.get(src, ())),
            {epoch for one, epoch in delivered if one == src},
            tuple(Pong(one.channel, one.msg_id) for one in fleet.mail.echoes.get(src, ()) if one.until > now.mono),
        )
        for src in owed
        if src not in thrown
    )
    saved: list[Effect] = [Save(tuple(records))] if records else []
    return fleet, [*saved, *effects, *_answered(fleet, signal, answers, now)]


# Why a letter is answered busy, where it is not that its sender sends too many.
NO_ROOM = "its disk is full"


def _not_now(fleet: Fleet, envelope: Envelope, room: dict[str, float], flooding: set[str], now: Moment) -> str | None:
    """Why a parcel is answered busy (no word: its sender is `flooding`); None: it is taken, and what it weighs is out
    of its sender's bucket. On a full disk the room that was kept back is for settling what is under way, and not for
    letters."""
    src, weight = envelope.src, _weight(fleet, envelope)
    if not weight:
        return None
    if fleet.mail.full and KINDS[envelope.kind].durable and envelope.kind not in _EFFECTS:
        return NO_ROOM
    if src not in room:
        room[src] = flood.room(fleet, src, now)
    if room[src] < 1:
        flooding.add(src)
        return ""
    room[src] -= weight
    return None


def _weight(fleet: Fleet, envelope: Envelope) -> int:
    """What is kept as a letter is one, and so is a frame that we are to carry on; a word on our letters is as many as
    it names, for each is looked up and told, whether we ever wrote it or not. What is known already, and what somebody
    else could replay, is nothing."""
    src, epoch = envelope.src, envelope.src_epoch
    if envelope.kind is Kind.PASS:
        seen = slide(fleet.mail.pulses.get(src, Pulse()), epoch, envelope.seq) is None
        return int(not seen and relay.keeps(_to_carry(fleet, envelope)))
    if epoch < fleet.mail.floors.get(src, 0) or stream_of(fleet, src, epoch).holds(envelope.seq):
        return 0
    if envelope.kind is Kind.RUNG:
        said: Climbs = unpack(Kind.RUNG, envelope.body)
        return max(1, len(said.climbs))
    return int(KINDS[envelope.kind].durable and envelope.kind not in _EFFECTS)


def _take(
    fleet: Fleet, parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]
) -> tuple[Fleet, list[Note]]:
    """One durable parcel: its effect if its number is new, and a note where "held" is not the whole truth."""
    envelope = parcel.envelope
    src, epoch, seq = envelope.src, envelope.src_epoch, envelope.seq
    stream = stream_of(fleet, src, epoch)
    if epoch < fleet.mail.floors.get(src, 0) or seq < 1:
        effects.append(Raise(Rejected("replayed", via, src)))
        return fleet, [Note(epoch, seq, CLOSED)]
    if stream.holds(seq):
        late = envelope.kind is Kind.SKIP and _was_letter(fleet.mail.letters.get(src, Pulse()), epoch, seq)
        return fleet, [Note(epoch, seq, Rung.ON_HOST)] if late else []
    if seq > stream.watermark + AHEAD_LIMIT:
        return fleet, []
    effect = _EFFECTS.get(envelope.kind, _into_inbox)
    effect(parcel, via, now, records, effects)
    return _moved(fleet, envelope, stream.with_number(seq)), []


def _echo(fleet: Fleet, envelope: Envelope, via: Channel, now: Moment) -> Echo:
    """That it came this way. A number is only named for mail, and only if no other way brought it before."""
    mail = KINDS[envelope.kind].durable
    new = mail and not stream_of(fleet, envelope.src, envelope.src_epoch).holds(envelope.seq)
    return Echo(via, envelope.msg_id, envelope.src_epoch, envelope.seq if new else 0, now.mono + ECHO_S)


def _echoing(fleet: Fleet, came: dict[str, list[Echo]], now: Moment) -> Fleet:
    for src, echoes in came.items():
        before = (one for one in fleet.mail.echoes.get(src, ()) if one.until > now.mono)
        kept = (*before, *echoes)[-ECHOES:]
        fleet = msgspec.structs.replace(
            fleet, mail=msgspec.structs.replace(fleet.mail, echoes=fleet.mail.echoes.set(src, kept))
        )
    return fleet


def _moved(fleet: Fleet, envelope: Envelope, stream: Stream) -> Fleet:
    letters = fleet.mail.letters
    if envelope.kind is not Kind.SKIP:
        window = letters.get(envelope.src, Pulse())
        letters = letters.set(envelope.src, slide(window, envelope.src_epoch, envelope.seq) or window)
    mail = msgspec.structs.replace(fleet.mail, revision=fleet.mail.revision + 1, letters=letters)
    return with_stream(msgspec.structs.replace(fleet, mail=mail), envelope.src, envelope.src_epoch, stream)


def _was_letter(window: Pulse, epoch: int, seq: int) -> bool:
    """Whether a held number is known to be held as a message. Of a number taken before this start, or long ago, nobody
    knows it any more; then its SKIP is only acknowledged, because "on your disk" is never said on a guess."""
    return window.epoch == epoch and 0 <= window.top - seq < WINDOW and bool(window.seen >> (window.top - seq) & 1)


def _into_inbox(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    records.append(AddInbox(parcel.envelope, now.wall_ms, via, parcel.tag))
    effects.append(Publish(MessageCame(parcel.envelope.msg_id, parcel.envelope.src, via)))
    if welcome.is_greeting(parcel.envelope):
        effects.append(Raise(Greeted(parcel.envelope.src, parcel.envelope.msg_id)))


def _addressed(records: list[Record]) -> list[Effect]:
    """Letters that name a session have a hop before them."""
    arrived = [one.envelope for one in records if isinstance(one, AddInbox) and KINDS[one.envelope.kind].public]
    named = [(one, session_of(one.thread)) for one in arrived if one.thread]
    letters = tuple(Addressee(one.msg_id, one.src, session) for one, session in named if session)
    return [Raise(Addressed(letters))] if letters else []


def _climbed(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    said: Climbs = unpack(Kind.RUNG, parcel.envelope.body)
    effects.append(Raise(Climbed(parcel.envelope.src, said.climbs)))


def _skipped(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    """The sender closed this number; holding it is the whole effect."""


def _forwarded(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    """A frame for us was unwrapped before it came here and is a parcel of its own; the wrapper's number is all."""


def _asked_to_mend(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    effects.append(Raise(MendCame(parcel.envelope.src, unpack(Kind.MEND, parcel.envelope.body))))


def _mend_answered(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    effects.append(Raise(MendAnswered(parcel.envelope.src, unpack(Kind.MENDED, parcel.envelope.body))))


def _asked_to_leave(parcel: Parcel, via: Channel, now: Moment, records: list[Record], effects: list[Effect]) -> None:
    effects.append(Raise(MemberAsked(parcel.envelope.src)))


# The effect of a kind, where it is not a letter in the inbox.
_EFFECTS: dict[Kind, Callable[[Parcel, Channel, Moment, list[Record], list[Effect]], None]] = {
    Kind.SKIP: _skipped,
    Kind.FORWARD: _forwarded,
    Kind.LEAVE: _asked_to_leave,
    Kind.RUNG: _climbed,
    Kind.MEND: _asked_to_mend,
    Kind.MENDED: _mend_answered,
}

# Pulses that are answered with a receipt even where the way they came has no way back. A receipt is answered only on
# such a way, whose answer is the end of it; what a relay brought is no such way, and two nodes would thank each other
# through it for ever.
_ANSWERED = frozenset({Kind.PING, Kind.HEARTBEAT, Kind.PASS, Kind.ROSTER})


def _pulse(fleet: Fleet, parcel: Parcel, via: Channel, now: Moment) -> Step:
    envelope = parcel.envelope
    window = fleet.mail.pulses.get(envelope.src, Pulse())
    advanced = slide(window, envelope.src_epoch, envelope.seq)
    if advanced is None:
        return fleet, [Raise(Rejected("replayed", via, envelope.src))]
    mail = msgspec.structs.replace(fleet.mail, pulses=fleet.mail.pulses.set(envelope.src, advanced))
    fleet = msgspec.structs.replace(fleet, mail=mail)
    heard = _PULSES.get(envelope.kind)
    return heard(fleet, parcel, now) if heard else (fleet, [])


def slide(window: Pulse, epoch: int, seq: int) -> Pulse | None:
    """The replay window after (epoch, seq), or None if it was seen before or lies behind the window."""
    if epoch > window.epoch or (epoch == window.epoch and seq >= window.top + WINDOW):
        # Nothing of the old window is left. To shift it there would cost as much memory as a liar cares to name.
        return Pulse(epoch, seq, 1)
    if epoch < window.epoch or seq <= window.top - WINDOW:
        return None
    if seq > window.top:
        return Pulse(epoch, seq, (window.seen << (seq - window.top) | 1) & ((1 << WINDOW) - 1))
    bit = 1 << (window.top - seq)
    return None if window.seen & bit else Pulse(epoch, window.top, window.seen | bit)


def _to_carry(fleet: Fleet, envelope: Envelope) -> Forward | None:
    """The frame for somebody else in it, if that is what it is."""
    forward: Forward = unpack(Kind.PASS, envelope.body)
    return forward if forward.dst != fleet.me.id else None


def _passed(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    """At once: what is carried of one frame leaves less room for the next one of the same delivery."""
    forward = _to_carry(fleet, parcel.envelope)
    return relay.step(fleet, ForwardCame(parcel.envelope.src, forward), now) if forward else (fleet, [])


def _thrown_away(fleet: Fleet, parcel: Parcel) -> bool:
    """Whether this is a frame for somebody else that we do not carry on: its giver must not think that we have it."""
    if parcel.envelope.kind is not Kind.PASS:
        return False
    forward = _to_carry(fleet, parcel.envelope)
    return forward is not None and bool(relay.refusal(fleet, parcel.envelope.src, forward))


def _floored(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    """A heartbeat names its sender's oldest open epoch: streams below it are closed and can be forgotten."""
    beat: Heartbeat = unpack(Kind.HEARTBEAT, parcel.envelope.body)
    src, floor = parcel.envelope.src, beat.floor_epoch
    streams = fleet.mail.streams.get(src)
    if floor <= fleet.mail.floors.get(src, 0) or floor > parcel.envelope.src_epoch:
        return fleet, []
    kept = fleet.mail.streams
    if streams is not None:
        kept = kept.set(src, Map({epoch: stream for epoch, stream in streams.items() if epoch >= floor}))
    mail = msgspec.structs.replace(fleet.mail, floors=fleet.mail.floors.set(src, floor), streams=kept)
    return msgspec.structs.replace(fleet, mail=mail), [Save((DropStreams(src, floor),), lazy=True)]


def _asked_to_wake(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    asked: Wake = unpack(Kind.WAKE, parcel.envelope.body)
    return fleet, [Raise(WakeCame(parcel.envelope.src, asked.node))]


_PULSES: dict[Kind, Callable[[Fleet, Parcel, Moment], Step]] = {
    Kind.PASS: _passed,
    Kind.HEARTBEAT: _floored,
    Kind.WAKE: _asked_to_wake,
}


def _streams(before: Fleet, fleet: Fleet, delivered: set[tuple[str, int]]) -> list[Record]:
    """Only what moved: what came a second time costs no transaction."""
    found: list[Record] = []
    for src, epoch in sorted(delivered):
        stream = stream_of(fleet, src, epoch)
        if stream != stream_of(before, src, epoch):
            found.append(SetStream(src, epoch, stream.watermark, to_bytes(stream.above)))
    return found


# As many as a peer may have lost at once and not know it yet.
RECEIPT_COPIES = 3


def _answered(fleet: Fleet, signal: Arrived, answers: tuple[Envelope, ...], now: Moment) -> list[Effect]:
    """Receipts go back at once on the way the mail came; where that way has no way back, over the best channel, or,
    where none has proved itself just now, over several: nobody notices that a receipt was lost."""
    if not answers:
        return []
    if signal.token:
        return [Answer(signal.token, answers)]
    found: list[Effect] = []
    for answer in answers:
        order = choose(fleet, answer.dst, Kind.RECEIPT)
        proved = bool(order) and trusted(fleet.health(answer.dst, order[0]), now.mono, fleet.config.mail)
        best = order[: 1 if proved else RECEIPT_COPIES]
        found += [Deliver(answer.dst, channel, answer, CHANNELS[channel].budget_s) for channel in best]
    return found
