"""Health hears what every try came to, keeps the table, and asks for probes.

It decides when a channel is worth a round trip nobody asked for: at once when it is unknown, every few seconds while
it rests, after a back-off when it is broken, and three in a row while it heals. A probe is a PING envelope, sealed and
answered like any other; success is the peer's own receipt, never our own send. It never chooses a channel for a
message: that is `engine.health.cascade`.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

from engine.config import HealthConfig
from engine.effects import Arm, AskReady, Deliver, Effect, Publish, Raise, Save
from engine.health import whereabouts
from engine.health.cascade import hedge_s
from engine.health.table import USABLE, Event, advance
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState, Verdict
from engine.model.envelope import Envelope, Kind, Urgency
from engine.model.event import ChannelMoved
from engine.model.moment import Moment
from engine.model.peer import Standing
from engine.model.records import AddEntry
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

TIMER = "health.round"
# Latencies kept a pair: enough for a p99 and for five minutes of sparkline at the probing rate.
KEPT_LATENCIES = 60
# One probing round never comes sooner than this after the last: probes of many peers travel together.
GRID_S = 0.25
# Two readings of the clock within this time are the same moment.
CLOCK_GRAIN_S = 0.001
# Beyond so many peers the rest between probes grows with their number, so that probing stays a fixed cost.
PROBED_AT_FULL_RATE = 8

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The table after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _started(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """A fresh start, a new roster or new ports: ask every transport whom it could reach."""
    asked: list[Effect] = [AskReady(peer) for peer in _present(fleet)]
    return fleet, [*asked, Arm(TIMER, now.mono + GRID_S)]


def _readied(fleet: Fleet, signal: Readied, now: Moment) -> Step:
    effects: list[Effect] = []
    for channel, reason in signal.reasons.items():
        health = fleet.health(signal.peer, channel)
        if reason is not None and health.state in (ChannelState.UNKNOWN, ChannelState.ABSENT):
            health = msgspec.structs.replace(health, tried_at=now.mono)
            fleet, more = _move(fleet, signal.peer, channel, health, Event.ABSENT, now, reason)
        elif reason is None and health.state is ChannelState.ABSENT:
            # Asking was no try: what is possible now is tried now.
            health = msgspec.structs.replace(health, tried_at=None)
            fleet, more = _move(fleet, signal.peer, channel, health, Event.PRESENT, now, "now set up")
        elif (signal.peer, channel) not in fleet.channels:
            fleet, more = _put(fleet, signal.peer, channel, health), [Raise(ChannelTurned(signal.peer, channel, True))]
        else:
            more = []
        effects += more
    fleet, probes = _round(fleet, now)
    return fleet, [*effects, *probes]


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    health = msgspec.structs.replace(fleet.health(signal.peer, signal.channel), tried_at=now.mono)
    judge = _JUDGED[signal.outcome.verdict]
    return judge(fleet, signal, health, now)


def _confirmed(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    return _succeed(fleet, signal.peer, signal.channel, health, now, signal.latency_ms)


def _landed(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    """Something on the way took it: not yet a success; the peer's own receipt is owed, since the try began. It may
    have overtaken the relay's word."""
    began = now.mono - signal.latency_ms / 1000
    if health.owed_at is None and health.ok_at is not None and health.ok_at > began:
        return _succeed(fleet, signal.peer, signal.channel, health, now, (health.ok_at - began) * 1000)
    if health.owed_at is None:
        health = msgspec.structs.replace(health, owed_at=began)
    return _put(fleet, signal.peer, signal.channel, health), [Arm(TIMER, now.mono + fleet.config.mail.relay_wait_s)]


