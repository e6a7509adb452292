"""Health hears what every try came to, keeps the table, and asks for probes.

A probe is a PING envelope, sealed and answered like any other; success is the peer's own receipt, never our own send.
What a try proves is `judge`, when to probe is `rounds`, the machine is `table`. It never chooses a channel for a
message: that is `engine.health.cascade`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Arm, AskReady, Effect, Publish, Raise, Save
from engine.health import whereabouts
from engine.health.judge import SOON_S, TIMER, fail, succeed
from engine.health.pairs import known, move, present, probe, put
from engine.health.rounds import GRID_S, go_round, look_at, owed_s
from engine.health.table import USABLE, Event
from engine.model.broker import RUNS
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.model.event import ChannelMoved
from engine.model.mail import ECHOES, Parcel
from engine.model.moment import Moment
from engine.model.packets import Receipt, unpack
from engine.model.records import AddEntry
from engine.model.ways import armed
from engine.signals import (
    Arrived,
    BrokerChanged,
    ChannelHeld,
    ChannelTurned,
    Listening,
    LoopLagged,
    Overtaken,
    ProbeAsked,
    Rang,
    Readied,
    RosterMade,
    RosterOffered,
    Signal,
    Started,
    Tried,
)
from engine.state import Fleet

# Two readings of the clock within this time are the same moment.
CLOCK_GRAIN_S = 0.001
# A success this recent is what made its channel usable.
SIGN_S = 1.0

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The table after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _started(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """A fresh start, a new roster or new ports: ask every transport whom it could reach."""
    asked: list[Effect] = [AskReady(peer) for peer in present(fleet)]
    return fleet, [*asked, Arm(TIMER, now.mono + GRID_S)]


def _readied(fleet: Fleet, signal: Readied, now: Moment) -> Step:
    effects: list[Effect] = []
    for channel, reason in signal.reasons.items():
        health = fleet.health(signal.peer, channel)
        if reason is not None and (health.state in _UNPROVED or not CHANNELS[channel].probed):
            health = msgspec.structs.replace(health, tried_at=now.mono)
            fleet, more = move(fleet, signal.peer, channel, health, Event.ABSENT, now, reason)
        elif reason is not None and health.state in _WORKS:
            fleet, more = probe(fleet, signal.peer, channel, now)
        elif reason is None and health.state is ChannelState.ABSENT:
            # Asking was no try: what is possible now is tried now.
            health = msgspec.structs.replace(health, tried_at=None)
            fleet, more = move(fleet, signal.peer, channel, health, Event.PRESENT, now, "now set up")
        elif (signal.peer, channel) not in fleet.channels:
            fleet, more = put(fleet, signal.peer, channel, health), [Raise(ChannelTurned(signal.peer, channel, True))]
        else:
            more = []
        fleet = _armed(fleet, signal.peer, channel) if reason is None else fleet
        effects += more
    fleet, probes = look_at(fleet, signal.peer, now)
    return fleet, [*effects, *probes]


# What works or is under suspicion is judged by its tries, of which a reason against it is worth one at once; what does
# not work now, and cannot, is not set up, nor is what is never tried by itself.
_UNPROVED = frozenset({ChannelState.UNKNOWN, ChannelState.ABSENT, ChannelState.BROKEN, ChannelState.HEALING})
_WORKS = frozenset({ChannelState.HEALTHY, ChannelState.DEGRADED})


def _armed(fleet: Fleet, peer: str, channel: Channel) -> Fleet:
    """Of a channel that no probe will ever tell of it is said what it would go by, until it is tried."""
    health = fleet.health(peer, channel)
    if CHANNELS[channel].probed or health.state is not ChannelState.UNKNOWN or health.tried_at is not None:
        return fleet
    said = armed(channel, fleet.ways_of(peer))
    return put(fleet, peer, channel, msgspec.structs.replace(health, reason=said)) if said != health.reason else fleet


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    health = msgspec.structs.replace(fleet.health(signal.peer, signal.channel), tried_at=now.mono)
    if health.state is ChannelState.ABSENT and signal.outcome.verdict in _NO_NEWS and not signal.outcome.pin:
        # What is not set up does not fail; and that nobody answers there is not why.
        why = signal.outcome.note if signal.outcome.verdict is Verdict.BARRED else health.reason
        return put(fleet, signal.peer, signal.channel, msgspec.structs.replace(health, reason=why)), []
    judge = _JUDGED[signal.outcome.verdict]
    return judge(fleet, signal, health, now)


_NO_NEWS = (Verdict.BARRED, Verdict.LOST)


def _confirmed(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    why = "answered" if CHANNELS[signal.channel].carries else signal.outcome.note
    return succeed(fleet, signal.peer, signal.channel, health, now, signal.latency_ms, why)


def _landed(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    """Something on the way took it: not yet a success; the peer's own receipt is owed, since the try began. It may
    have overtaken the relay's word. Of what carries nothing only the leaving is seen: whether a magic packet woke
    anybody is not known until somebody wakes."""
    if not CHANNELS[signal.channel].carries:
        return move(fleet, signal.peer, signal.channel, health, Event.QUIET, now, signal.outcome.note)
    if not signal.owed:
        return put(fleet, signal.peer, signal.channel, health), []
    began = now.mono - signal.latency_ms / 1000
    if health.owed_at is None and health.ok_at is not None and health.ok_at > began:
        return succeed(fleet, signal.peer, signal.channel, health, now, (health.ok_at - began) * 1000)
    if health.owed_at is None:
        health = msgspec.structs.replace(health, owed_at=began)
    return put(fleet, signal.peer, signal.channel, health), [Arm(TIMER, began + owed_s(fleet, signal.channel))]


def _lost(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    if signal.outcome.pin:
        health = msgspec.structs.replace(health, cause=None)
        return move(fleet, signal.peer, signal.channel, health, Event.PIN, now, signal.outcome.note)
    health = msgspec.structs.replace(health, barred=signal.outcome.verdict is Verdict.BARRED)
    if _known_already(fleet.health(signal.peer, signal.channel), signal, now):
        return fleet, []
    ended = signal.outcome
    return fail(fleet, signal.peer, signal.channel, health, now, ended.note, ended.hard, ended.cause)


def _refused(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    """What carries nothing is refused by a limit, woken or typed at often enough: that says nothing of the way."""
    if not CHANNELS[signal.channel].carries:
        return put(fleet, signal.peer, signal.channel, health), []
    return _lost(fleet, signal, health, now)


def _known_already(health: ChannelHealth, signal: Tried, now: Moment) -> bool:
    """A try that began before the channel broke, or before the last probe of its healing, tells nothing new: a burst
    that times out together must not double the back-off once for each of its messages."""
    if health.state is not ChannelState.HEALING:
        return health.state is ChannelState.BROKEN
    return now.mono - signal.latency_ms / 1000 < (health.tried_at or 0.0) - CLOCK_GRAIN_S


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    """A relayed receipt proves the relay; a frame over a channel we hold for broken is a reason to look at once; and so
    is another address than the one where a stranger was met."""
    effects: list[Effect] = []
    for parcel in signal.parcels:
        if why := whereabouts.news(fleet, parcel):
            fleet, more = _cleared(fleet, parcel.envelope.src, Channel.HTTP, now, why)
            # Most heartbeats that tell it are first ones, of peers nobody had any doubt of.
            effects += [*more, Arm(TIMER, now.mono)] if more else []
        if whereabouts.has_other_ways(fleet, parcel):
            fleet, more = _announced(fleet, parcel.envelope.src, now)
            effects += more
        if whereabouts.has_other_broker(fleet, parcel):
            effects.append(AskReady(parcel.envelope.src))
        if parcel.envelope.kind is Kind.RECEIPT:
            fleet, more = _echoed(fleet, parcel, now)
            effects += more
        peer, channel = parcel.envelope.src, Channel.RELAY if parcel.relay else signal.via
        health = fleet.channels.get((peer, channel))
        if health is None:
            continue
        if parcel.relay and parcel.envelope.kind is Kind.RECEIPT:
            since, health = health.owed_at, msgspec.structs.replace(health, owed_at=None, ok_at=now.mono)
            fleet = put(fleet, peer, channel, health)
            if since is not None:
                fleet, more = succeed(fleet, peer, channel, health, now, (now.mono - since) * 1000)
                effects += more
        elif health.state is ChannelState.BROKEN and health.retry_at > now.mono:
            fleet = put(fleet, peer, channel, msgspec.structs.replace(health, retry_at=now.mono))
            effects.append(Arm(TIMER, now.mono))
    return fleet, effects


def _announced(fleet: Fleet, peer: str, now: Moment) -> Step:
    """A peer tells of other ways to it: what could not be set up may be by now, and is unknown until that is found out;
    a host key that was wrong by its old word may be right by its new one."""
    effects: list[Effect] = [AskReady(peer)]
    for channel in (Channel.SEED, Channel.SSH):
        health = fleet.health(peer, channel)
        if health.state in _BY_ITS_WORD:
            health = msgspec.structs.replace(health, tried_at=None)
            fleet, more = move(fleet, peer, channel, health, _BY_ITS_WORD[health.state], now, "it announced other ways")
            effects += more
    return fleet, effects


_BY_ITS_WORD = {ChannelState.QUARANTINED: Event.CLEARED, ChannelState.ABSENT: Event.PRESENT}


def _echoed(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    """The peer names what reached it over channels that have no way back: each of these works."""
    told: Receipt = unpack(Kind.RECEIPT, parcel.envelope.body)
    effects: list[Effect] = []
    for pong in told.pongs:
        pair = (parcel.envelope.src, pong.channel)
        health = fleet.channels.get(pair)  # type: ignore[arg-type]  # a name of the table finds its channel
        if health is None or health.owed_at is None or pong.msg_id in health.echoed:
            continue
        latency_ms = (now.mono - health.owed_at) * 1000
        echoed = (*health.echoed[-ECHOES + 1 :], pong.msg_id)
        health = msgspec.structs.replace(health, owed_at=None, echoed=echoed)
        fleet, more = succeed(fleet, parcel.envelope.src, Channel(pong.channel), health, now, latency_ms)
        effects += more
    return fleet, effects


def _turned(fleet: Fleet, signal: ChannelTurned, now: Moment) -> Step:
    """What works again on one channel is a reason to look at the broken others before their rest is over, and soon
    again: a cable that was put back serves them all, though not all at the same moment."""
    ok_at = fleet.health(signal.peer, signal.channel).ok_at
    if not signal.usable or ok_at is None or now.mono - ok_at > SIGN_S:
        return fleet, []
    down = [channel for channel in known(fleet, signal.peer) if fleet.health(signal.peer, channel).state in _DOWN]
    for channel in down:
        fleet = put(fleet, signal.peer, channel, _soon(fleet.health(signal.peer, channel), now.mono))
    # A start makes a channel usable for each of a hundred peers: that alone is no reason to look at all of them.
    return fleet, [Arm(TIMER, now.mono)] if down else []


def _cleared(fleet: Fleet, peer: str, channel: Channel, now: Moment, why: str) -> Step:
    health = fleet.health(peer, channel)
    quarantined = health.state is ChannelState.QUARANTINED
    return move(fleet, peer, channel, health, Event.CLEARED, now, why) if quarantined else (fleet, [])


def _overtaken(fleet: Fleet, signal: Overtaken, now: Moment) -> Step:
    """Three times in a row slower than another by more than the hedge is silence, long before its timeout says so."""
    health = fleet.health(signal.peer, signal.channel)
    count = health.overtaken + 1
    health = msgspec.structs.replace(health, overtaken=count)
    if count < fleet.config.health.streak:
        return put(fleet, signal.peer, signal.channel, health), []
    return fail(fleet, signal.peer, signal.channel, health, now, "silent while another channel answered", hard=True)


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    return go_round(fleet, now) if signal.key == TIMER else (fleet, [])


def _held(fleet: Fleet, signal: ChannelHeld, now: Moment) -> Step:
    health = msgspec.structs.replace(fleet.health(signal.peer, signal.channel), held=signal.held)
    verb = "hold" if signal.held else "release"
    entry = AddEntry(now.wall_ms, fleet.me.id, verb, signal.peer, {"channel": str(signal.channel)})
    usable = not signal.held and health.state in USABLE
    return put(fleet, signal.peer, signal.channel, health), [
        Save((entry,)),
        Raise(ChannelTurned(signal.peer, signal.channel, usable)),
        Publish(ChannelMoved(signal.peer, signal.channel, health.state, health.state, f"a person: {verb}")),
    ]


def _asked(fleet: Fleet, signal: ProbeAsked, now: Moment) -> Step:
    """A person, or a repair that was done, wants to know now: every channel, or one, even a broken one, which is tried
    again soon if this was too early; a quarantine is looked at again. What costs something each time is tried only by
    its name."""
    effects: list[Effect] = [AskReady(signal.peer)]
    free = [channel for channel in known(fleet, signal.peer) if CHANNELS[channel].probed]
    for channel in [signal.channel] if signal.channel else free:
        fleet, cleared = _cleared(fleet, signal.peer, channel, now, "looked at again by hand")
        fleet, ping = probe(fleet, signal.peer, channel, now, signal.ask)
        effects += [*cleared, *ping]
        health = fleet.health(signal.peer, channel)
        if health.state in _DOWN and CHANNELS[channel].probed:
            fleet = put(fleet, signal.peer, channel, _soon(health, now.mono + SOON_S))
            effects.append(Arm(TIMER, now.mono + SOON_S))
    return fleet, effects


_DOWN = (ChannelState.BROKEN, ChannelState.HEALING)


def _soon(health: ChannelHealth, at: float) -> ChannelHealth:
    """Tried again by then, and if that fails after a rest as short as the first."""
    return msgspec.structs.replace(health, retry_at=min(health.retry_at, at), backoff_s=0.0)


def _broker(fleet: Fleet, signal: BrokerChanged, now: Moment) -> Step:
    """Our own broker is back: look at P1 to everybody now instead of after the back-off."""
    if signal.state not in RUNS:
        return fleet, []
    for peer in present(fleet):
        health = fleet.health(peer, Channel.NATS)
        if health.state in (*_DOWN, ChannelState.UNKNOWN):
            fleet = put(fleet, peer, Channel.NATS, msgspec.structs.replace(health, retry_at=now.mono, backoff_s=0.0))
    asked: list[Effect] = [AskReady(peer) for peer in present(fleet)]
    return fleet, [*asked, Arm(TIMER, now.mono)]


_JUDGED: dict[Verdict, Callable[[Fleet, Tried, ChannelHealth, Moment], Step]] = {
    Verdict.CONFIRMED: _confirmed,
    Verdict.LANDED: _landed,
    Verdict.REFUSED: _refused,
    Verdict.LOST: _lost,
    Verdict.BARRED: _lost,
}

_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Started: _started,
    RosterMade: _started,
    RosterOffered: _started,
    Listening: _started,
    LoopLagged: _started,
    Readied: _readied,
    Tried: _tried,
    Arrived: _arrived,
    Overtaken: _overtaken,
    ChannelTurned: _turned,
    Rang: _rang,
    ChannelHeld: _held,
    ProbeAsked: _asked,
    BrokerChanged: _broker,
}
