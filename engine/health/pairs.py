"""One (peer, channel) pair in the value: look it up, put it, move it by one event, ask for a round trip.

Every change of state goes through `move`, so it is told to the faces, to the outbox, and (a wrong key) to the ledger
once, whoever decided it.
"""

import msgspec

from engine.effects import Deliver, Effect, Publish, Raise, Save
from engine.health.cascade import hedge_s
from engine.health.table import USABLE, Event, advance
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.envelope import Kind
from engine.model.event import ChannelMoved
from engine.model.moment import Moment
from engine.model.records import AddEntry
from engine.signals import (
    ChannelTurned,
)
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def probe(fleet: Fleet, peer: str, channel: Channel, now: Moment, ask: str = "") -> Step:
    """A ping over one channel. `ask`: the id a person's question gave it; it has the channel's whole budget then."""
    health = msgspec.structs.replace(fleet.health(peer, channel), tried_at=now.mono)
    ping = fleet.envelope(peer, Kind.PING, ask or f"ping-{int(now.mono * 1e6)}", now.wall_ms)
    whole = CHANNELS[channel].budget_s
    budget = whole if ask else min(whole, 20 * hedge_s(health, fleet.config.mail))
    return put(fleet, peer, channel, health), [Deliver(peer, channel, ping, budget)]


def move(
    fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth, event: Event, now: Moment, reason: str
) -> Step:
    """One event on one pair, told to the faces, to the outbox and, when it broke or healed, to the ledger."""
    moved = advance(health, event, now, reason)
    fleet = put(fleet, peer, channel, moved)
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


def put(fleet: Fleet, peer: str, channel: Channel, health: ChannelHealth) -> Fleet:
    if fleet.channels.get((peer, channel)) is health:
        return fleet
    return msgspec.structs.replace(fleet, channels=fleet.channels.set((peer, channel), health))


def present(fleet: Fleet) -> list[str]:
    return [member.id for member in fleet.others()]


def known(fleet: Fleet, peer: str) -> list[Channel]:
    return [channel for channel in CHANNELS if (peer, channel) in fleet.channels]