def _lost(fleet: Fleet, signal: Tried, health: ChannelHealth, now: Moment) -> Step:
    if signal.outcome.pin:
        return _move(fleet, signal.peer, signal.channel, health, Event.PIN, now, signal.outcome.note)
    if _known_already(fleet.health(signal.peer, signal.channel), signal, now):
        return fleet, []
    return _fail(fleet, signal.peer, signal.channel, health, now, signal.outcome.note, signal.outcome.hard)


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
        if whereabouts.moved(fleet, parcel):
            fleet, more = _cleared(fleet, parcel.envelope.src, Channel.HTTP, now, "it is at another address now")
            effects += [*more, Arm(TIMER, now.mono)]
        peer, channel = parcel.envelope.src, Channel.RELAY if parcel.relay else signal.via
        health = fleet.channels.get((peer, channel))
        if health is None:
            continue
        if parcel.relay and parcel.envelope.kind is Kind.RECEIPT:
            since, health = health.owed_at, msgspec.structs.replace(health, owed_at=None, ok_at=now.mono)
            fleet = _put(fleet, peer, channel, health)
            if since is not None:
                fleet, more = _succeed(fleet, peer, channel, health, now, (now.mono - since) * 1000)
                effects += more
        elif health.state is ChannelState.BROKEN and health.retry_at > now.mono:
            fleet = _put(fleet, peer, channel, msgspec.structs.replace(health, retry_at=now.mono))
            effects.append(Arm(TIMER, now.mono))
    return fleet, effects


def _cleared(fleet: Fleet, peer: str, channel: Channel, now: Moment, why: str) -> Step:
    health = fleet.health(peer, channel)
    quarantined = health.state is ChannelState.QUARANTINED
    return _move(fleet, peer, channel, health, Event.CLEARED, now, why) if quarantined else (fleet, [])


def _overtaken(fleet: Fleet, signal: Overtaken, now: Moment) -> Step:
    """Three times in a row slower than another by more than the hedge is silence, long before its timeout says so."""
    health = fleet.health(signal.peer, signal.channel)
    count = health.overtaken + 1
    health = msgspec.structs.replace(health, overtaken=count)
    if count < fleet.config.health.streak:
        return _put(fleet, signal.peer, signal.channel, health), []
    return _fail(fleet, signal.peer, signal.channel, health, now, "silent while another channel answered", hard=True)


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    return _round(fleet, now) if signal.key == TIMER else (fleet, [])


def _held(fleet: Fleet, signal: ChannelHeld, now: Moment) -> Step:
    health = msgspec.structs.replace(fleet.health(signal.peer, signal.channel), held=signal.held)
    verb = "hold" if signal.held else "release"
    entry = AddEntry(now.wall_ms, fleet.me.id, verb, signal.peer, {"channel": str(signal.channel)})
    usable = not signal.held and health.state in USABLE
    return _put(fleet, signal.peer, signal.channel, health), [
        Save((entry,)),
        Raise(ChannelTurned(signal.peer, signal.channel, usable)),
        Publish(ChannelMoved(signal.peer, signal.channel, health.state, health.state, f"a person: {verb}")),
    ]


def _asked(fleet: Fleet, signal: ProbeAsked, now: Moment) -> Step:
    """A person wants to know now: every channel, or one, even a broken one; a quarantine is looked at again."""
    effects: list[Effect] = [AskReady(signal.peer)]
    for channel in [signal.channel] if signal.channel else _channels(fleet, signal.peer):
        fleet, cleared = _cleared(fleet, signal.peer, channel, now, "looked at again by hand")
        fleet, ping = _probe(fleet, signal.peer, channel, now)
        effects += [*cleared, *ping]
    return fleet, effects


def _broker(fleet: Fleet, signal: BrokerChanged, now: Moment) -> Step:
    """Our own broker is back: look at P1 to everybody now instead of after the back-off."""
    if signal.state not in ("up", "external"):
        return fleet, []
    for peer in _present(fleet):
        health = fleet.health(peer, Channel.NATS)
        if health.state in (ChannelState.BROKEN, ChannelState.UNKNOWN):
            fleet = _put(fleet, peer, Channel.NATS, msgspec.structs.replace(health, retry_at=now.mono, backoff_s=0.0))
    asked: list[Effect] = [AskReady(peer) for peer in _present(fleet)]
    return fleet, [*asked, Arm(TIMER, now.mono)]


def _round(fleet: Fleet, now: Moment) -> Step:
    """Probe every pair that is due, and ring again when the next one is."""
    effects: list[Effect] = []
    soonest = now.mono + fleet.config.health.probe_s
    for peer in _present(fleet):
        for channel in _channels(fleet, peer):
            fleet, more = _quieted(fleet, peer, channel, now)
            fleet, again = _look(fleet, peer, channel, now)
            effects += [*more, *again]
            soonest = min(soonest, _due(fleet, peer, channel))
    return fleet, [*effects, Arm(TIMER, max(soonest, now.mono + GRID_S))]


