"""Waking a machine through a peer on its network: whom to ask, and whether to do what is asked.

    WakeWanted(node)      -> WAKE to members that are there and whose cards share a network with a card of `node`
    WakeCame(frm, node)   -> SendMagic(node), when it is a member and a card of ours is on its network
    NodeStarting(node)    -> what works again meanwhile, or a moment after it was DONE, is not told to be by itself
    NodeStarted(node)     -> a line of history

Two networks are the same when their broadcast addresses are. Many homes are called 192.168.1.255, so two that look
the same may not be; who asks therefore sends its own packets as well, and what was sent is never called awake. How
many packets one machine gets in a minute is limited where they are sent; an observer is refused at the door, because
to wake a machine is to command it (`engine.security.role`).
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Effect, Raise, Save, SendMagic
from engine.membership import way
from engine.model.channel import Channel
from engine.model.envelope import Kind
from engine.model.moment import Moment
from engine.model.packets import Wake, pack
from engine.model.peer import Standing
from engine.model.records import AddEntry
from engine.model.repair import Ended
from engine.model.ways import Ways
from engine.security.role import may_send
from engine.signals import NodeStarted, NodeStarting, Rejected, Signal, WakeCame, WakeWanted
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

# More machines than this on one network send nothing that the first two have not sent.
ASKED_LIMIT = 2
# Who was woken a moment ago is not woken again for the next that asks: each time is a line of history, kept for ever.
ROUSED_S = 20.0


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Who is asked, and what is done for others."""
    return _HEARD[type(signal)](fleet, signal, now)


def neighbours(fleet: Fleet, node: str) -> list[str]:
    """Members that are there and share a network with a card of `node`, those that answer us directly first."""
    mine = fleet.mine
    if mine is None or not may_send(mine.role, Kind.WAKE):
        return []
    there = networks(fleet.ways_of(node))
    beside = (peer.id for peer in fleet.peers.values() if peer.id != node and peer.standing is Standing.ALIVE)
    beside = (peer for peer in beside if networks(fleet.ways_of(peer)) & there)
    found = [(via is Channel.RELAY, peer) for peer in beside if (via := way.best(fleet, peer, Kind.WAKE))]
    return [peer for _, peer in sorted(found)[:ASKED_LIMIT]]


def networks(ways: Ways) -> frozenset[str]:
    """The networks of a machine's cards, by their broadcast addresses."""
    return frozenset(nic.broadcast for nic in ways.nics if nic.broadcast)


def _wanted(fleet: Fleet, signal: WakeWanted, now: Moment) -> Step:
    asked = neighbours(fleet, signal.node)
    entry = _entry(fleet, fleet.me.id, signal.node, {"asked": " ".join(map(fleet.name_of, asked))}, now)
    pulses = (way.pulse(fleet, peer, Kind.WAKE, pack(Wake(signal.node)), now) for peer in asked)
    return fleet, [entry, *(one for pulse in pulses for one in pulse)]


def _starting(fleet: Fleet, signal: NodeStarting, now: Moment) -> Step:
    return msgspec.structs.replace(fleet, started=fleet.started.set(signal.node, float("inf"))), []


def _started(fleet: Fleet, signal: NodeStarted, now: Moment) -> Step:
    facts = {"outcome": str(signal.outcome or "unknown"), "note": signal.note}
    at = now.mono if signal.outcome is Ended.DONE else float("-inf")
    fleet = msgspec.structs.replace(fleet, started=fleet.started.set(signal.node, at))
    return fleet, [_entry(fleet, fleet.me.id, signal.node, facts, now)]


def _came(fleet: Fleet, signal: WakeCame, now: Moment) -> Step:
    member = fleet.member(signal.node)
    if member is None or not member.present or signal.node == fleet.me.id:
        return fleet, [Raise(Rejected("misaddressed", None, signal.frm))]
    shared = networks(fleet.me.ways) & networks(fleet.ways_of(signal.node))
    if not shared or now.mono - fleet.roused.get(signal.node, float("-inf")) < ROUSED_S:
        return fleet, []
    fleet = msgspec.structs.replace(fleet, roused=fleet.roused.set(signal.node, now.mono))
    return fleet, [_entry(fleet, signal.frm, signal.node, {}, now), SendMagic(signal.node)]


def _entry(fleet: Fleet, actor: str, node: str, facts: dict[str, str], now: Moment) -> Save:
    """Who had whom woken is history: it is a command."""
    return Save((AddEntry(now.wall_ms, actor, "wake", node, facts),), lazy=True)


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    WakeWanted: _wanted,
    NodeStarting: _starting,
    NodeStarted: _started,
    WakeCame: _came,
}
