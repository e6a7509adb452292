"""A small real fleet in this process, with the API over its first node.

atlas, which answers; birch, which is there; cedar, which has joined and stopped. They talk over HTTP alone: what the
API says of brokers is tried with whole processes elsewhere.
"""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from engine.api.client import Client
from engine.api.server import Server
from engine.config import resolve
from engine.engine import Engine
from engine.model.envelope import Rung
from engine.model.event import Event

PATIENCE_S = 30.0
CONFIG = """
[net]
listen = "127.0.0.1"
http_port = 0
udp_port = 0
[broker]
enabled = false
"""

Answer = TypeVar("Answer")


class Stage:
    """The engines by name, the API of the first, and whether it was asked to stop (None: not; else whether at once)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tcp_port: int | None) -> None:
        self.loop = loop
        self.engines: dict[str, Engine] = {}
        self.home = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        self.path = self.home / "run" / "api.sock"
        self.path.parent.mkdir(mode=0o700)
        self.stopped = threading.Event()
        self.now: bool | None = None
        self._tcp_port = tcp_port

    @property
    def engine(self) -> Engine:
        """atlas."""
        return self.engines["atlas"]

    @property
    def client(self) -> Client:
        """A client of atlas."""
        return Client(self.path)

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """What becomes of a coroutine on the engines' loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def publish(self, event: Event) -> None:
        """Something happens at atlas."""
        self.loop.call_soon_threadsafe(self.engine.bus.publish, event)

    async def start(self, *names: str) -> None:
        """Start these engines, all in atlas's fleet, and the API."""
        for name in names:
            home = self.home if name == "atlas" else Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
            self.engines[name] = engine = Engine(home, resolve(CONFIG, {"FLEET_NODE_NAME": name}), "0.1.0")
            await engine.start()
            if engine is not self.engine:
                await engine.join((await self.engine.invite()).code)
        self.server = Server(self.engine, self.path, self._tcp_port, self.engine.resolved.origins, self._asked)
        await self.server.start()

    async def leave_behind(self, name: str) -> None:
        """Stop one, which stays a member. Something has been said in both directions before."""
        for by, to in (("atlas", name), (name, "atlas")):
            story = (await self.engines[by].send(to, "hello"))[0]
            await self.engines[by].wait(story.id, Rung.ON_HOST, PATIENCE_S)
        await self.engines[name].stop()

    async def end(self) -> None:
        """Stop the API and whoever still runs."""
        await self.server.stop()
        for name, engine in self.engines.items():
            if name != "cedar":
                await engine.stop()

    def _asked(self, now: bool) -> None:
        self.now = now
        self.stopped.set()


@contextmanager
def stage(*names: str, tcp_port: int | None = None) -> Iterator[Stage]:
    """These engines on a loop in a thread of its own; atlas alone when none is named."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = Stage(loop, tcp_port)
    try:
        made.run(made.start(*(names or ("atlas",))))
        if "cedar" in names:
            made.run(made.leave_behind("cedar"))
        yield made
    finally:
        made.run(made.end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        for engine in made.engines.values():
            shutil.rmtree(engine.home)
