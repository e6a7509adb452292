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
