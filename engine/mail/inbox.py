"""The inbox: an authenticated parcel takes effect once, is durable before it is visible, visible before acknowledged.

    parcel -> number known?  yes: only the receipt again
                             no : the number and its effect, in one transaction; then the receipt

Durable kinds are told apart by (sender, epoch, number); nothing is dropped as old, because everything at or below the
watermark is held. Pulses pass a sliding window. An epoch below the floor its sender announced is closed: what comes
from it is a replay, or its sender's store went back; it is not taken, and its sender is told. A number too far ahead is
not taken either, and not refused: its sender keeps it, and begins another epoch. No clock decides what is fresh.
"""

from collections import defaultdict
from collections.abc import Callable

import msgspec

from engine.effects import Answer, Deliver, Effect, Publish, Raise, Save
from engine.health.cascade import choose, trusted
from engine.mail import flood, pulses, relay, welcome
from engine.mail.lanes import ends_ms
from engine.mail.receipts import receipt, stream_of, to_bytes, with_stream
from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import AHEAD_LIMIT, KINDS, Envelope, Kind, Rung
from engine.model.event import MessageCame
from engine.model.hop import Addressee, session_of
from engine.model.mail import ECHO_S, ECHOES, Echo, Parcel, Pulse, Stream
from engine.model.moment import Moment
from engine.model.packets import BUSY, CLOSED, Climbs, Note, Pong, unpack
from engine.model.records import AddInbox, Record, SetStream
from engine.signals import (
    Addressed,
    Arrived,
    Climbed,
    Greeted,
    MemberAsked,
    MendAnswered,
    MendCame,
    Rejected,
    Signal,
)
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The inbox after one delivery."""
    return _arrived(fleet, signal, now) if isinstance(signal, Arrived) else (fleet, [])


class _Delivery:
    """What one delivery comes to, while its parcels are looked at: `came`, over ways that have no way back; `streams`
    that moved; who is `owed` a receipt, and whose frame was `thrown` away, who gets none; what is left in the bucket of
    each sender, and whose is empty."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.effects: list[Effect] = []
        self.notes: defaultdict[str, list[Note]] = defaultdict(list)
        self.came: defaultdict[str, list[Echo]] = defaultdict(list)
        self.streams: set[tuple[str, int]] = set()
        self.owed: dict[str, None] = {}
        self.thrown: set[str] = set()
        self.room: dict[str, float] = {}
        self.flooding: set[str] = set()


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    """All parcels of one delivery, one transaction, one receipt a sender."""
    before, found = fleet, _Delivery()
    for parcel in signal.parcels:
        via = Channel.RELAY if parcel.relay else signal.via
        _came(fleet, parcel.envelope, via, now, found)
        busy = _not_now(fleet, parcel.envelope, now, found)
        if busy is not None:
            _turned_down(parcel.envelope, via, busy, found)
        elif KINDS[parcel.envelope.kind].durable:
            fleet = _take(fleet, parcel, via, now, found)
        else:
            fleet = _pulse(fleet, parcel, via, now, found, asked=bool(signal.token and not parcel.relay))
    found.effects += _addressed(found.records)
    found.records += _moved_streams(before, fleet, found.streams)
    fleet = _echoing(fleet, found.came, now)
    fleet, told = flood.settled(fleet, found.room, found.flooding, now)
    saved: list[Effect] = [Save(tuple(found.records))] if found.records else []
    return fleet, [
        *saved,
        *found.effects,
        *told,
        *_answered(fleet, signal, _receipts(fleet, found, now), bool(found.thrown), now),
    ]


def _receipts(fleet: Fleet, found: _Delivery, now: Moment) -> tuple[Envelope, ...]:
    """One for each who is owed one."""
    return tuple(
        receipt(
            fleet,
            src,
            now,
            tuple(found.notes[src]),
            {epoch for one, epoch in found.streams if one == src},
            tuple(Pong(one.channel, one.msg_id) for one in fleet.mail.echoes.get(src, ()) if one.until > now.mono),
        )
        for src in found.owed
        if src not in found.thrown
    )


# Why a letter is answered busy, where it is not that its sender sends too many.
NO_ROOM = "its disk is full"


