"""Which channels to try for a message, in which order, and how long to wait before starting the next.

Hedged, not one timeout after another: with P1 black-holed at 20 messages/s a list of 3 s timeouts made every message
late, by 3 s; hedged, at most one of eighty was later than 100 ms (T8 in `docs/speed.md`). Formulas only; who uses them
decides nothing here and measures nothing.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import ceil

from msgspec.structs import replace

from engine.config import MailConfig
from engine.health.table import USABLE
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.envelope import KINDS, Kind
from engine.model.peer import THERE
from engine.state import Fleet

# Latencies count as equal while they are within a factor of four above this floor: the present path is kept unless
# another wins by a margin.
EQUAL_BELOW_MS = 4.0
# A relay is a detour that burdens a third node and proves only that it has the message, so it goes before a direct
# channel of the same health only where it is faster by two more such factors: not because a first call, with its
# handshake, took sixty milliseconds.
DETOUR = 2
# A frame passes at most two relays: enough for a fleet whose parts have one machine each in common.
HOP_LIMIT = 2


def choose(
    fleet: Fleet, peer: str, kind: Kind, *, via: Channel | None = None, widened: bool = False, hop: int = 0
) -> tuple[Channel, ...]:
    """The channels to try for a message of `kind` to `peer`, best first; empty when none is usable now.

    Ordered by (state, class, measured median, P-number). BROKEN, HEALING, held and absent ones are left out, except a
    storing relay for a peer that is away, and a channel the sender named with `via`.
    """
    usable = list(_ways(fleet, peer, kind, via, widened, hop))
    if len(usable) > 1:
        usable.sort(key=_rank)
    return tuple([channel for channel, _ in usable])


def works(fleet: Fleet, peer: str, kind: Kind, *, widened: bool = False) -> bool:
    """Whether `choose` finds any, without asking in which order."""
    return next(_ways(fleet, peer, kind, None, widened, 0), None) is not None


def _ways(
    fleet: Fleet, peer: str, kind: Kind, via: Channel | None, widened: bool, hop: int
) -> Iterator[tuple[Channel, ChannelHealth]]:
    for channel in (via,) if via else _allowed(kind, widened):
        health = fleet.channels.get((peer, channel))
        if health is None or (hop >= HOP_LIMIT and channel is Channel.RELAY):
            continue
        if _forced(health) if via else _usable(fleet, peer, channel, health):
            yield channel, health


def resorts(fleet: Fleet, peer: str) -> tuple[Channel, ...]:
    """What is left for a message that may go any way when all else has failed: a machine that is away can be woken, a
    vendor's trigger can be pulled. Never hedged, and nothing is woken that is there."""
    found = []
    for channel, spec in CHANNELS.items():
        health = fleet.channels.get((peer, channel)) if spec.resort else None
        if health is not None and _usable(fleet, peer, channel, health) and (spec.carries or _away(fleet, peer)):
            found.append(channel)
    return tuple(sorted(found, key=lambda channel: CHANNELS[channel].speed))


def held_back(
    fleet: Fleet, peer: str, kind: Kind, *, via: Channel | None = None, widened: bool = False
) -> tuple[Channel, ...]:
    """The channels that would be tried if no person held them back, where nothing else is left for the message: why it
    waits. Empty where something else is left, and for what the sender named with `via`, which no hold stops."""
    if via or works(fleet, peer, kind, widened=widened):
        return ()
    known = ((channel, fleet.channels.get((peer, channel))) for channel in _allowed(kind, widened))
    held = ((channel, health) for channel, health in known if health is not None and health.held)
    return tuple(channel for channel, health in held if _usable(fleet, peer, channel, replace(health, held=False)))


def reached(fleet: Fleet, peer: str) -> bool:
    """Whether a channel that asks and answers works to this peer now."""
    hot = (fleet.channels.get((peer, channel)) for channel in KINDS[Kind.PASS].channels)
    return any(health is not None and health.state is ChannelState.HEALTHY for health in hot)


def direct(fleet: Fleet, peer: str) -> bool:
    """Whether a frame can be handed to this peer now without anybody's help: `choose` for a PASS, without the order."""
    for channel in KINDS[Kind.PASS].channels:
        health = fleet.channels.get((peer, channel))
        if health is not None and _usable(fleet, peer, channel, health):
            return True
    return False


def hedge_s(health: ChannelHealth, config: MailConfig) -> float:
    """Seconds to wait on a channel before the next is started: twice its 95th percentile, within the bounds. Of the
    sixty round trips that are kept the 99th would be the slowest of all, and one that was late by chance would make
    every message wait after the channel falls silent."""
    slow_ms = percentile(health.latencies, 0.95)
    if slow_ms is None:
        return config.hedge_max_s
    return min(max(2 * slow_ms / 1000, config.hedge_min_s), config.hedge_max_s)


def trusted(health: ChannelHealth, now_mono: float, config: MailConfig) -> bool:
    """Whether a channel may be used alone: it has succeeded within the trust window."""
    return health.ok_at is not None and now_mono - health.ok_at <= config.trust_s


# Asked for each message of every channel, while latencies change once a delivery: sorting them anew was half of what
# accepting a message costs. 256 are the channels of some thirty peers that are written to at one time.
@lru_cache(maxsize=256)
def percentile(values: tuple[float, ...], share: float) -> float | None:
    """The nearest-rank percentile; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def _allowed(kind: Kind, widened: bool) -> tuple[Channel, ...]:
    # A broken promise is worse than a slow one: `--any` widens to everything that may be hedged, never to a channel
    # that wakes a machine, types into a terminal or costs money unasked.
    return tuple(spec.channel for spec in CHANNELS.values() if spec.hedged) if widened else KINDS[kind].channels


def _forced(health: ChannelHealth) -> bool:
    return health.state not in (ChannelState.QUARANTINED, ChannelState.ABSENT)


def _usable(fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth) -> bool:
    if health.held:
        return False
    return health.state in USABLE or (CHANNELS[channel].stores and _forced(health) and _away(fleet, peer))


def _away(fleet: Fleet, peer: str) -> bool:
    """Whoever was never heard counts: nothing shows that somebody is there to answer, and what is put down waits."""
    live = fleet.peers.get(peer)
    return live is not None and live.standing not in THERE


def _rank(pair: tuple[Channel, ChannelHealth]) -> tuple[int, int, int, int]:
    channel, health = pair
    spec = CHANNELS[channel]
    median_ms = percentile(health.latencies, 0.5) or 0.0
    detour = DETOUR if channel is Channel.RELAY else 0
    return USABLE.get(health.state, 3), spec.speed, _bucket(median_ms) + detour, spec.number


def _bucket(median_ms: float) -> int:
    bucket, bound = 0, EQUAL_BELOW_MS
    while median_ms > bound:
        bucket, bound = bucket + 1, bound * 4
    return bucket
