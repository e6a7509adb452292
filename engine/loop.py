"""The one runner: signals in, turns, effects out (edge).

Signals queue up; each is one turn of `engine.rooms`; its effects go to the hands in order. The loop knows no room and
performs nothing. It yields to the sockets after a slice of turns, so that a burst never starves them.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.effects import Effect
from engine.model.moment import Moment
from engine.rooms import turn
from engine.signals import Signal
from engine.state import Fleet

# More waiting signals than this and the node says "busy" to whoever brings mail; its own signals always get in.
QUEUE_LIMIT = 20_000
# Turns between two looks at the sockets: about 10 ms of work.
SLICE = 64


class Performer(Protocol):
    """Who does what the turns ask."""

    def perform(self, effects: list[Effect], fleet: Fleet) -> None: ...


class Loop:
    """Runs one node's turns. `fleet` is the newest value, possibly ahead of the disk."""

    def __init__(self, fleet: Fleet, hands: Performer, now: Callable[[], Moment]):
        self.fleet = fleet
        self._hands = hands
        self._now = now
        self._queue: deque[Signal] = deque()
        self._woken = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether so much waits that no new mail should be taken."""
        return len(self._queue) >= QUEUE_LIMIT

    def post(self, signal: Signal) -> None:
        """Let something be heard, in its turn. On the loop's own thread only."""
        self._queue.append(signal)
        self._woken.set()

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                for _ in range(min(SLICE, len(self._queue))):
                    self._take(self._queue.popleft())
                await asyncio.sleep(0)

    def _take(self, signal: Signal) -> None:
        self.fleet, effects = turn(self.fleet, signal, self._now())
        self._hands.perform(effects, self.fleet)
