"""The raw control of durable throughput: three nats-servers, three replicas, fsync at every write (edge)."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, ServiceUnavailableError

from bench.nodes import GLANCE_S, free_ports
from bench.process import child
from engine.broker import machine

SERVERS = 3
STREAM, SUBJECT = "bench", "bench.mail"
READY_S = 60.0


@asynccontextmanager
async def stream(folder: Path) -> AsyncIterator[JetStreamContext]:
    """A JetStream context whose stream is ready to be published to."""
    ports = free_ports(2 * SERVERS)
    clients, routes = ports[:SERVERS], ports[SERVERS:]
    servers = [_start(folder / f"js{at}", at, clients[at], routes) for at in range(SERVERS)]
    client = Client()
    try:
        client = await _connected([f"nats://127.0.0.1:{port}" for port in clients])
        yield await _made(client)
    finally:
        await client.close()
        for server in servers:
            server.send_signal(signal.SIGKILL)
            server.wait()


def _start(folder: Path, at: int, port: int, routes: list[int]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    config = {
        "server_name": f"js{at}",
        "listen": f"127.0.0.1:{port}",
        "jetstream": {"store_dir": str(folder), "sync_interval": "always"},
        "cluster": {
            "name": "bench",
            "listen": f"127.0.0.1:{routes[at]}",
            "routes": [f"nats://127.0.0.1:{one}" for one in routes],
        },
    }
    path = folder / "server.json"
    path.write_text(json.dumps(config))
    return child(machine.program(), "--config", str(path))


async def _connected(urls: list[str]) -> Client:
    async def silent(error: Exception) -> None:
        """Servers that are still starting are no news."""

    async with asyncio.timeout(READY_S):
        while True:
            try:
                return await nats.connect(urls, error_cb=silent, allow_reconnect=False)
            except (nats.errors.Error, OSError):
                await asyncio.sleep(GLANCE_S)


async def _made(client: Client) -> JetStreamContext:
    """The stream, once a leader was elected."""
    context = client.jetstream(timeout=5)
    async with asyncio.timeout(READY_S):
        while True:
            try:
                await context.add_stream(StreamConfig(name=STREAM, subjects=[SUBJECT], num_replicas=SERVERS))
                await context.publish(SUBJECT, b"first")
            except (APIError, ServiceUnavailableError, nats.errors.Error):
                await asyncio.sleep(0.1)
            else:
                return context
