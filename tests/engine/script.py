"""Conversations with the rooms as scripts: a signal in, the effects out as lines a person can read.

    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), ticket=1)) == ["save m1 #1", "answer ticket 1: m1", ...]

`Script` keeps the value and the moment between signals and runs the whole law of a node (`engine.rooms.turn`), or one
step where a test is about one room. It performs nothing: what was asked for is what is asserted.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from immutables import Map

from engine import effects as e
from engine.config import Config
from engine.model import records as r
from engine.model.channel import DIRECT, Cause, Channel, ChannelHealth, ChannelState, Outcome, Verdict
from engine.model.envelope import Envelope, Kind
from engine.model.event import ChannelMoved, Event, FrameRejected, MessageCame, MessageMoved, Noticed, RepairMoved
from engine.model.mail import AckLine, Parcel
from engine.model.moment import Moment
from engine.model.packets import PACKETS, Heartbeat, Note, Receipt, pack, unpack
from engine.model.peer import Peer, Standing
from engine.model.roster import Address, Bundle, Member, Role, Roster
from engine.rooms import turn
from engine.signals import Arrived, Signal, Tried
from engine.state import Fleet, Me
from engine.wire import TAG_SIZE, head, peek

T0_MS = 1_800_000_000_000
# A machine that has been up for a while: code that takes 0 for "never" must not be believed.
T0_MONO = 10_000.0
EPOCH = 5_000
NO_BUNDLE = Bundle(b"", b"", b"", "", b"")
UP = ChannelHealth(ChannelState.HEALTHY, ok_at=T0_MONO, tried_at=T0_MONO, latencies=(1.0, 2.0, 4.0))

Step = Callable[[Fleet, Any, Moment], tuple[Fleet, list[e.Effect]]]


def moment(after_s: float = 0.0) -> Moment:
    """So many seconds after the start, on both clocks."""
    return Moment(T0_MS + round(after_s * 1000), T0_MONO + after_s)


def roster(*names: str) -> Roster:
    """One member a name, whose id is its name; the first is chief and admin."""
    members = tuple(
        Member(
            name,
            name,
            NO_BUNDLE,
            (Address("127.0.0.1", 1, 2, 0, 3),),
            Role.CHIEF if name == names[0] else Role.WORKER,
            admin=name == names[0],
        )
        for name in names
    )
    return Roster("f", "fleet", 1, T0_MS, members)


def fleet(
    *names: str,
    me: str = "",
    up: tuple[Channel, ...] = DIRECT,
    standing: Standing = Standing.ALIVE,
    config: Config | None = None,
    epoch: int = EPOCH,
) -> Fleet:
    """What the first name (or `me`) knows of the others: all of this standing, these channels to them HEALTHY."""
    mine = me or names[0]
    others = [name for name in names if name != mine]
    return Fleet(
        Me(mine, mine, epoch, "1", started_ms=T0_MS, started_mono=T0_MONO),
        config or Config(),
        roster(*names),
        peers=Map({name: Peer(name, standing) for name in others}),
        channels=Map({(name, channel): UP for name in others for channel in up}),
    )


def with_health(value: Fleet, peer: str, channel: Channel, **changes: object) -> Fleet:
    """The same with one (peer, channel) pair otherwise."""
    health = msgspec.structs.replace(value.health(peer, channel), **changes)
    return msgspec.structs.replace(value, channels=value.channels.set((peer, channel), health))


def letter(msg_id: str, dst: str = "B", src: str = "A", **facts: Any) -> Envelope:
    """A message of people without a number."""
    given = {"kind": Kind.CONTEXT, "created_ms": T0_MS, "body": msg_id.encode()} | facts
    return Envelope(src, given.pop("src_epoch", EPOCH), given.pop("seq", 0), dst, msg_id, **given)


def parcel(
    msg_id: str,
    seq: int,
    src: str = "B",
    dst: str = "A",
    *,
    acks: tuple[AckLine, ...] = (),
    relay: str = "",
    **facts: Any,
) -> Parcel:
    """A message as it came in."""
    return Parcel(letter(msg_id, dst, src, seq=seq, **facts), msg_id.encode(), relay, acks)


def receipt(
    *lines: tuple[int, int] | tuple[int, int, bytes],
    seq: int,
    src: str = "B",
    notes: tuple[Note, ...] = (),
    src_epoch: int = EPOCH,
    via: Channel = Channel.NATS,
    relay: str = "",
) -> Arrived:
    """What `src` holds of ours: (epoch, watermark, above) each; `seq`: its pulse number."""
    acks = tuple(AckLine(*line) for line in lines)
    envelope = Envelope(src, src_epoch, seq, "A", f"r{seq}", Kind.RECEIPT, body=pack(Receipt(acks, notes)))
    return Arrived((Parcel(envelope, b"", relay),), via)


def heartbeat(
    *lines: tuple[int, int] | tuple[int, int, bytes],
    seq: int,
    src: str = "B",
    src_epoch: int = EPOCH,
    floor: int = 0,
    your_epoch: int = 0,
) -> Arrived:
    """A heartbeat of `src`, with the receipts that ride on it."""
    acks = tuple(AckLine(*line) for line in lines)
    beat = Heartbeat(T0_MS, "1", floor_epoch=floor, your_epoch=your_epoch, roster_version=1)
    envelope = Envelope(src, src_epoch, seq, "A", f"h{seq}", Kind.HEARTBEAT, body=pack(beat))
    return Arrived((Parcel(envelope, b"", "", acks),), Channel.NATS)


def tried(
    channel: Channel,
    verdict: Verdict,
    *numbers: tuple[int, int, str],
    peer: str = "B",
    ms: float = 1.0,
    note: str = "",
    hard: bool = False,
    pin: bool = False,
    cause: Cause | None = None,
) -> Tried:
    """The end of one try; without numbers it was a probe."""
    return Tried(peer, channel, numbers, Outcome(verdict, note, hard, pin, cause=cause), ms, probe=not numbers)


class Script:
    """One node's value through a conversation. `step`: the whole turn, or one room's step."""

    def __init__(self, value: Fleet, step: Step = turn):
        self.fleet, self._step = value, step
        self.at_s = 0.0
        self.effects: list[e.Effect] = []

    def hear(self, signal: Signal, at: float | None = None) -> list[str]:
        """What one signal makes the node do, a line an effect; `at`: seconds since the start, from now on."""
        self.at_s = self.at_s if at is None else at
        self.fleet, self.effects = self._step(self.fleet, signal, moment(self.at_s))
        for envelope in sent(self.effects):
            readable(envelope)
        return [said(effect) for effect in self.effects]

    def asked(self, kind: type, signal: Signal, at: float | None = None) -> list[str]:
        """The same, of one type of effect only."""
        self.hear(signal, at)
        return [said(effect) for effect in self.effects if isinstance(effect, kind)]


def sent(effects: list[e.Effect]) -> Iterator[Envelope]:
    """What leaves, or will, by these effects."""
    for effect in effects:
        if isinstance(effect, e.Deliver):
            yield effect.envelope
        elif isinstance(effect, e.Answer):
            yield from effect.envelopes
        elif isinstance(effect, e.Save):
            yield from (one.envelope for one in effect.records if isinstance(one, r.AddOutbox))


def readable(envelope: Envelope) -> None:
    """Raises what a receiver would: whatever a node builds, of whatever others sent it, keeps to its own limits."""
    frame = head(envelope, 0, len(envelope.body) + TAG_SIZE) + envelope.body + b"t" * TAG_SIZE
    peek(frame)
    if envelope.kind in PACKETS:
        unpack(envelope.kind, envelope.body)


def said(effect: e.Effect) -> str:
    """One effect as a line."""
    return _SAID[type(effect)](effect)


def _name(envelope: Envelope) -> str:
    what = envelope.msg_id if envelope.kind is not Kind.SKIP else f"SKIP of {envelope.msg_id}"
    what = what if envelope.kind not in _FLEETING else str(envelope.kind)
    epoch = f"{envelope.src_epoch}/" if envelope.src_epoch != EPOCH else ""
    return f"{what} #{epoch}{envelope.seq}" if envelope.seq else what


_FLEETING = frozenset({Kind.PING, Kind.PASS, Kind.RECEIPT, Kind.HEARTBEAT, Kind.ROSTER})


def _saved(effect: e.Save) -> str:
    return ("save lazily " if effect.lazy else "save ") + ", ".join(_RECORDED[type(one)](one) for one in effect.records)


def _resolved(effect: e.Resolve) -> str:
    return f"ticket {effect.ticket}: {effect.error.code if effect.error else effect.value}"


def _answered(effect: e.Answer) -> str:
    return f"answer {effect.token}: " + "; ".join(f"to {one.dst} {_receipt(one)}" for one in effect.envelopes)


def _delivered(effect: e.Deliver) -> str:
    envelope = effect.envelope
    what = _receipt(envelope) if envelope.kind is Kind.RECEIPT else _name(envelope)
    return f"deliver {what} to {effect.peer} over {effect.channel}"


def _receipt(envelope: Envelope) -> str:
    told: Receipt = unpack(Kind.RECEIPT, envelope.body)
    lines = [f"{ack.epoch}:{ack.watermark}" + (f"+{ack.above.hex()}" if ack.above else "") for ack in told.acks]
    notes = [f"{note.rung} {note.epoch}/{note.seq}" for note in told.notes]
    return "receipt " + ", ".join([*lines, *notes])


def _told(event: Event) -> str:
    how = _EVENTS.get(type(event))
    return how(event) if how else type(event).__name__


_EVENTS: dict[type, Callable[[Any], str]] = {
    MessageMoved: lambda one: f"{one.msg_id} {one.rung}" + (f" over {one.channel}" if one.channel else ""),
    MessageCame: lambda one: f"{one.msg_id} came from {one.peer} over {one.channel}",
    ChannelMoved: lambda one: f"{one.peer} {one.channel} {one.old}->{one.new}",
    FrameRejected: lambda one: f"rejected {one.why} from {one.src}",
    RepairMoved: lambda one: f"repair {one.peer} {one.channel} L{one.level} {one.what}",
    Noticed: lambda one: f"{'found' if one.present else 'gone'} {one.code}",
}

_RECORDED: dict[type, Callable[[Any], str]] = {
    r.AddOutbox: lambda one: f"{_name(one.envelope)}",
    r.OpenNumber: lambda one: f"{one.msg_id} is #{one.epoch}/{one.seq}",
    r.Widen: lambda one: f"{one.msg_id} any way",
    r.MoveRung: lambda one: f"{one.msg_id} {one.rung}",
    r.AddTry: lambda one: f"try of {one.msg_id} {one.channel} {one.outcome}",
    r.AddInbox: lambda one: f"inbox {one.envelope.msg_id}",
    r.SetStream: lambda one: (
        f"stream {one.src} {one.epoch}:{one.watermark}" + (f"+{one.above.hex()}" if one.above else "")
    ),
    r.DropStreams: lambda one: f"floor {one.src} {one.floor_epoch}",
    r.PutPeer: lambda one: f"peer {one.peer.id}",
    r.PutRoster: lambda one: f"roster {one.roster.version}",
    r.PutMeta: lambda one: f"meta {one.key}",
    r.AddEntry: lambda one: f"entry {one.verb} {one.subject}",
    r.AddHop: lambda one: f"hop {one.letter.msg_id} to {one.letter.session} {one.state}",
    r.MoveHop: lambda one: f"{one.msg_id} {one.state}",
    r.SetCursor: lambda one: f"{one.session} read to {one.row}",
    r.ClimbRung: lambda one: f"{one.msg_id} at {one.dst} climbs to {one.rung}",
}

_SAID: dict[type, Callable[[Any], str]] = {
    e.Save: _saved,
    e.Raise: lambda effect: f"raise {type(effect.signal).__name__}",
    e.Deliver: _delivered,
    e.Answer: _answered,
    e.Arm: lambda effect: f"ring {effect.key} at {effect.at - T0_MONO:.3f}",
    e.Resolve: _resolved,
    e.Publish: lambda effect: f"tell {_told(effect.event)}",
    e.Load: lambda effect: f"load {effect.limit} for {effect.peer}, {effect.bulk} of them bulk",
    e.Reload: lambda effect: f"reload {effect.peer} {effect.epoch}: {', '.join(map(str, effect.seqs))}",
    e.SendDatagram: lambda effect: "datagram",
    e.AskReady: lambda effect: f"ask ready {effect.peer}",
    e.ApplyRoster: lambda effect: f"apply roster {effect.roster.version}",
    e.Dismiss: lambda effect: f"dismiss {effect.node}",
    e.Look: lambda effect: "look",
    e.Notify: lambda effect: f"notify of {effect.peer}",
    e.StartPeer: lambda effect: f"start {effect.peer}",
    e.Undertake: lambda effect: f"undertake {effect.action}",
    e.SendMagic: lambda effect: f"magic for {effect.node}",
    e.LoadHops: lambda effect: f"load hops of {effect.session}, turn {effect.turn}",
    e.Type: lambda effect: f"type {effect.hop.msg_id} into {effect.session}",
    e.Seek: lambda effect: f"seek {effect.hop.msg_id} in {effect.session}",
    e.WriteSeed: lambda effect: f"seed {effect.session}",
}