def _look(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> Step:
    health = fleet.health(peer, channel)
    config = fleet.config
    if health.owed_at is not None and now.mono - health.owed_at >= config.mail.relay_wait_s:
        health = msgspec.structs.replace(health, owed_at=None, tried_at=now.mono)
        live = fleet.peers.get(peer)
        if live is not None and live.standing in (Standing.ALIVE, Standing.SUSPECT):
            return _fail(fleet, peer, channel, health, now, "no receipt came back through the relay", hard=False)
        return _put(fleet, peer, channel, health), []
    if now.mono < _due(fleet, peer, channel):
        return fleet, []
    if health.state is ChannelState.ABSENT:
        asked = msgspec.structs.replace(health, tried_at=now.mono)
        return _put(fleet, peer, channel, asked), [AskReady(peer)]
    if health.state is ChannelState.BROKEN:
        fleet, moved = _move(fleet, peer, channel, health, Event.MEND, now, "trying again")
        fleet, ping = _probe(fleet, peer, channel, now)
        return fleet, [*moved, *ping]
    return _probe(fleet, peer, channel, now)


def _quieted(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> Step:
    """A pair nobody could try for a quarter of an hour is unknown again: stale knowledge is not knowledge."""
    health = fleet.health(peer, channel)
    heard = max(health.ok_at or 0.0, health.tried_at or 0.0)
    if health.tried_at is None or now.mono - heard < fleet.config.health.quiet_s:
        return fleet, []
    return _move(fleet, peer, channel, health, Event.QUIET, now, "not tried for 15 minutes")


def _due(fleet: Fleet, peer: str, channel: Channel) -> float:
    """The monotonic second at which a pair is worth a probe."""
    health = fleet.health(peer, channel)
    if health.owed_at is not None:
        return health.owed_at + fleet.config.mail.relay_wait_s
    rest = _DUE.get(health.state)
    return rest(health, peer, channel, fleet) if rest else float("inf")


def _rested(health: ChannelHealth, peer: str, channel: Channel, fleet: Fleet) -> float:
    last = max(health.ok_at or 0.0, health.tried_at or 0.0)
    crowd = max(1.0, len(fleet.peers) / PROBED_AT_FULL_RATE)
    # A fixed spread of 10 % a pair keeps a hundred peers from probing in step.
    return last + fleet.config.health.probe_s * crowd * (0.9 + crc32(f"{peer}{channel}".encode()) % 100 / 1000)


_DUE: dict[ChannelState, Callable[[ChannelHealth, str, Channel, Fleet], float]] = {
    ChannelState.UNKNOWN: lambda health, peer, channel, fleet: (
        0.0 if health.tried_at is None else _rested(health, peer, channel, fleet)
    ),
    ChannelState.HEALTHY: _rested,
    # What could not be set up may be by now: a relay appeared, an address was heard.
    ChannelState.ABSENT: _rested,
    ChannelState.DEGRADED: lambda health, peer, channel, fleet: (health.tried_at or 0.0) + 1.0,
    ChannelState.BROKEN: lambda health, peer, channel, fleet: health.retry_at,
    # A healing channel whose probe never came back in any form is looked at again after its budget.
    ChannelState.HEALING: lambda health, peer, channel, fleet: (
        (health.tried_at or 0.0) + 2 * CHANNELS[channel].budget_s
    ),
}


def _succeed(fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth, now: Moment, latency_ms: float) -> Step:
    good = health.good + 1 if health.state in (ChannelState.HEALING, ChannelState.BROKEN) else 0
    health = msgspec.structs.replace(
        health,
        ok_at=now.mono,
        streak=0,
        overtaken=0,
        good=good,
        latencies=(*health.latencies[-KEPT_LATENCIES + 1 :], latency_ms),
    )
    if health.state is ChannelState.HEALING and good >= fleet.config.health.heal_probes:
        health = msgspec.structs.replace(health, fails=(), good=0, backoff_s=fleet.config.health.backoff_s)
        return _move(fleet, peer, channel, health, Event.HEALED, now, f"{good} good probes")
    fleet, effects = _move(fleet, peer, channel, health, Event.OK, now, "answered")
    if fleet.health(peer, channel).state is not ChannelState.HEALING:
        return fleet, effects
    fleet, ping = _probe(fleet, peer, channel, now)
    return fleet, [*effects, *ping]


def _fail(
    fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth, now: Moment, reason: str, hard: bool
) -> Step:
    config = fleet.config.health
    fails = (*(at for at in health.fails if now.mono - at < config.window_s), now.mono)[-16:]
    streak = health.streak + 1
    enough = hard or streak >= config.streak or len(fails) >= config.streak
    backoff = _backoff(health, config)
    retry_at = now.mono + _jittered(backoff, peer, streak)
    health = msgspec.structs.replace(health, fails=fails, streak=streak, good=0, backoff_s=backoff, retry_at=retry_at)
    fleet, effects = _move(fleet, peer, channel, health, Event.ENOUGH if enough else Event.FAIL, now, reason)
    return fleet, [*effects, Arm(TIMER, max(now.mono, fleet.health(peer, channel).retry_at))]


def _backoff(health: ChannelHealth, config: HealthConfig) -> float:
    """Doubled each time healing fails; from the beginning when a working channel breaks."""
    if health.state not in (ChannelState.HEALING, ChannelState.BROKEN):
        return config.backoff_s
    return min(max(health.backoff_s, config.backoff_s / 2) * 2, config.backoff_max_s)


def _jittered(backoff: float, peer: str, streak: int) -> float:
    """Between half and all of the back-off, the same in every replay: peers must not return in step."""
    return backoff * (0.5 + crc32(f"{peer}{streak}".encode()) % 512 / 1024)


def _probe(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> Step:
    health = msgspec.structs.replace(fleet.health(peer, channel), tried_at=now.mono)
    ping = Envelope(
        src=fleet.me.id,
        src_epoch=fleet.me.epoch,
        seq=0,
        dst=peer,
        msg_id=f"ping-{int(now.mono * 1e6)}",
        kind=Kind.PING,
        urgency=Urgency.LOW,
        created_ms=now.wall_ms,
    )
    budget = min(CHANNELS[channel].budget_s, 20 * hedge_s(health, fleet.config.mail))
    return _put(fleet, peer, channel, health), [Deliver(peer, channel, ping, budget)]


def _move(
    fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth, event: Event, now: Moment, reason: str
) -> Step:
    """One event on one pair, told to the faces, to the outbox and, when it broke or healed, to the ledger."""
    moved = advance(health, event, now, reason)
    fleet = _put(fleet, peer, channel, moved)
    if moved.state is health.state:
        return fleet, []
    effects: list[Effect] = [Publish(ChannelMoved(peer, channel, health.state, moved.state, reason))]
    usable = moved.state in USABLE
    if usable is not (health.state in USABLE) and not moved.held:
        # Only then: whoever rests would begin anew at each failure of a channel that still counts as usable.
        effects.append(Raise(ChannelTurned(peer, channel, usable)))
    if moved.state in _IN_LEDGER or health.state in _IN_LEDGER:
        facts = {"channel": str(channel), "from": str(health.state), "to": str(moved.state), "reason": reason}
        effects.insert(0, Save((AddEntry(now.wall_ms, fleet.me.id, "channel", peer, facts),), lazy=True))
    return fleet, effects


_IN_LEDGER = frozenset({ChannelState.QUARANTINED})


def _put(fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth) -> Fleet:
    if fleet.channels.get((peer, channel)) is health:
        return fleet
    return msgspec.structs.replace(fleet, channels=fleet.channels.set((peer, channel), health))


def _present(fleet: Fleet) -> list[str]:
    return [member.id for member in fleet.roster.members if member.present and member.id != fleet.me.id]


def _channels(fleet: Fleet, peer: str) -> list[Channel]:
    return [channel for channel in Channel if (peer, channel) in fleet.channels]


_JUDGED: dict[Verdict, Callable[[Fleet, Tried, ChannelHealth, Moment], Step]] = {
    Verdict.CONFIRMED: _confirmed,
    Verdict.LANDED: _landed,
    Verdict.REFUSED: _lost,
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
    Rang: _rang,
    ChannelHeld: _held,
    ProbeAsked: _asked,
    BrokerChanged: _broker,
}
