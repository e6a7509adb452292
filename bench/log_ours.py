"""Our side of T22: the Messages screen over a real store, whose engine lives on a thread of its own (edge)."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.log_store import AT_ONCE, more, opened
from bench.process import rss_mb
from bench.sink import LIMIT_S, Sink, cost_ms, shown, still
from engine.model.story import Page, Query
from engine.state import Fleet
from engine.store.read import Reader
from fleet_tui.app import FleetApp
from fleet_tui.bridge import Bridge
from screens.messages import Messages
from tests.screens.golden import NOW, SMALL, plan

TIMES = 5
NAMES = {"id-studio": "studio"}


class LogEngine:
    """As much of an engine as a log needs: a value with a revision, and pages of a real store."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self.fleet: Fleet = SMALL

    def moved(self) -> None:
        """The log changed."""
        mail = self.fleet.mail
        self.fleet = replace(self.fleet, mail=replace(mail, revision=mail.revision + 1))

    async def messages(self, query: Query) -> Page:
        """A page of the log."""
        return await self._reader.lines(query, NAMES)

    async def body(self, msg_id: str) -> str:
        """What the panel shows."""
        return (await self._reader.body(msg_id) or b"").decode()

    async def story(self, msg_id: str) -> Any:
        """What the panel shows of the way."""
        return await self._reader.story(msg_id, NAMES)


async def run(home: Path, lines: int) -> dict[str, Any]:
    """The figures: processor milliseconds of each append, megabytes for the whole."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    store = opened(home)
    engine = LogEngine(there(Reader.open(store.path)))
    app = FleetApp(Bridge(engine, loop), clock=lambda: NOW, plan=lambda peer: plan(app.fleet, peer), driver_class=Sink)
    samples: list[float] = []
    async with shown(app) as sink:
        before_mb = rss_mb(os.getpid())
        app.go("messages")
        await still(sink)
        room = app.room
        assert isinstance(room, Messages)
        async with asyncio.timeout(LIMIT_S):
            while not room.pages.total:  # its first page is read by another thread
                await still(sink)
        for _ in range(TIMES):
            there(more(store, AT_ONCE))
            total = room.pages.total
            samples.append(await cost_ms(sink, lambda: (engine.moved(), app.look())))
            assert room.pages.total == total + AT_ONCE, (room.pages.total, total)
        room.main().action_move("last")
        await still(sink)
        await still(sink)
        memory_mb = rss_mb(os.getpid()) - before_mb
    await asyncio.to_thread(store.close)
    return {"append_ms": samples, "memory_mb": memory_mb}