def _not_now(fleet: Fleet, envelope: Envelope, now: Moment, found: _Delivery) -> str | None:
    """Why a parcel is answered busy (no word: its sender floods); None: it is taken, and what it weighs is out of its
    sender's bucket. On a full disk the room that was kept back is for settling what is under way, and not for
    letters."""
    src, weight = envelope.src, _weight(fleet, envelope)
    if not weight:
        return None
    if fleet.mail.full and KINDS[envelope.kind].durable and envelope.kind not in _EFFECTS:
        return NO_ROOM
    if src not in found.room:
        found.room[src] = flood.room(fleet, src, now)
    if found.room[src] < 1:
        found.flooding.add(src)
        return ""
    found.room[src] -= weight
    return None


def _turned_down(envelope: Envelope, via: Channel, why: str, found: _Delivery) -> None:
    """A message is told that we are busy. A frame to carry on has no number that could be told: without a receipt it
    goes another way."""
    if envelope.kind is Kind.PASS:
        found.thrown.add(envelope.src)
        found.effects.append(Raise(Rejected("not_carried", via, envelope.src)))
        return
    found.notes[envelope.src].append(Note(envelope.src_epoch, envelope.seq, BUSY, why))
    found.owed[envelope.src] = None


def _weight(fleet: Fleet, envelope: Envelope) -> int:
    """What is kept as a letter is one, and so is a frame that we are to carry on; a word on our letters is as many as
    it names, for each is looked up and told, whether we ever wrote it or not. What is known already, and what somebody
    else could replay, is nothing."""
    src, epoch = envelope.src, envelope.src_epoch
    if envelope.kind is Kind.PASS:
        seen = pulses.slide(fleet.mail.pulses.get(src, Pulse()), epoch, envelope.seq) is None
        return int(not seen and relay.keeps(pulses.to_carry(fleet, envelope)))
    if epoch < fleet.mail.floors.get(src, 0) or stream_of(fleet, src, epoch).holds(envelope.seq):
        return 0
    if envelope.kind is Kind.RUNG:
        said: Climbs = unpack(Kind.RUNG, envelope.body)
        return max(1, len(said.climbs))
    return int(KINDS[envelope.kind].durable and envelope.kind not in _EFFECTS)


