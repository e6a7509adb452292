"""The switchboard: a person looks at single channels to a peer, tries them, or takes them out (edge)."""

import asyncio
from contextlib import suppress
from itertools import count
from typing import Any

from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.model.channel import CHANNELS, Channel, ChannelState, Check, Verdict
from engine.signals import ChannelHeld, ProbeAsked
from engine.state import Fleet
from engine.transports.base import Forgiving
from engine.verbs.desk import recipients


class Switchboard:
    """Channel verbs of one node. `peer` is a name or an id; every verb raises `FleetError` `unknown.recipient`."""

    def __init__(self, loop: Loop, hands: Hands):
        self._loop, self._hands = loop, hands
        self._serial = count(1)

    async def probe(self, peer: str, channel: Channel | None = None) -> None:
        """Ask for a round trip on one channel, or on every one, and do not wait for it."""
        self._ask(self._id(peer), channel)

    async def hold(self, peer: str, channel: Channel, held: bool) -> None:
        """Take a channel out of the cascade, or put it back; returns once it is so."""
        node = self._id(peer)
        if (node, channel) not in self._loop.fleet.channels:
            why = f"{channel} to {self._loop.fleet.name_of(node)} is not set up on this node"
            raise FleetError("usage.channel", "No such channel here", why, "see `fleet channels`", Fault.THEIRS)
        self._loop.post(ChannelHeld(node, channel, held))

        def obeyed(fleet: Fleet) -> bool:
            return (node, channel) not in fleet.channels or fleet.health(node, channel).held is held

        await self._loop.until(obeyed)
        await self._hands.flush()  # what the faces see is what is durable

    async def check(self, peer: str, channel: Channel | None = None) -> dict[str, dict[str, Any]]:
        """One measured round trip on every channel that can make one, or on this one, and a line on each that cannot:
        {channel: {"state","outcome","ms","reason","held","retried"}}, all nine or the one."""
        node = self._id(peer)
        asked = [one for one in Channel if channel in (None, one)]
        results = await asyncio.gather(*(self._checked(node, one) for one in asked))
        return dict(zip(map(str, asked), results, strict=True))

    async def _checked(self, node: str, channel: Channel) -> dict[str, Any]:
        fleet = self._loop.fleet
        if (node, channel) not in fleet.channels or fleet.health(node, channel).state is ChannelState.ABSENT:
            said = _told(fleet, node, channel, str(Verdict.BARRED), None)
            return {**said, "state": str(ChannelState.ABSENT), "reason": said["reason"] or "not set up on this node"}
        if not CHANNELS[channel].probed:
            # Nobody is woken, typed at or billed by a look.
            return _told(fleet, node, channel, UNTRIED, None)
        return await self._round_trip(node, channel)

    async def _round_trip(self, node: str, channel: Channel) -> dict[str, Any]:
        ask = f"check-{channel}-{next(self._serial)}"
        self._ask(node, channel, ask)

        def ended(fleet: Fleet) -> bool:
            return ask in fleet.checks and fleet.checks[ask].verdict not in (None, Verdict.LANDED)

        with suppress(TimeoutError):
            async with asyncio.timeout(CHANNELS[channel].budget_s + GRACE_S):
                await self._loop.until(ended)
        fleet = self._loop.fleet
        check = fleet.checks.get(ask, Check(0.0))
        outcome = check.verdict or Verdict.LOST
        said = _told(fleet, node, channel, str(outcome), check.ms if outcome is Verdict.CONFIRMED else None)
        return {**said, "reason": check.note or UNPROVED.get(outcome, "")}

    def _ask(self, node: str, channel: Channel | None, ask: str = "") -> None:
        for transport in self._hands.transports.values():
            if isinstance(transport, Forgiving) and channel in (None, transport.channel):
                transport.forgive(node)
        self._loop.post(ProbeAsked(node, channel, ask))

    def _id(self, peer: str) -> str:
        return recipients(self._loop.fleet, peer)[0].id


# The try itself has the channel's budget; its end has to be heard too.
GRACE_S = 0.5
# The word for what a check leaves alone.
UNTRIED = "untried"
UNPROVED = {Verdict.LANDED: "taken; the peer has not said yet that it came", Verdict.LOST: "no answer"}


def _told(fleet: Fleet, node: str, channel: Channel, outcome: str, ms: float | None) -> dict[str, Any]:
    health = fleet.health(node, channel)
    told = {"state": str(health.state), "outcome": outcome, "ms": ms, "reason": health.reason}
    return {**told, "held": health.held, "retried": health.retried}
