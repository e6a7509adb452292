"""A simulated fleet with faults drawn from a seed, and the two promises held against what it did.

    nothing accepted is lost        every message whose `send` returned is in its receiver's inbox in the end
    nothing takes effect twice      no message is there more than once

A failure is a seed and a commit: `World(seed)` replays it exactly.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

from engine.config import Config
from engine.errors import FleetError
from engine.model.roster import Address, Member, Role
from engine.security.roster import admit, found
from tests.sim.net import Net, Weather
from tests.sim.node import SimNode
from tests.sim.virtual import START_MS, VirtualLoop


class World:
    """`size` nodes in one fleet, under virtual time."""

    def __init__(self, seed: int, size: int = 3, config: Config | None = None):
        self.seed, self.random = seed, Random(seed)
        self.loop = VirtualLoop()
        self.net = Net(self.loop, Random(self.random.random()))
        self.nodes = [SimNode(self.loop, self.net, self.random, number, config or Config()) for number in range(size)]
        self.roster = self._founded()
        self.accepted: dict[str, tuple[str, str]] = {}
        self.seen: Counter[str] = self.net.seen

    def _founded(self) -> "object":
        chief = self.nodes[0]
        roster = found(chief.identity, chief.name, "sim", START_MS, self.random.randbytes)
        for node in self.nodes:
            where = (Address("127.0.0.1", node.port, node.port, 0, node.port),)
            member = Member(node.id, node.name, node.identity.bundle, where, Role.WORKER)
            self.net.own(node.port, node.id)
            if node is not chief:
                roster = admit(roster, chief.identity, member, START_MS)
        return roster

    def run(self, story: Callable[["World"], Awaitable[None]]) -> None:
        """Start everybody, let `story` happen, and hold the promises against it."""
        asyncio.set_event_loop(self.loop)
        try:
            for node in self.nodes:
                node.start(self.roster)
            self.loop.run_until_complete(story(self))
            self.check()
        finally:
            for node in self.nodes:
                if node.up:
                    node.crash()
            self.loop.run_until_complete(asyncio.sleep(0))
            asyncio.set_event_loop(None)
            self.loop.close()

    # ------------------------------------------------------------------------------------------------- happenings

    async def send(self, src: SimNode, dst: SimNode, **how: object) -> None:
        """One message with a body of its own; remembered as accepted only if `send` returned."""
        body = f"{src.name}>{dst.name}#{self.random.getrandbits(48):012x}"
        if not src.up:
            return
        try:
            (story,) = await asyncio.wait_for(src.desk.send(dst.name, body, **how), 5.0)
        except (FleetError, TimeoutError, asyncio.CancelledError):
            return
        self.accepted[story.id] = (dst.id, body)

    async def traffic(self, count: int, over_s: float) -> None:
        """`count` messages between random nodes, spread over `over_s` seconds."""
        sending = []
        for _ in range(count):
            src, dst = self.random.sample(self.nodes, 2)
            sending.append(self.loop.create_task(self.send(src, dst)))
            await asyncio.sleep(self.random.expovariate(count / over_s))
        await asyncio.gather(*sending)

    async def storm(self, crashes: int, over_s: float, down_s: tuple[float, float] = (0.01, 3.0)) -> None:
        """Kill random nodes at random moments and start them again."""
        for _ in range(crashes):
            await asyncio.sleep(self.random.expovariate(crashes / over_s))
            node = self.random.choice(self.nodes)
            if node.up:
                node.crash()
                self.seen["crash"] += 1
                self.loop.call_later(self.random.uniform(*down_s), self._restart, node)

    def _restart(self, node: SimNode) -> None:
        if not node.up:
            node.start(self.roster)

    async def cuts(self, count: int, over_s: float) -> None:
        """Cut random links, in one direction or both, for a while."""
        for _ in range(count):
            await asyncio.sleep(over_s / count)
            self.net.heal()
            src, dst = self.random.sample(self.nodes, 2)
            channel = self.random.choice(["*", "nats", "http", "udp"])
            self.net.cut(src.id, dst.id, channel)
            if self.random.random() < 0.5:
                self.net.cut(dst.id, src.id, channel)
        self.net.heal()

    async def calm(self, limit_s: float = 120.0) -> None:
        """All faults over; return when every outbox is empty, or after `limit_s`."""
        self.net.heal()
        self.net.weather = Weather()
        await asyncio.sleep(0)
        for node in self.nodes:
            self._restart(node)
        ends = self.loop.time() + limit_s
        while self.loop.time() < ends and any(node.core.loop.fleet.mail.waiting for node in self.nodes):
            await asyncio.sleep(0.5)
        await asyncio.sleep(2.0)

    # --------------------------------------------------------------------------------------------------- promises

    def check(self) -> None:
        """The two promises, and that the books agree: nobody waits for anything."""
        inboxes = {node.id: Counter(node.bodies()) for node in self.nodes}
        lost = [body for dst, body in self.accepted.values() if not inboxes[dst][body]]
        twice = [body for inbox in inboxes.values() for body, count in inbox.items() if count > 1]
        waiting = {node.name: node.core.loop.fleet.mail.waiting for node in self.nodes}
        assert not lost, f"seed {self.seed}: {len(lost)} of {len(self.accepted)} lost, first {lost[0]}"
        assert not twice, f"seed {self.seed}: {len(twice)} twice, first {twice[0]}"
        assert not any(waiting.values()), f"seed {self.seed}: still waiting {waiting}"