def _take(fleet: Fleet, parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> Fleet:
    """One durable parcel: its effect if its number is new, and a note where "held" is not the whole truth."""
    envelope = parcel.envelope
    src, epoch, seq = envelope.src, envelope.src_epoch, envelope.seq
    stream = stream_of(fleet, src, epoch)
    found.streams.add((src, epoch))
    found.owed[src] = None
    if epoch < fleet.mail.floors.get(src, 0) or seq < 1:
        found.effects.append(Raise(Rejected("replayed", via, src)))
        found.notes[src].append(Note(epoch, seq, CLOSED))
        return fleet
    if stream.holds(seq):
        if envelope.kind is Kind.SKIP and pulses.seen(fleet.mail.letters.get(src, Pulse()), epoch, seq):
            # Only what is known to be held as a message: "on your disk" is never said on a guess.
            found.notes[src].append(Note(epoch, seq, Rung.ON_HOST))
        return fleet
    if seq > stream.watermark + AHEAD_LIMIT:
        return fleet
    _EFFECTS.get(envelope.kind, _into_inbox)(parcel, via, now, found)
    return _moved(fleet, envelope, stream.with_number(seq))


def _came(fleet: Fleet, envelope: Envelope, via: Channel, now: Moment, found: _Delivery) -> None:
    """What came over a way that has no way back is named in the next receipts: mail, and what asks for that. A relay
    has its own word for mail."""
    named = envelope.kind is Kind.PING if via is Channel.RELAY else envelope.kind is not Kind.RECEIPT
    if CHANNELS[via].stores and named:
        found.came[envelope.src].append(_echo(fleet, envelope, via, now))


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
        letters = letters.set(envelope.src, pulses.slide(window, envelope.src_epoch, envelope.seq) or window)
    mail = msgspec.structs.replace(fleet.mail, revision=fleet.mail.revision + 1, letters=letters)
    return with_stream(msgspec.structs.replace(fleet, mail=mail), envelope.src, envelope.src_epoch, stream)


def _into_inbox(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    found.records.append(AddInbox(parcel.envelope, now.wall_ms, via, parcel.tag))
    found.effects.append(Publish(MessageCame(parcel.envelope.msg_id, parcel.envelope.src, via)))
    if welcome.is_greeting(parcel.envelope):
        found.effects.append(Raise(Greeted(parcel.envelope.src, parcel.envelope.msg_id)))


def _addressed(records: list[Record]) -> list[Effect]:
    """Letters that name a session have a hop before them."""
    arrived = [one for one in records if isinstance(one, AddInbox) and KINDS[one.envelope.kind].public]
    named = [(one.envelope, one.at_ms, session_of(one.envelope.thread)) for one in arrived if one.envelope.thread]
    letters = tuple(
        Addressee(one.msg_id, one.src, session, ends_ms(one, at_ms)) for one, at_ms, session in named if session
    )
    return [Raise(Addressed(letters))] if letters else []


def _climbed(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    said: Climbs = unpack(Kind.RUNG, parcel.envelope.body)
    found.effects.append(Raise(Climbed(parcel.envelope.src, said.climbs)))


def _skipped(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    """The sender closed this number; holding it is the whole effect."""


def _forwarded(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    """A frame for us was unwrapped before it came here and is a parcel of its own; the wrapper's number is all."""


def _asked_to_mend(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    found.effects.append(Raise(MendCame(parcel.envelope.src, unpack(Kind.MEND, parcel.envelope.body))))


def _mend_answered(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    found.effects.append(Raise(MendAnswered(parcel.envelope.src, unpack(Kind.MENDED, parcel.envelope.body))))


def _asked_to_leave(parcel: Parcel, via: Channel, now: Moment, found: _Delivery) -> None:
    found.effects.append(Raise(MemberAsked(parcel.envelope.src)))


# The effect of a kind, where it is not a letter in the inbox.
_EFFECTS: dict[Kind, Callable[[Parcel, Channel, Moment, _Delivery], None]] = {
    Kind.SKIP: _skipped,
    Kind.FORWARD: _forwarded,
    Kind.LEAVE: _asked_to_leave,
    Kind.RUNG: _climbed,
    Kind.MEND: _asked_to_mend,
    Kind.MENDED: _mend_answered,
}


def _pulse(fleet: Fleet, parcel: Parcel, via: Channel, now: Moment, found: _Delivery, *, asked: bool) -> Fleet:
    """What is heard once and not kept. `asked`: whoever brought it waits for an answer on the same way."""
    if parcel.envelope.kind in pulses.ANSWERED or asked:
        found.owed[parcel.envelope.src] = None
    fleet, effects = pulses.heard(fleet, parcel, via, now)
    found.effects += effects
    if pulses.thrown_away(fleet, parcel):
        found.thrown.add(parcel.envelope.src)
    return fleet


def _moved_streams(before: Fleet, fleet: Fleet, delivered: set[tuple[str, int]]) -> list[Record]:
    """Only what moved: what came a second time costs no transaction."""
    found: list[Record] = []
    for src, epoch in sorted(delivered):
        stream = stream_of(fleet, src, epoch)
        if stream != stream_of(before, src, epoch):
            found.append(SetStream(src, epoch, stream.watermark, to_bytes(stream.above)))
    return found


# As many as a peer may have lost at once and not know it yet.
RECEIPT_COPIES = 3


def _answered(fleet: Fleet, signal: Arrived, answers: tuple[Envelope, ...], thrown: bool, now: Moment) -> list[Effect]:
    """Receipts go back at once on the way the mail came; where that way has no way back, over the best channel, or,
    where none has proved itself just now, over several: nobody notices that a receipt was lost."""
    if signal.token:
        # An empty answer is a plain no: whoever waits for a receipt that will not come goes another way at once.
        return [Answer(signal.token, answers)] if answers or thrown else []
    found: list[Effect] = []
    for answer in answers:
        order = choose(fleet, answer.dst, Kind.RECEIPT)
        proved = bool(order) and trusted(fleet.health(answer.dst, order[0]), now.mono, fleet.config.mail)
        best = order[: 1 if proved else RECEIPT_COPIES]
        found += [Deliver(answer.dst, channel, answer, CHANNELS[channel].budget_s) for channel in best]
    return found
