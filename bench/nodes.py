"""Real nodes to measure: one engine inside this process, others as processes of their own (edge).

    here     an `Engine` on this loop, so that a call can be timed to the microsecond
    Remote   `fleet --daemon` with its own home, broker and keys, asked over its Unix socket
    pair     one of each, joined by a real invite, with P1 and P2 proved

Everything listens on loopback, on ports the system chose, and is gone when the block ends.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import fleet_tui
from bench.process import child
from engine.api.client import Client
from engine.config import resolve
from engine.engine import Engine
from engine.errors import FleetError
from engine.model.channel import DIRECT, Channel, ChannelState
from fleet_tui import interpreter
from fleet_tui.place import api_socket

ROOT = Path(__file__).parent.parent
READY_S = 60.0
GLANCE_S = 0.002
# Ports the system chooses: many nodes, one machine.
ENVIRONMENT = {
    "FLEET_NET_LISTEN": "127.0.0.1",
    **{f"FLEET_NET_{port}_PORT": "0" for port in ("HTTP", "NATS", "CLUSTER", "LEAF", "UDP")},
}


@contextmanager
def folder() -> Iterator[Path]:
    """A short directory (Unix sockets have short names) that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="fb", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def environ(name: str, **more: str) -> dict[str, str]:
    """The environment of a node's process. It may keep its bytecode, as an installed Fleet has it: where whoever
    measures forbids that, each start would compile forty thousand lines."""
    ours = ("FLEET_", "PYTHONDONTWRITEBYTECODE")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**clean, **ENVIRONMENT, "FLEET_NODE_NAME": name, "PYTHONPATH": str(ROOT), **more}


class Remote:
    """A node in a process of its own. `client` asks it; `more`: what its environment has besides."""

    def __init__(self, home: Path, name: str, **more: str):
        self.home, self.name, self.more = home, name, more
        self.client = Client(api_socket(home))
        self.command = ("-m", "fleet_tui", "--home", str(home), "--daemon")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def begin(self) -> None:
        """Start it, and do not wait."""
        self._process = child(sys.executable, *self.command, env=environ(self.name, **self.more))

    def start(self) -> "Remote":
        """Start it; returns once its API answers."""
        self.begin()
        self.answers()
        return self

    def answers(self) -> Any:
        """Its status, as soon as it can tell. Raises `TimeoutError`."""
        return until(lambda: self.ask("/status"), f"{self.name} to answer")

    def ask(self, path: str) -> Any:
        """What a path answers; None while nobody does."""
        try:
            return self.client.get(path)
        except FleetError:
            return None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it with a signal and collect it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """End it in order; by force if it does not."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self.kill(signal.SIGTERM)
        with suppress(ProcessLookupError):
            self.kill()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found


def until(look: Callable[[], Any], what: str, limit_s: float = READY_S) -> Any:
    """What `look` gives once it gives something. Raises `TimeoutError`."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(GLANCE_S)
    raise TimeoutError(f"waited {limit_s:g} s for {what}")


async def soon(look: Callable[[], Any], what: str, limit_s: float = READY_S) -> Any:
    """The same, on a loop."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        if found := look():
            return found
        await asyncio.sleep(GLANCE_S)
    raise TimeoutError(f"waited {limit_s:g} s for {what}")


@asynccontextmanager
async def here(home: Path, name: str = "aa", **more: str) -> AsyncIterator[Engine]:
    """An engine on this loop, in an interpreter set as a node's is."""
    interpreter.tuned()
    engine = Engine(home, resolve("", {**ENVIRONMENT, "FLEET_NODE_NAME": name, **more}), fleet_tui.__version__)
    await engine.start()
    interpreter.settled()
    try:
        yield engine
    finally:
        await engine.stop(drain_s=0.0)


@contextmanager
def remote(home: Path, name: str = "bb", **more: str) -> Iterator[Remote]:
    """A node in a process of its own, started."""
    node = Remote(home, name, **more)
    try:
        yield node.start()
    finally:
        node.close()


def joined(issuer: Remote, *others: Remote) -> None:
    """Let these nodes join the first one's fleet, each by an invite."""
    for other in others:
        other.client.post("/join", {"code": issuer.client.post("/invite", {})["code"]})


@asynccontextmanager
async def pair(**more: str) -> AsyncIterator[tuple[Engine, Remote, str]]:
    """An engine here, a node elsewhere and its id, joined, with P1 and P2 healthy. `more`: settings of both."""
    with folder() as place, remote(place / "b", **more) as there:
        async with here(place / "a", **more) as engine:
            code = (await engine.invite()).code
            await asyncio.to_thread(there.client.post, "/join", {"code": code})
            peer = (await soon(lambda: engine.fleet.roster.named(there.name), "the roster")).id
            await healthy(engine, peer)
            yield engine, there, peer


async def healthy(engine: Engine, peer: str, *channels: Channel) -> None:
    """Return once these channels (P1 and P2 if none is named) to a peer are HEALTHY."""
    wanted = channels or DIRECT
    await soon(
        lambda: all(engine.fleet.health(peer, one).state is ChannelState.HEALTHY for one in wanted),
        f"{', '.join(wanted)} to be healthy",
    )
