"""When a channel is worth a round trip nobody asked for.

At once when it is unknown, every few seconds while it rests, after a back-off when it is broken, a minute after it
showed a wrong key. One timer serves all pairs; probes that are due together travel together.
"""

from collections.abc import Callable
from zlib import crc32

import msgspec

from engine.effects import Arm, AskReady, Effect
from engine.health.judge import TIMER, fail
from engine.health.pairs import move, present, probe, put
from engine.health.table import TRYING, Event
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.moment import Moment
from engine.model.peer import THERE
from engine.state import Fleet

# How long a channel that showed a wrong key is left alone: a port that a stranger had goes back to its owner.
QUARANTINE_S = 60.0
# One probing round never comes sooner than this after the last: probes of many peers travel together.
GRID_S = 0.25
# Beyond so many peers the rest between probes grows with their number, so that probing stays a fixed cost.
PROBED_AT_FULL_RATE = 8

Step = tuple[Fleet, list[Effect]]


def go_round(fleet: Fleet, now: Moment) -> Step:
    """Probe every pair that is due, and ring again when the next one is."""
    effects: list[Effect] = []
    soonest = now.mono + fleet.config.health.probe_s
    for peer in present(fleet):
        fleet, more, due = _looked_at(fleet, peer, now)
        effects += more
        soonest = min(soonest, due)
    return fleet, [*effects, Arm(TIMER, max(soonest, now.mono + GRID_S))]


def look_at(fleet: Fleet, peer: str, now: Moment) -> Step:
    """The same for one peer, of which something new is known: a hundred peers that are met at a start are a hundred
    looks, not a hundred rounds."""
    fleet, effects, due = _looked_at(fleet, peer, now)
    return fleet, [*effects, Arm(TIMER, max(due, now.mono + GRID_S))]


def _looked_at(fleet: Fleet, peer: str, now: Moment) -> tuple[Fleet, list[Effect], float]:
    effects: list[Effect] = []
    # Among many the rests end all the time; whoever only rests waits for the others, or looking would never end.
    together = now.mono + GRID_S * _crowd(fleet)
    soonest = now.mono + fleet.config.health.probe_s
    stale = now.mono - fleet.config.health.quiet_s
    for channel in CHANNELS:
        health = fleet.channels.get((peer, channel))
        if health is None:
            continue
        due = _due(fleet, peer, channel, health)
        if due <= now.mono or (health.tried_at is not None and health.tried_at <= stale):
            fleet, more = _quieted(fleet, peer, channel, now)
            fleet, again = _look(fleet, peer, channel, now)
            # One question whom it could reach is put to all transports: one is enough, of however many channels.
            effects += [*more, *(one for one in again if one not in effects)]
            health = fleet.health(peer, channel)
            due = _due(fleet, peer, channel, health)
        soonest = min(soonest, max(due, together) if health.state in _AT_REST else due)
    return fleet, effects, soonest


_AT_REST = frozenset({ChannelState.HEALTHY, ChannelState.UNKNOWN, ChannelState.ABSENT})


def _crowd(fleet: Fleet) -> float:
    return max(1.0, len(fleet.peers) / PROBED_AT_FULL_RATE)


