"""A simulated fleet with faults drawn from a seed, and the promises held against what it did.

    nothing accepted is lost        every message whose `send` returned is in its receiver's inbox in the end
    nothing takes effect twice      no message was committed to an inbox more than once
    nothing is claimed              what a sender calls delivered is in its receiver's inbox
    nothing is left over            no outbox waits for anything, and nothing was given up
    nothing ends a node             no turn of any node failed

A failure is a seed and a commit: `World(seed)` replays it exactly.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from engine.config import Config
from engine.errors import FleetError
from engine.model.channel import DIRECT, Channel, ChannelState
from engine.model.event import Event, MessageCame
from engine.model.roster import Address, Member, Role, Roster
from engine.security.roster import admit, found
from tests.sim.net import Net, Weather
from tests.sim.node import AFTER, BEFORE, Backup, SimNode
from tests.sim.posts import Boxes
from tests.sim.virtual import START_MS, VirtualLoop

# The channels of a small fleet on one network, and all that ever carry a frame.
EVERY = (*DIRECT, Channel.SEED, Channel.SSH, Channel.GIT)


class World:
    """`size` nodes in one fleet, under virtual time.

    `accepted`: id -> (receiver's id, body). `excused`: ids that a restored backup forgot, of which nothing is promised.
    `unsure`: ids that a restored sender had open, in a number since closed: they go again under another, and only the
    inbox, which knows the id, keeps them apart. `at_s`, `came_s`: when a message was sent and when it first came, by
    id. `log`: every event, with its moment.
    """

    def __init__(self, seed: int, size: int = 3, config: Config | None = None, channels: tuple[Channel, ...] = DIRECT):
        self.seed, self.random = seed, Random(seed)
        self.loop = VirtualLoop()
        self.net = Net(self.loop, Random(self.random.random()))
        self._channels, self._boxes = channels, Boxes()
        self.nodes = [self._node(number, config or Config()) for number in range(size)]
        self.roster = self._founded()
        self.accepted: dict[str, tuple[str, str]] = {}
        self.excused: set[str] = set()
        self.unsure: set[str] = set()
        self.at_s: dict[str, float] = {}
        self.came_s: dict[str, float] = {}
        self.log: list[str] = []
        self.seen: Counter[str] = self.net.seen

    def _node(self, number: int, config: Config) -> SimNode:
        return SimNode(
            self.loop,
            self.net,
            self.random,
            number,
            config,
            channels=self._channels,
            boxes=self._boxes,
            log=self._told,
            died=self._died,
        )

    def _founded(self) -> Roster:
        chief = self.nodes[0]
        roster = found(chief.identity, chief.name, "sim", START_MS, self.random.randbytes)
        for node in self.nodes:
            where = (Address("127.0.0.1", node.port, node.port, 0, node.port),)
            member = Member(node.id, node.name, node.identity.bundle, where, Role.WORKER)
            self.net.own(node.port, node.id)
            if node is not chief:
                roster = admit(roster, chief.identity, member, START_MS)
        return roster

    def _told(self, name: str, event: Event) -> None:
        self.log.append(f"{self.loop.time():.6f} {name} {event}")
        if isinstance(event, MessageCame):
            self.came_s.setdefault(event.msg_id, self.loop.time())

    def run(self, story: Callable[[Any], Awaitable[None]]) -> "World":
        """Start everybody, let `story` happen, and hold the promises against it."""
        asyncio.set_event_loop(self.loop)
        try:
            for node in self.nodes:
                node.start(self.roster)
            self.loop.run_until_complete(story(self))
            self.check()
        finally:
            self._end()
        return self

    def _end(self) -> None:
        for node in self.nodes:
            if node.up:
                node.crash()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        self.loop.close()

    # ------------------------------------------------------------------------------------------------- happenings

    async def send(self, src: SimNode, dst: SimNode, **how: Any) -> str:
        """One message with a body of its own; remembered as accepted only if `send` returned. Its id, or nothing."""
        body = f"{src.name}>{dst.name}#{self.random.getrandbits(48):012x}"
        if not src.up:
            return ""
        began = self.loop.time()
        try:
            (story,) = await asyncio.wait_for(src.desk.send(dst.name, body, **how), 5.0)
        except (FleetError, TimeoutError, asyncio.CancelledError):
            self.seen["not accepted"] += 1
            return ""
        self.accepted[story.id] = (dst.id, body)
        self.at_s[story.id] = began
        return story.id

    async def traffic(self, count: int, over_s: float, pairs: list[tuple[int, int]] | None = None) -> None:
        """`count` messages between random nodes (or these pairs), spread over `over_s` seconds."""
        sending = []
        for _ in range(count):
            src, dst = self.random.choice(pairs) if pairs else self.random.sample(range(len(self.nodes)), 2)
            sending.append(self.loop.create_task(self.send(self.nodes[src], self.nodes[dst])))
            await asyncio.sleep(self.random.expovariate(count / over_s))
        await asyncio.gather(*sending)

    async def storm(self, crashes: int, over_s: float, down_s: tuple[float, float] = (0.01, 3.0)) -> None:
        """Kill random nodes at random moments, or at their next commit, and start them again."""
        for _ in range(crashes):
            await asyncio.sleep(self.random.expovariate(crashes / over_s))
            node, how = self.random.choice(self.nodes), self.random.choice(["", BEFORE, AFTER])
            if node.up and how:
                node.doom = how
            elif node.up:
                node.crash()
                self._died(node, "crash", self.random.uniform(*down_s))

    def _died(self, node: SimNode, how: str, down_s: float | None = None) -> None:
        self.seen[how] += 1
        self.loop.call_later(self.random.uniform(0.01, 3.0) if down_s is None else down_s, self.restart, node)

    def restart(self, node: SimNode) -> None:
        """Start a node that is down."""
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

    async def partitions(self, count: int, over_s: float) -> None:
        """Split the fleet in two at random, again and again, each time for a while."""
        for _ in range(count):
            await asyncio.sleep(over_s / count / 2)
            side = set(self.random.sample(self.nodes, self.random.randint(1, len(self.nodes) - 1)))
            for one in side:
                for other in set(self.nodes) - side:
                    self.net.cut_both(one.id, other.id)
            self.seen["partition"] += 1
            await asyncio.sleep(over_s / count / 2)
            self.net.heal()

    async def clocks(self, jumps: int, over_s: float, far_ms: int) -> None:
        """Set random clocks to somewhere within `far_ms` of the truth, while everything runs."""
        for _ in range(jumps):
            await asyncio.sleep(over_s / jumps)
            self.random.choice(self.nodes).clock.skew_ms = self.random.randint(-far_ms, far_ms)
            self.seen["clock set"] += 1

    async def restored(self, node: SimNode, backup: Backup, *, skew_ms: int = 0, down_s: float = 0.5) -> None:
        """Put an old copy of the store back. What it forgot is excused: what the node had sent and nobody has, and what
        it had received."""
        node.crash()
        self.seen["restored"] += 1
        await asyncio.sleep(down_s)
        if node.up:  # a storm started it again meanwhile
            node.crash()
        node.put_back(backup)
        node.clock.skew_ms += skew_ms
        known = {body for _, body in self._remembered(node)}
        for msg_id, (dst, body) in self.accepted.items():
            if body not in known and node.id in (dst, self._sender(body)):
                self.excused.add(msg_id)
        names = {one.id: one.name for one in self.nodes}
        stories = ((msg_id, node.disk.story(msg_id, names)) for msg_id in self.accepted)
        self.unsure |= {msg_id for msg_id, story in stories if story and story.rung == "accepted"}
        node.start(self.roster)

    def _remembered(self, node: SimNode) -> list[tuple[str, str]]:
        sent = [(msg_id, (node.disk.body(msg_id) or b"").decode()) for msg_id in self.accepted]
        return [*sent, *((letter.id, letter.body) for letter in node.disk.letters(1_000_000))]

    def _sender(self, body: str) -> str:
        return next(node.id for node in self.nodes if body.startswith(f"{node.name}>"))

    async def calm(self, limit_s: float = 120.0) -> float:
        """All faults over; return when every outbox is empty, or after `limit_s`; the seconds it took."""
        self.net.heal()
        self.net.weather = Weather()
        await asyncio.sleep(0)
        began = self.loop.time()
        for node in self.nodes:
            node.doom = ""
            self.restart(node)
        while self.loop.time() < began + limit_s and any(node.core.loop.fleet.mail.waiting for node in self.nodes):
            await asyncio.sleep(0.05)
        took = self.loop.time() - began
        await asyncio.sleep(2.0)
        return took

    async def converged(self, limit_s: float = 30.0) -> float:
        """The seconds until every (peer, channel) pair that has a link is HEALTHY again. Fails after `limit_s`."""
        began = self.loop.time()
        while sick := self.sick():
            assert self.loop.time() < began + limit_s, f"seed {self.seed}: after {limit_s} s {sick}"
            await asyncio.sleep(0.1)
        return self.loop.time() - began

    def sick(self) -> list[str]:
        """The pairs that are not HEALTHY, though nothing is in their way."""
        ids = {node.id: node for node in self.nodes}
        return [
            f"{node.name} to {ids[peer].name} over {channel}: {health.state} ({health.reason})"
            for node in self.nodes
            for (peer, channel), health in node.core.loop.fleet.channels.items()
            if health.state is not ChannelState.HEALTHY and self._possible(node.id, peer, channel)
        ]

    def _possible(self, one: str, other: str, channel: Channel) -> bool:
        """Whether there is a link, or for the relay somebody who has one to both."""
        if channel is not Channel.RELAY:
            return not self.net.walled(one, other)
        thirds = (node.id for node in self.nodes if node.id not in (one, other))
        return any(not self.net.walled(one, third) and not self.net.walled(third, other) for third in thirds)

    # --------------------------------------------------------------------------------------------------- promises

    def check(self) -> None:
        """The promises, held against every disk."""
        broke = [f"{node.name}: {node.broke!r}" for node in self.nodes if node.broke]
        assert not broke, f"seed {self.seed}: a turn failed, {broke[0]}"
        inboxes = {node.id: set(node.bodies()) for node in self.nodes}
        promised = {msg_id: one for msg_id, one in self.accepted.items() if msg_id not in self.excused}
        lost = [body for dst, body in promised.values() if body not in inboxes[dst]]
        assert not lost, f"seed {self.seed}: {len(lost)} of {len(promised)} lost, first {lost[0]}"
        self.check_once()
        claimed = [body for msg_id, body in self._claimed() if body not in inboxes[self.accepted[msg_id][0]]]
        assert not claimed, f"seed {self.seed}: {len(claimed)} said to be delivered and are not, first {claimed[0]}"
        left = {node.name: (mail.waiting, mail.dead) for node in self.nodes for mail in [node.core.loop.fleet.mail]}
        assert not any(map(any, left.values())), f"seed {self.seed}: (waiting, dead) {left}"

    def check_once(self) -> None:
        """No message took effect twice."""
        twice = [
            msg_id
            for node in self.nodes
            for msg_id, count in node.taken.items()
            if count > 1 and msg_id not in self.excused | self.unsure
        ]
        twice += [body for node in self.nodes for body, count in Counter(node.bodies()).items() if count > 1]
        assert not twice, f"seed {self.seed}: {len(twice)} twice, first {twice[0]}"

    def _claimed(self) -> list[tuple[str, str]]:
        """What each sender's own store says is on its host."""
        names = {node.id: node.name for node in self.nodes}
        return [
            (msg_id, body)
            for node in self.nodes
            for msg_id, (_, body) in self.accepted.items()
            if msg_id not in self.excused and (story := node.disk.story(msg_id, names)) and story.rung == "on_host"
        ]
