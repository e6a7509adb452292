"""What a try proves: a success or a failure of one pair, and how long it is left alone after it broke."""

from zlib import crc32

import msgspec

from engine.config import HealthConfig
from engine.effects import Arm, Effect
from engine.health.pairs import move, probe, put
from engine.health.table import Event
from engine.model.channel import CHANNELS, KEPT_FAILS, SLOT_S, SLOTS, Cause, Channel, ChannelHealth, ChannelState
from engine.model.moment import Moment
from engine.state import Fleet

TIMER = "health.round"
# Two that have met so lately still open their doors one by one; what has not worked yet is asked again so soon.
MET_MS, SOON_S = 10_000, 0.5
# Latencies kept a pair: enough for a p95 and for five minutes of sparkline at the probing rate.
KEPT_LATENCIES = 60

Step = tuple[Fleet, list[Effect]]


def succeed(
    fleet: Fleet,
    peer: str,
    channel: Channel,
    health: ChannelHealth,
    now: Moment,
    latency_ms: float,
    why: str = "answered",
) -> Step:
    if not CHANNELS[channel].probed and health.state in (ChannelState.BROKEN, ChannelState.HEALING):
        # Three good probes would never come: what is only tried for a reason is as good as its last try.
        fleet, _ = move(fleet, peer, channel, health, Event.QUIET, now, "was tried again")
        health = fleet.health(peer, channel)
    good = health.good + 1 if health.state in (ChannelState.HEALING, ChannelState.BROKEN) else 0
    health = msgspec.structs.replace(
        health,
        ok_at=now.mono,
        cause=None,
        streak=0,
        overtaken=0,
        good=good,
        latencies=(*health.latencies[-KEPT_LATENCIES + 1 :], latency_ms),
        curve=_drawn(health.curve, now.mono, latency_ms),
    )
    if health.state is ChannelState.HEALING and good >= fleet.config.health.heal_probes:
        health = msgspec.structs.replace(health, healed_at=now.mono, good=0, backoff_s=fleet.config.health.backoff_s)
        return move(fleet, peer, channel, health, Event.HEALED, now, f"{good} good probes")
    fleet, effects = move(fleet, peer, channel, health, Event.OK, now, why)
    if fleet.health(peer, channel).state is not ChannelState.HEALING:
        return fleet, effects
    fleet, ping = probe(fleet, peer, channel, now)
    return fleet, [*effects, *ping]


def _drawn(curve: tuple[tuple[int, float], ...], now_mono: float, ms: float) -> tuple[tuple[int, float], ...]:
    """The curve with one more round trip: of each slot the slowest, because that is what a person would feel."""
    slot = int(now_mono // SLOT_S)
    if not curve or curve[-1][0] != slot:
        return (*(point for point in curve if point[0] > slot - SLOTS), (slot, ms))
    return (*curve[:-1], (slot, ms)) if ms > curve[-1][1] else curve


def fail(
    fleet: Fleet,
    peer: str,
    channel: Channel,
    health: ChannelHealth,
    now: Moment,
    reason: str,
    hard: bool,
    cause: Cause | None = None,
) -> Step:
    config, health = fleet.config.health, msgspec.structs.replace(health, cause=cause)
    if health.state is ChannelState.UNKNOWN and health.ok_at is None and _just_met(fleet, peer, now):
        health = msgspec.structs.replace(health, reason=reason, retry_at=now.mono + SOON_S)
        return put(fleet, peer, channel, health), [Arm(TIMER, health.retry_at)]
    fails = (*(at for at in health.fails if now.mono - at < config.window_s), now.mono)[-KEPT_FAILS:]
    streak = health.streak + 1
    enough = hard or streak >= config.streak or sum(at > health.healed_at for at in fails) >= config.streak
    backoff = _backoff(health, config)
    retry_at = now.mono + _jittered(backoff, peer, streak)
    health = msgspec.structs.replace(health, fails=fails, streak=streak, good=0, backoff_s=backoff, retry_at=retry_at)
    fleet, effects = move(fleet, peer, channel, health, Event.ENOUGH if enough else Event.FAIL, now, reason)
    return fleet, [*effects, Arm(TIMER, max(now.mono, fleet.health(peer, channel).retry_at))]


def _just_met(fleet: Fleet, peer: str, now: Moment) -> bool:
    """Whether one of the two has just joined. By the clock of whoever admitted it: where that is off, what does not
    work is called broken at once."""
    joined = [one.joined_ms for one in (fleet.member(peer), fleet.mine) if one]
    return 0 <= now.wall_ms - max(joined, default=0) < MET_MS


def _backoff(health: ChannelHealth, config: HealthConfig) -> float:
    """Doubled each time healing fails; from the beginning when a working channel breaks."""
    if health.state not in (ChannelState.HEALING, ChannelState.BROKEN):
        return config.backoff_s
    return min(max(health.backoff_s, config.backoff_s / 2) * 2, config.backoff_max_s)


def _jittered(backoff: float, peer: str, streak: int) -> float:
    """Between half and all of the back-off, the same in every replay: peers must not return in step."""
    return backoff * (0.5 + crc32(f"{peer}{streak}".encode()) % 512 / 1024)
