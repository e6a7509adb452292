"""The control of the cascade: P1, then P2, one after the other, each with its timeout, by raw clients (edge)."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import nats
import nats.errors
from nats.aio.client import Client

from bench.echo import BODY, SUBJECT
from bench.nodes import ROOT, free_ports
from bench.process import child
from engine.broker import machine
from engine.engine import Engine

TIMEOUT_S = 3.0


class Naive:
    """A raw client of a plain nats-server on `port`, and of a peer's HTTPS port."""

    def __init__(self, port: int, pid: int, client: Client, poster: httpx.AsyncClient, url: str):
        self.port, self.pid = port, pid
        self._client, self._poster, self._url = client, poster, url

    async def first(self) -> None:
        """Over P1. Raises what nats-py raises, a timeout after three seconds."""
        await self._client.request(SUBJECT, BODY, timeout=TIMEOUT_S)

    async def second(self) -> None:
        """Over P2."""
        await self._poster.post(self._url, content=BODY, headers={"Content-Type": "text/plain"})

    async def one(self) -> None:
        """Over the first channel that works."""
        try:
            await self.first()
        except (nats.errors.Error, TimeoutError, OSError):
            await self.second()

    async def works(self) -> None:
        """Return once both channels answer."""

        async def answered() -> bool:
            try:
                await self._client.request(SUBJECT, BODY, timeout=0.2)
            except (nats.errors.Error, TimeoutError, OSError):
                return False
            return True

        while not await answered():
            await asyncio.sleep(0.05)
        await self.second()


@asynccontextmanager
async def naive(engine: Engine, peer: str) -> AsyncIterator[Naive]:
    """The control beside an engine; P2 leads to the engine's peer."""
    (port,) = free_ports(1)
    server = child(machine.program(), "--addr", "127.0.0.1", "--port", str(port))
    url = f"nats://127.0.0.1:{port}"
    there = next(at for at in engine.fleet.addresses_of(peer) if at.http)
    try:
        client = await _connected(url)
        echo = child(sys.executable, "-m", "bench.echo", url, "", SUBJECT, cwd=ROOT)
        async with httpx.AsyncClient(verify=False) as poster:
            control = Naive(port, server.pid, client, poster, f"https://{there.host}:{there.http}/deliver")
            await control.works()
            yield control
        await client.close()
        echo.kill()
        echo.wait()
    finally:
        server.kill()
        server.wait()


async def _connected(url: str) -> Client:
    async def silent(error: Exception) -> None:
        """A broker that is black-holed on purpose is no news."""

    found: list[Client] = []

    async def tried() -> bool:
        try:
            found.append(await nats.connect(url, error_cb=silent, allow_reconnect=True, connect_timeout=1))
        except (nats.errors.Error, OSError):
            return False
        return True

    while not await tried():
        await asyncio.sleep(0.02)
    return found[0]
