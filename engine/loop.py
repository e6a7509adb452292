"""The one runner: signals in, turns, effects out (edge).

Signals queue up; each is one turn of `engine.rooms`; the effects of a slice of turns go to the hands together and in
order. The loop knows no room and performs nothing. While more waits it yields to the sockets after each slice, so that
a burst never starves them.
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


Holds = Callable[[Fleet], bool]


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
        self._asleep: asyncio.Future[None] | None = None
        self._awaited: list[tuple[Holds, asyncio.Future[None]]] = []

    @property
    def busy(self) -> bool:
        """Whether so much waits that no new mail should be taken."""
        return len(self._queue) >= QUEUE_LIMIT

    @property
    def waiting(self) -> int:
        """How many signals wait for their turn."""
        return len(self._queue)

    def post(self, signal: Signal) -> None:
        """Let something be heard, in its turn. On the loop's own thread only."""
        self._queue.append(signal)
        if self._asleep is not None:
            if not self._asleep.done():
                self._asleep.set_result(None)
            self._asleep = None

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            if not self._queue:
                self._asleep = asyncio.get_running_loop().create_future()
                await self._asleep
            self._slice()
            self._tell()
            if self._queue:
                await asyncio.sleep(0)

    async def until(self, holds: Holds) -> None:
        """Return once `holds` is true of the newest value."""
        awaited = (holds, asyncio.get_running_loop().create_future())
        self._awaited.append(awaited)
        try:
            self._tell()
            await awaited[1]
        finally:
            self._awaited.remove(awaited)

    def _tell(self) -> None:
        for holds, done in self._awaited:
            if not done.done() and holds(self.fleet):
                done.set_result(None)

    def _slice(self) -> None:
        """Some turns, and what they ask done together: what a hundred callers send in one breath is one submission."""
        effects: list[Effect] = []
        for _ in range(min(SLICE, len(self._queue))):
            self.fleet, more = turn(self.fleet, self._queue.popleft(), self._now())
            effects += more
        self._hands.perform(effects, self.fleet)
