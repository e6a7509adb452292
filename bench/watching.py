"""When a message of an engine on this loop is proved: a tap on the bus (edge).

`Engine.wait` answers with the whole story, read from the store; here only the moment of the receipt counts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from engine.engine import Engine
from engine.model.envelope import Rung
from engine.model.event import MessageMoved


class Receipts:
    """The moments (`perf_counter`) at which messages were on their host, by id."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def came(self, msg_id: str) -> None:
        """One was proved."""
        self.at[msg_id] = perf_counter()
        waiting = self._waiting.pop(msg_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(self.at[msg_id])

    async def of(self, msg_id: str) -> float:
        """When it was, or will have been."""
        if msg_id in self.at:
            return self.at[msg_id]
        future = asyncio.get_running_loop().create_future()
        return await self._waiting.setdefault(msg_id, future)


@asynccontextmanager
async def receipts(engine: Engine) -> AsyncIterator[Receipts]:
    """The receipts of an engine while the block lasts."""
    found = Receipts()

    async def listen() -> None:
        async with engine.bus.subscribe() as feed:
            async for _, event in feed:
                if isinstance(event, MessageMoved) and event.rung is Rung.ON_HOST:
                    found.came(event.msg_id)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        listening.cancel()