def _look(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> Step:
    health = fleet.health(peer, channel)
    if health.owed_at is not None and now.mono - health.owed_at >= owed_s(fleet, channel):
        health = msgspec.structs.replace(health, owed_at=None, tried_at=now.mono)
        live = fleet.peers.get(peer)
        if live is not None and live.standing in THERE:
            why = f"{_THROUGH[channel]} took it; no receipt says it came"
            return fail(fleet, peer, channel, health, now, why, False)
        return put(fleet, peer, channel, health), []
    if now.mono < _due(fleet, peer, channel, health):
        return fleet, []
    if health.state is ChannelState.ABSENT:
        asked = msgspec.structs.replace(health, tried_at=now.mono)
        return put(fleet, peer, channel, asked), [AskReady(peer)]
    if health.state is ChannelState.QUARANTINED:
        fleet, moved = move(fleet, peer, channel, health, Event.CLEARED, now, "looking at its key again")
        fleet, ping = probe(fleet, peer, channel, now)
        return fleet, [*moved, *ping]
    if health.state is ChannelState.BROKEN and not CHANNELS[channel].probed:
        # Only a message can find out whether it works.
        return move(fleet, peer, channel, health, Event.QUIET, now, "may be tried again")
    if health.state is ChannelState.BROKEN:
        fleet, moved = move(fleet, peer, channel, health, Event.MEND, now, TRYING)
        fleet, ping = probe(fleet, peer, channel, now)
        # Its last relay may have gone, its sshd been switched off: then it is not broken any more.
        return fleet, [*moved, AskReady(peer), *ping]
    return probe(fleet, peer, channel, now)


def _quieted(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> Step:
    """A pair nobody could try for a quarter of an hour is unknown again: stale knowledge is not knowledge."""
    health = fleet.health(peer, channel)
    heard = max(health.ok_at or 0.0, health.tried_at or 0.0)
    if health.tried_at is None or now.mono - heard < fleet.config.health.quiet_s:
        return fleet, []
    return move(fleet, peer, channel, health, Event.QUIET, now, "not tried for 15 minutes")


def owed_s(fleet: Fleet, channel: Channel) -> float:
    """How long a peer is given for its receipt of what a channel without a way back took."""
    return fleet.config.mail.relay_wait_s if channel is Channel.RELAY else CHANNELS[channel].budget_s


_THROUGH = {channel: "the relay" if channel is Channel.RELAY else str(channel) for channel in Channel}


def _due(fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth) -> float:
    """The monotonic second at which a pair is worth a probe."""
    if health.owed_at is not None:
        return health.owed_at + owed_s(fleet, channel)
    rest = (_DUE if CHANNELS[channel].probed else _DUE_UNPROBED).get(health.state)
    return rest(health, peer, channel, fleet) if rest else float("inf")


def _rested(health: ChannelHealth, peer: str, channel: Channel, fleet: Fleet) -> float:
    last = max(health.ok_at or 0.0, health.tried_at or 0.0)
    # A fixed spread of 10 % a pair keeps a hundred peers from probing in step.
    rest_s = fleet.config.health.probe_s * max(1, CHANNELS[channel].probed)
    return last + rest_s * _crowd(fleet) * (0.9 + crc32(f"{peer}{channel}".encode()) % 100 / 1000)


_DUE: dict[ChannelState, Callable[[ChannelHealth, str, Channel, Fleet], float]] = {
    ChannelState.UNKNOWN: lambda health, peer, channel, fleet: (
        0.0
        if health.tried_at is None
        else health.retry_at
        if health.retry_at > health.tried_at
        else _rested(health, peer, channel, fleet)
    ),
    ChannelState.HEALTHY: _rested,
    # What could not be set up may be by now: a relay appeared, an address was heard.
    ChannelState.ABSENT: _rested,
    ChannelState.DEGRADED: lambda health, peer, channel, fleet: (
        (health.tried_at or 0.0) + 0.9 + CHANNELS[channel].probed / 10
    ),
    ChannelState.BROKEN: lambda health, peer, channel, fleet: health.retry_at,
    # The right key may be back at that address; nothing is sent before it is seen, so looking costs no trust.
    ChannelState.QUARANTINED: lambda health, peer, channel, fleet: (health.tried_at or 0.0) + QUARANTINE_S,
    # A healing channel whose probe never came back in any form is looked at again after its budget.
    ChannelState.HEALING: lambda health, peer, channel, fleet: (
        (health.tried_at or 0.0) + 2 * CHANNELS[channel].budget_s
    ),
}
# A channel that costs something each time is never tried without a message.
_DUE_UNPROBED = {state: _DUE[state] for state in (ChannelState.ABSENT, ChannelState.BROKEN, ChannelState.QUARANTINED)}
