"""The roll: who is in the fleet, how each one is, and what reaches it. Pure; every room asks here, so all agree.

A peer's condition is its standing; while it is alive, a channel in trouble makes it degraded, because the next fault
will be felt. What was not measured is unknown: nothing here guesses. Members that left or were revoked are not shown.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.peer import Peer, Standing
from engine.model.roster import Member, Role
from engine.state import Fleet
from screens.glyphs import CHANNEL, STANDING, Look

# The order of the next message's channels to a peer; empty where nobody knows.
Plan = Callable[[str], tuple[Channel, ...]]
Pair = tuple[str, Channel]

HERE = Look("●", "this node", "good")
DEGRADED = Look("◐", "degraded", "warn")
LOST = (ChannelState.QUARANTINED, ChannelState.BROKEN)
WORKS = (ChannelState.HEALTHY, ChannelState.DEGRADED)
NINE = tuple(CHANNELS)
ALIVE = STANDING[Standing.ALIVE]
RANKS = {Role.CHIEF: 0, Role.CAPTAIN: 1, Role.WORKER: 2, Role.OBSERVER: 3}
PIECES = re.compile(r"(\D*)(\d*)")
# Worst first: the order of the table, and of the groups on a large map.
WORST = {"○": 0, "◐": 1, "·": 2, "●": 3, "–": 4}


class Condition(NamedTuple):
    """How a peer is: its look, why (empty when all is well), and since when (wall ms, 0: unknown)."""

    look: Look
    why: str = ""
    since_ms: int = 0


class Link(NamedTuple):
    """One channel to a peer: its state, the middle of its last round trips (ms), and why it is so."""

    channel: Channel
    state: ChannelState
    ms: float | None
    why: str
    held: bool


def no_plan(peer: str) -> tuple[Channel, ...]:
    """The order of a cascade nobody has told us."""
    return ()


def members(fleet: Fleet) -> list[Member]:
    """Everyone who belongs, by rank and then by name: an order that stands still."""
    present = [one for one in fleet.roster.members if one.present]
    return sorted(present, key=lambda one: (RANKS.get(one.role, 9), natural(one.name)))


@lru_cache(4_096)
def natural(name: str) -> tuple[tuple[str, int], ...]:
    """A sort key that puts `gpu-9` before `gpu-10`."""
    return tuple((letters, int(digits or 0)) for letters, digits in PIECES.findall(name.lower()))


def peer_of(fleet: Fleet, node_id: str) -> Peer:
    """What was measured of a peer; a blank page when nothing was."""
    return fleet.peers.get(node_id) or Peer(node_id)


def link(channel: Channel, health: ChannelHealth) -> Link:
    """One (peer, channel) pair as the rooms show it."""
    why = health.trouble if health.retried else health.reason
    return Link(channel, health.shown, health.latency_ms, why, health.held)


def links(fleet: Fleet, node_id: str) -> list[Link]:
    """All nine, in the order of their numbers."""
    return [link(channel, fleet.health(node_id, channel)) for channel in NINE]


def _known(fleet: Fleet, node_id: str) -> list[Link]:
    """Those that something is known of. Asked of every peer on the map, so it looks at this peer's alone."""
    found = ((channel, fleet.channels.get((node_id, channel))) for channel in NINE)
    return [link(channel, health) for channel, health in found if health is not None]


def best(fleet: Fleet, node_id: str, plan: Plan = no_plan) -> Link | None:
    """The channel the next message would take, or else the best that is known to work."""
    if node_id == fleet.me.id:
        return None
    for channel in plan(node_id):
        found = link(channel, fleet.health(node_id, channel))
        if found.state in WORKS:
            return found
    working = [one for one in _known(fleet, node_id) if one.state in WORKS and not one.held]
    return min(working, key=_preference, default=None)


def _preference(one: Link) -> tuple[int, int, int]:
    spec = CHANNELS[one.channel]
    return (WORKS.index(one.state), spec.speed, spec.number)


def failed(fleet: Fleet, node_id: str) -> Link | None:
    """The first rung that does not work: what the broken edge of the map names."""
    return next((one for one in _known(fleet, node_id) if one.state in LOST), None)


def condition(fleet: Fleet, node_id: str) -> Condition:
    """How a peer is, and why."""
    if node_id == fleet.me.id:
        return Condition(HERE)
    peer = peer_of(fleet, node_id)
    if fleet.revoked:
        return Condition(STANDING[Standing.UNREACHABLE], "this node was revoked", peer.since_ms)
    if peer.standing is not Standing.ALIVE:
        return Condition(STANDING[peer.standing], _silence(fleet, node_id), peer.since_ms)
    channel = fleet.worst(node_id)
    if channel is None:
        return Condition(ALIVE, "", peer.since_ms)
    health = fleet.health(node_id, channel)
    return Condition(DEGRADED, said(link(channel, health)), health.since_ms)


def _silence(fleet: Fleet, node_id: str) -> str:
    broken = failed(fleet, node_id)
    return said(broken) if broken else ""


def said(one: Link) -> str:
    """A link in three words: `nats refused`, `http slow`."""
    return f"{one.channel} {one.why or CHANNEL[one.state].word}"


def counts(conditions: Iterable[Condition]) -> dict[str, int]:
    """How many members wear each glyph: the header's numbers."""
    return dict(Counter(one.look.glyph for one in conditions))
