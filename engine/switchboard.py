"""The switchboard: a person looks at single channels to a peer, tries them, or takes them out (edge)."""

import asyncio
from contextlib import suppress
from typing import Any

from engine.desk import recipients
from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.model.channel import CHANNELS, Channel, ChannelState
from engine.signals import ChannelHeld, ProbeAsked
from engine.state import Fleet
from engine.transports.base import Forgiving


class Switchboard:
    """Channel verbs of one node. `peer` is a name or an id; every verb raises `FleetError` `unknown.recipient`."""

    def __init__(self, loop: Loop, hands: Hands):
        self._loop, self._hands = loop, hands

    async def probe(self, peer: str, channel: Channel | None = None) -> None:
        """Ask for a round trip on one channel, or on every one, and do not wait for it."""
        self._ask(self._id(peer), channel)

    async def hold(self, peer: str, channel: Channel, held: bool) -> None:
        """Take a channel out of the cascade, or put it back; returns once it is so."""
        node = self._id(peer)
        if (node, channel) not in self._loop.fleet.channels:
            why = f"{channel} to {peer} is not set up on this node"
            raise FleetError("usage.channel", "No such channel here", why, "see `fleet channels`", Fault.THEIRS)
        self._loop.post(ChannelHeld(node, channel, held))

        def obeyed(fleet: Fleet) -> bool:
            return (node, channel) not in fleet.channels or fleet.health(node, channel).held is held

        await self._loop.until(obeyed)
        await self._hands.flush()  # what the faces see is what is durable

    async def check(self, peer: str) -> dict[str, dict[str, Any]]:
        """One measured round trip on every channel that exists: {channel: {"state","outcome","ms","reason"}}."""
        node = self._id(peer)
        channels = [channel for channel in Channel if (node, channel) in self._loop.fleet.channels]
        results = await asyncio.gather(*(self._round_trip(node, channel) for channel in channels))
        return dict(zip(map(str, channels), results, strict=True))

    async def _round_trip(self, node: str, channel: Channel) -> dict[str, Any]:
        before = self._loop.fleet.health(node, channel)
        if not CHANNELS[channel].probed:
            # Nobody is woken, typed at or billed by a look.
            told = _told(self._loop.fleet, node, channel, "barred", None)
            return told if before.state is ChannelState.ABSENT else {**told, "reason": UNTRIED}
        began = asyncio.get_running_loop().time()
        self._ask(node, channel)

        def answered(fleet: Fleet) -> bool:
            return (fleet.health(node, channel).ok_at or 0.0) >= began

        def ended(fleet: Fleet) -> bool:
            return answered(fleet) or fleet.health(node, channel).fails != before.fails

        with suppress(TimeoutError):
            async with asyncio.timeout(CHANNELS[channel].budget_s):
                await self._loop.until(ended)
        now = self._loop.fleet.health(node, channel)
        if answered(self._loop.fleet):
            return _told(self._loop.fleet, node, channel, "confirmed", now.latencies[-1])
        return _told(self._loop.fleet, node, channel, "lost", None)

    def _ask(self, node: str, channel: Channel | None) -> None:
        for transport in self._hands.transports.values():
            if isinstance(transport, Forgiving) and channel in (None, transport.channel):
                transport.forgive(node)
        self._loop.post(ProbeAsked(node, channel))

    def _id(self, peer: str) -> str:
        return recipients(self._loop.fleet, peer)[0].id


UNTRIED = "not tried unasked: each try costs something"


def _told(fleet: Fleet, node: str, channel: Channel, outcome: str, ms: float | None) -> dict[str, Any]:
    health = fleet.health(node, channel)
    return {"state": str(health.state), "outcome": outcome, "ms": ms, "reason": health.reason}
