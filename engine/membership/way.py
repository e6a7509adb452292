"""The way to a peer for what is only worth sending once: heartbeats, rosters, the fallback ping.

A pulse is not hedged, not retried and not queued, so it takes the one channel most likely to work: HEALTHY before
DEGRADED before untried before BROKEN, and of equal ones the lowest number. Channels that a person holds, that are
quarantined or absent are never taken. Mail is carried by the cascade; this is not it. Only what says
where a node is goes over two while none is proved: who misses it calls where nobody is, for ten seconds or, when it
moves too in the meantime, for good.

A pulse leaves without a number and gets one when it is sealed, so that the edge's own answers share the stream.
"""

from engine.effects import Deliver, Effect
from engine.model.channel import CHANNELS, Channel, ChannelState
from engine.model.envelope import KINDS, Kind
from engine.model.moment import Moment
from engine.model.peer import GONE
from engine.state import Fleet

# How promising a channel in this state is; a state without a rank is not tried.
RANKS: dict[ChannelState, int] = {
    ChannelState.HEALTHY: 0,
    ChannelState.DEGRADED: 1,
    ChannelState.HEALING: 2,
    ChannelState.UNKNOWN: 3,
    ChannelState.BROKEN: 4,
}
# A peer that is away gets a pulse only over a channel that has worked: health probes the others, and gossip pings it.
PROMISING = 1


def pulse(
    fleet: Fleet, peer_id: str, kind: Kind, body: bytes, now: Moment, prefer: Channel | None = None
) -> list[Effect]:
    """What carries `body` to a peer over the best channel; nothing where there is none worth trying."""
    channel = best(fleet, peer_id, kind, prefer)
    return _carried(fleet, peer_id, kind, body, now, [channel] if channel else [])


def hail(fleet: Fleet, peer_id: str, kind: Kind, body: bytes, now: Moment) -> list[Effect]:
    """What says where this node is: as a pulse where a channel is HEALTHY, else over the best two."""
    ranked = _ranked(fleet, peer_id, kind)
    proved = any(rank == RANKS[ChannelState.HEALTHY] for rank, *_ in ranked)
    return _carried(fleet, peer_id, kind, body, now, [channel for *_, channel in ranked[: 1 if proved else 2]])


def best(fleet: Fleet, peer_id: str, kind: Kind, prefer: Channel | None = None) -> Channel | None:
    """The channel for a pulse of `kind`, or None when there is none worth trying. `prefer` wins unless it is BROKEN."""
    ranked = _ranked(fleet, peer_id, kind)
    if prefer and any(channel is prefer and rank < RANKS[ChannelState.BROKEN] for rank, _, channel in ranked):
        return prefer
    return ranked[0][-1] if ranked else None


def _ranked(fleet: Fleet, peer_id: str, kind: Kind) -> list[tuple[int, int, Channel]]:
    """The channels worth trying, the most promising first, each with its rank and number."""
    peer = fleet.peers.get(peer_id)
    limit = PROMISING if peer is not None and peer.standing in GONE else RANKS[ChannelState.BROKEN]
    return sorted(
        (RANKS[health.state], CHANNELS[channel].number, channel)
        for channel in KINDS[kind].channels
        if (health := fleet.health(peer_id, channel)).state in RANKS
        and not health.held
        and RANKS[health.state] <= limit
    )


def _carried(fleet: Fleet, peer_id: str, kind: Kind, body: bytes, now: Moment, channels: list[Channel]) -> list[Effect]:
    envelope = fleet.envelope(peer_id, kind, f"{kind}-{int(now.mono * 1e6)}", now.wall_ms, body)
    return [Deliver(peer_id, channel, envelope, CHANNELS[channel].budget_s) for channel in channels]
