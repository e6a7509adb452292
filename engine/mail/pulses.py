"""Pulses: heard once, worth nothing a minute later, never kept.

    heartbeat  its sender's oldest open epoch: streams below it are closed
    pass       a frame for somebody else: carried on at once, or thrown away
    wake       somebody is to be woken

A window of numbers slides over them: what was seen before, or lies behind it, is a replay. No clock decides.
"""

from collections.abc import Callable

import msgspec
from immutables import Map

from engine.effects import Effect, Raise, Save
from engine.mail import relay
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Parcel, Pulse
from engine.model.moment import Moment
from engine.model.packets import Forward, Heartbeat, Wake, unpack
from engine.model.records import DropStreams
from engine.signals import ForwardCame, Rejected, WakeCame
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

WINDOW = 1_024

# Pulses that are answered with a receipt even where the way they came has no way back. A receipt is answered only on
# such a way, whose answer is the end of it; what a relay brought is no such way, and two nodes would thank each other
# through it for ever.
ANSWERED = frozenset({Kind.PING, Kind.HEARTBEAT, Kind.PASS, Kind.ROSTER})


def heard(fleet: Fleet, parcel: Parcel, via: Channel, now: Moment) -> Step:
    """The effect of one pulse, unless it is a replay."""
    envelope = parcel.envelope
    advanced = slide(fleet.mail.pulses.get(envelope.src, Pulse()), envelope.src_epoch, envelope.seq)
    if advanced is None:
        return fleet, [Raise(Rejected("replayed", via, envelope.src))]
    mail = msgspec.structs.replace(fleet.mail, pulses=fleet.mail.pulses.set(envelope.src, advanced))
    fleet = msgspec.structs.replace(fleet, mail=mail)
    act = _HEARD.get(envelope.kind)
    return act(fleet, parcel, now) if act else (fleet, [])


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


def seen(window: Pulse, epoch: int, seq: int) -> bool:
    """Whether the window remembers this very number; of one taken before this start, or long ago, nobody knows it."""
    return window.epoch == epoch and 0 <= window.top - seq < WINDOW and bool(window.seen >> (window.top - seq) & 1)


def to_carry(fleet: Fleet, envelope: Envelope) -> Forward | None:
    """The frame for somebody else in it, if that is what it is."""
    forward: Forward = unpack(Kind.PASS, envelope.body)
    return forward if forward.dst != fleet.me.id else None


def _passed(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    """At once: what is carried of one frame leaves less room for the next one of the same delivery."""
    forward = to_carry(fleet, parcel.envelope)
    return relay.step(fleet, ForwardCame(parcel.envelope.src, forward), now) if forward else (fleet, [])


def thrown_away(fleet: Fleet, parcel: Parcel) -> bool:
    """Whether this is a frame for somebody else that we do not carry on: its giver must not think that we have it."""
    if parcel.envelope.kind is not Kind.PASS:
        return False
    forward = to_carry(fleet, parcel.envelope)
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


_HEARD: dict[Kind, Callable[[Fleet, Parcel, Moment], Step]] = {
    Kind.PASS: _passed,
    Kind.HEARTBEAT: _floored,
    Kind.WAKE: _asked_to_wake,
}
