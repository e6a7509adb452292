"""A peer, live: what this node has measured of another, beside what the roster says of it."""

from enum import StrEnum

import msgspec

from engine.model.packets import Heartbeat


class Standing(StrEnum):
    """How present a peer is, graded. Dead is cheap and reversible: it re-routes mail and re-assigns nothing.
    UNKNOWN: in the roster, never heard since this node started."""

    UNKNOWN = "UNKNOWN"
    ALIVE = "ALIVE"
    SUSPECT = "SUSPECT"
    UNREACHABLE = "UNREACHABLE"
    STALE = "STALE"
    OFFLINE = "OFFLINE"
    LEFT = "LEFT"


# What standings mean to who acts on them. Each decision names the set it is made by; they differ on purpose: a doubt
# is no absence, not to have heard somebody yet is neither, and who left is no more awaited.
#
# THERE     it was heard a moment ago, or is only doubted: what is asked of it is answered
# EXPECTED  and those nobody has heard yet since the start: asked as if they were there, so that one finds out
# AWAY      silent for longer than a doubt lasts: mail waits for it, and any word brings it back
# GONE      and those that left: nothing is owed by it, so nothing is amiss when nothing comes
THERE = frozenset({Standing.ALIVE, Standing.SUSPECT})
EXPECTED = THERE | {Standing.UNKNOWN}
AWAY = frozenset({Standing.UNREACHABLE, Standing.STALE, Standing.OFFLINE})
GONE = AWAY | {Standing.LEFT}


class Peer(msgspec.Struct, frozen=True):
    """One peer. `heard_mono`, `heard_ms`: the last authenticated word from it, on the two clocks (None, 0: never).
    `incarnation`: the highest it claimed; only itself may raise it. `suspect_at`: when suspicion began.
    `beat_no`: (epoch, pulse number) of `beat`. `offset_ms`: its clock minus ours, once measured. `rtt_ms`: the last
    gossip round trip."""

    id: str
    standing: Standing = Standing.UNKNOWN
    since_ms: int = 0
    heard_mono: float | None = None
    heard_ms: int = 0
    beat: Heartbeat | None = None
    incarnation: int = 0
    suspect_at: float | None = None
    accusers: frozenset[str] = frozenset()
    offset_ms: float | None = None
    rtt_ms: float | None = None
    beat_no: tuple[int, int] = (0, 0)
