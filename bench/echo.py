"""The raw control of P1: a nats-py client that answers each request at once (edge).

    python -m bench.echo URL HOME SUBJECT

It logs in at a node's own broker with that node's key (none: an empty HOME), so that a raw request travels the same way
as a sealed one: client, broker, TLS route, broker, client. Its answer is as long as a receipt.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.nodes import ROOT, Remote
from bench.process import child
from engine.engine import Engine
from engine.security import keyfile
from engine.security.identity import Identity

SUBJECT = "bench.echo"
BODY = b"x" * 1024
RECEIPT = b"r" * 256


def seed(home: Path) -> str:
    """The NATS key of the node in `home`."""
    return Identity(keyfile.load(home)).nkey_seed.decode()


@asynccontextmanager
async def echoing(node: Remote) -> AsyncIterator[None]:
    """Somebody who answers at this node's broker, in a process of their own. The loop goes on meanwhile: a node whose
    loop hangs for two seconds is let go by its broker."""
    url = (await asyncio.to_thread(node.client.get, "/status"))["broker"]["url"]
    process = child(sys.executable, "-m", "bench.echo", url, str(node.home), SUBJECT, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await asyncio.to_thread(process.stdout.readline)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def asking(engine: Engine, **options: object) -> Client:
    """A raw client at the broker of an engine that runs here."""
    return await nats.connect(engine.fleet.broker.url, nkeys_seed_str=seed(engine.home), error_cb=_silent, **options)


async def _silent(error: Exception) -> None:
    """A broker that is killed on purpose is no news."""


async def _answer(url: str, home: str, subject: str) -> None:
    client = await nats.connect(url, error_cb=_silent, **({"nkeys_seed_str": seed(Path(home))} if home else {}))

    async def reply(message: Msg) -> None:
        await message.respond(RECEIPT)

    await client.subscribe(subject, cb=reply)
    await client.flush()
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_answer(*sys.argv[1:]))
