"""What a rig is: a sender, a receiver with the real other end, and the ways in which that end can fail. A channel that
carries no bytes has a `Way` only."""

import asyncio
from abc import ABC, abstractmethod

from engine.model.channel import Verdict
from engine.transports.base import Transport
from tests.nodes import Inbox, Node, Target


class Way(ABC):
    """What the suite asks of every channel. `best`: how a good delivery ends, and `budget_s` in what time on a busy
    machine; `hard`: a second try would end the same, though nothing is wrong. `system`: the programs it needs, and root
    with them."""

    best = Verdict.CONFIRMED
    budget_s = 3.0
    hard = False
    system: tuple[str, ...] = ()

    sender: Transport
    target: Target

    @abstractmethod
    async def open(self) -> None:
        """Both ends are up and the way between them works."""

    @abstractmethod
    def unknown(self) -> Target:
        """A peer that this channel has no way to."""

    @abstractmethod
    async def close(self) -> None:
        """Nothing is left."""


class Rig(Way):
    """What it asks besides of a channel that carries bytes. `answers`: the peer's own words come back; `word`: what a
    delivery brings back. `stores`: the bytes are left somewhere, and nothing at all comes back. `proves`: the other end
    shows who it is; `pins`: a wrong key is known for one. `inbox`: the receiver. `gate`: whoever takes the bytes first,
    which is the receiver but for a relay."""

    answers = True
    word = b"got question"
    stores = False
    proves = True
    pins = False

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.gate = self.inbox
        self.nodes = [Node(number) for number in (1, 2, 3)]

    @abstractmethod
    async def vanish(self) -> None:
        """The receiver ends; the network says so."""

    @abstractmethod
    async def swallow(self) -> None:
        """From now on the other end takes connections and bytes, and says nothing."""

    @abstractmethod
    async def impersonate(self) -> Inbox:
        """A stranger stands where the peer was; what it gets is kept."""

    async def clog(self) -> None:
        """From now on no delivery ends, until `free`."""
        self.gate.answer, self._answer = None, self.gate.answer
        self.gate.came = asyncio.Queue()

    async def under_way(self) -> None:
        """Returns once a delivery is held up."""
        await self.gate.came.get()

    def far(self) -> set[asyncio.Task[None]]:
        """Tasks of the other end, where that lives in this loop and not in a process or thread of its own."""
        return set()

    async def free(self) -> None:
        """What is delivered now ends again."""
        self.gate.answer = self._answer

    async def close(self) -> None:
        for node in self.nodes:
            await node.close()
