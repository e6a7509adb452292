"""Channels of the virtual network that store mail and have no way back: a folder at the peer, a hub both can reach.

What was put stays until its receiver looks: at once in a folder, now and then in a hub. Putting fails where the link
is cut, and may be lost in doubt: the mail is there and its sender was told that it is not.
"""

import asyncio
from collections import deque
from random import Random

import msgspec

from engine.model.channel import Channel, Outcome, Verdict
from engine.transports.base import Arrivals, Target
from tests.sim.net import Net


class Manner(msgspec.Struct, frozen=True):
    """Seconds: how long putting takes, and how long until the receiver looks."""

    put_s: tuple[float, float]
    look_s: tuple[float, float]


MANNERS = {
    Channel.SEED: Manner((0.01, 0.05), (0.001, 0.05)),
    Channel.GIT: Manner((0.1, 0.4), (0.1, 2.5)),
}

Boxes = dict[tuple[str, Channel], deque[bytes]]


class SimPost:
    """One storing channel of one node. `boxes` are the world's: they outlive every node."""

    def __init__(self, net: Net, me: str, channel: Channel, boxes: Boxes, random: Random):
        self.channel = channel
        self._net, self._me, self._boxes, self._random = net, me, boxes, random
        self._looking: asyncio.Task[None] | None = None

    def ready(self, target: Target) -> str | None:
        """There is always a place to put it."""
        return None

    async def listen(self, arrived: Arrivals) -> None:
        """Look into the box from now on."""
        self._looking = asyncio.get_running_loop().create_task(self._look(arrived))

    async def _look(self, arrived: Arrivals) -> None:
        box = self._boxes.setdefault((self._me, self.channel), deque())
        while True:
            await asyncio.sleep(self._random.uniform(*MANNERS[self.channel].look_s))
            while box and arrived(box[0], self.channel, None):
                box.popleft()

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Put it there."""
        await asyncio.sleep(min(budget_s, self._random.uniform(*MANNERS[self.channel].put_s)))
        if self._net.is_cut(self._me, target.id, self.channel):
            self._net.seen["cut"] += 1
            return Outcome(Verdict.LOST, "the place cannot be reached")
        self._net.count(data)
        self._boxes.setdefault((target.id, self.channel), deque()).append(data)
        if self._random.random() < self._net.weather.loss:
            self._net.seen["in doubt"] += 1
            return Outcome(Verdict.LOST, "the connection dropped")
        self._net.seen[f"put by {self.channel}"] += 1
        return Outcome(Verdict.LANDED)

    async def close(self) -> None:
        """Look no more."""
        self.stop()

    def stop(self) -> None:
        """The node died: nobody looks."""
        if self._looking is not None:
            self._looking.cancel()
