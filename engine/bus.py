"""The bus: events on their way to the faces (edge).

Bounded in every direction. It keeps the last few thousand events so that a reader that comes back can go on where it
was; one that falls behind them goes on with the oldest that are kept, and sees the gap in their numbers. Nobody who
publishes ever waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from engine.model.event import Event

KEPT = 4_096

Numbered = tuple[int, Event]


class Feed:
    """One reader's view of the bus."""

    def __init__(self, bus: "Bus", after: int):
        self._bus = bus
        self._after = after
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    async def events(self) -> AsyncIterator[Numbered]:
        """Everything from here on, as it comes."""
        while True:
            self._woken.clear()
            for seq, event in self._bus.replay(self._after):
                self._after = seq
                yield seq, event
            await self._woken.wait()


class Bus:
    """Publishes events under rising numbers. Lives on the engine's loop; `publish` is not thread-safe."""

    def __init__(self) -> None:
        self._events: deque[Numbered] = deque(maxlen=KEPT)
        self._feeds: set[Feed] = set()
        self.last = 0

    def publish(self, event: Event) -> None:
        """Tell every reader."""
        self.last += 1
        self._events.append((self.last, event))
        for feed in self._feeds:
            feed.wake()

    def replay(self, after: int) -> Iterator[Numbered]:
        """What is kept of the events after number `after`, oldest first."""
        if after >= self.last:
            return iter(())
        behind = self.last - after
        start = max(0, len(self._events) - behind)
        return iter([self._events[place] for place in range(start, len(self._events))])

    @asynccontextmanager
    async def subscribe(self, after: int | None = None) -> AsyncIterator[AsyncIterator[Numbered]]:
        """A feed of everything after `after` (None: from now on), until the block ends."""
        feed = Feed(self, self.last if after is None else after)
        self._feeds.add(feed)
        try:
            yield feed.events()
        finally:
            self._feeds.discard(feed)
