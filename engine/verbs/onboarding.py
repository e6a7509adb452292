"""Onboarding: ten checks with a tick each, live, from the roster to real mail both ways (edge).

All ten wait side by side and the ticks come as they come; what has not come when the time is over says why. The last
is a greeting that the peer's node answers with one of its own: both on disk at the other end, in nobody's inbox.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from engine.bus import Bus
from engine.doctor import onboard
from engine.doctor.check import examine
from engine.doctor.checks import agents, disk
from engine.doctor.onboard import Answer
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.mail import welcome
from engine.model.envelope import FAILED, Rung
from engine.model.event import MessageCame
from engine.model.exam import Health, Tick
from engine.model.story import Story
from engine.signals import ProbeAsked, Ticked
from engine.state import Fleet
from engine.verbs.desk import recipients

WAIT_S = 25.0


class Mail(Protocol):
    """Greeting, as the desk has it."""

    async def greet(self, node: str) -> Story: ...
    async def wait(self, msg_id: str, rung: Rung, timeout_s: float) -> Story: ...


class Onboarding:
    """`scene`: what a check of this machine may look at."""

    def __init__(self, loop: Loop, hands: Hands, bus: Bus, mail: Mail, scene: Callable[[], Scene]):
        self._loop, self._hands, self._bus, self._mail, self._scene = loop, hands, bus, mail, scene

    async def onboard(self, peer: str = "", wait_s: float = WAIT_S) -> AsyncIterator[Tick]:
        """The ten ticks, each as soon as it is known. `peer`: a name or an id; empty for the chief. Raises `FleetError`
        `unknown.recipient`."""
        node = self._id(peer)
        self._loop.post(ProbeAsked(node))
        ticks = {tick.code: tick for tick in onboard.TICKS}
        # Work under way is broken off when nobody listens any more.
        asked = [asyncio.ensure_future(self._ticked(tick, node, wait_s)) for tick in onboard.TICKS]
        try:
            for next_one in asyncio.as_completed(asked):
                tick = await next_one
                ticks[tick.code] = tick
                self._loop.post(Ticked(node, tuple(ticks.values())))
                yield tick
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def onboarded(self, peer: str = "") -> list[Tick]:
        """All ten, in their order; a screen sees them come in the value."""
        done = [tick async for tick in self.onboard(peer)]
        order = [tick.code for tick in onboard.TICKS]
        return sorted(done, key=lambda tick: order.index(tick.code))

    def _id(self, peer: str) -> str:
        fleet = self._loop.fleet
        if peer:
            return recipients(fleet, peer)[0].id
        found = onboard.partner(fleet)
        if found is None:
            step = "`fleet invite` prints a code for another machine"
            raise FleetError("unknown.recipient", "Nobody to meet", "this node is alone", step)
        return found.id

    async def _ticked(self, tick: Tick, node: str, wait_s: float) -> Tick:
        how: dict[str, Callable[[str, float], Awaitable[Answer]]] = {
            "disk": self._disk,
            "agents": self._agents,
            "message": self._greeted,
        }
        work = how[tick.code](node, wait_s) if tick.code in how else self._asked(tick.code, node, wait_s)
        health, said = await work
        return replace(tick, done=True, health=health, said=said, peer=self._loop.fleet.name_of(node))

    async def _asked(self, code: str, node: str, wait_s: float) -> Answer:
        ask = onboard.ASKED[code]

        def answered(fleet: Fleet) -> bool:
            return ask(fleet, node) is not None

        try:
            async with asyncio.timeout(wait_s):
                await self._loop.until(answered)
        except TimeoutError:
            return onboard.why_not(self._loop.fleet, node, code)
        return ask(self._loop.fleet, node) or onboard.why_not(self._loop.fleet, node, code)

    async def _disk(self, node: str, wait_s: float) -> Answer:
        return onboard.of_exam((await asyncio.to_thread(examine, [disk.CHECK], self._scene()))[0])

    async def _agents(self, node: str, wait_s: float) -> Answer:
        return onboard.of_exam((await asyncio.to_thread(examine, [agents.CHECK], self._scene()))[0])

    async def _greeted(self, node: str, wait_s: float) -> Answer:
        """Ours on its host, and its answer here."""
        name = self._loop.fleet.name_of(node)
        async with self._bus.subscribe() as feed:
            try:
                sent = await self._mail.greet(node)
                story = await self._mail.wait(sent.id, Rung.ON_HOST, wait_s)
            except FleetError as error:
                return Health.ILL, f"{error.title}: {error.detail}"
            if story.rung in FAILED:
                return Health.ILL, f"it is {story.rung}: {story.story}"
            awaited = welcome.answer_to(story.id)
            try:
                async with asyncio.timeout(wait_s):
                    async for _, event in feed:
                        if isinstance(event, MessageCame) and event.msg_id == awaited:
                            return Health.WELL, f"there by {story.channel}, back by {event.channel}"
            except TimeoutError:
                pass
        return Health.ILL, f"ours is on {name}, but none came back within {wait_s:g} s"
