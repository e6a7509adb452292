"""What an attacker holds and does: recorded frames, stolen keys, and the two doors of a node that carry mail."""

import http.client
import os
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from engine.model.envelope import Envelope, Kind
from engine.model.roster import Roster
from engine.security import keyfile
from engine.security.identity import Identity
from engine.security.seal import Sealer
from engine.store.rows import roster_of
from engine.transports.nats import subject
from engine.wire import frames, peek
from tests.e2e.node import Node

OCTETS = "application/octet-stream"


def stolen_keys(node: Node) -> Identity:
    """Every key of a node, from the file in its home."""
    return Identity(keyfile.load(node.home))


def masked(keys: Identity, name: str) -> Identity:
    """Somebody's keys under another's id."""
    keys.id = name
    return keys


def roster(node: Node) -> Roster:
    """The roster a node has on its disk."""
    with closing(sqlite3.connect(f"file:{node.home / 'fleet.db'}?mode=ro", uri=True)) as database:
        return roster_of(database.execute("SELECT data FROM roster").fetchone()[0])


def sealed(keys: Identity, book: Roster, envelope: Envelope) -> bytes:
    """A frame made with these keys."""
    sealer = Sealer(keys, book.fleet_id, os.urandom)
    sealer.trust(book)
    return sealer.seal(envelope)


def letter(src: str, dst: str, body: str = "forged", seq: int = 1, epoch: int = 9_999_999_999_999) -> Envelope:
    """A message as a forger writes it."""
    return Envelope(src, epoch, seq, dst, f"FORGED{seq}", Kind.CONTEXT, body=body.encode())


def posted(node: Node, data: bytes, kind: str = OCTETS) -> tuple[int, bytes]:
    """Put bytes into the peer port of a node, over TLS as a peer would: status and answer."""
    return next(posts(node, [data], kind))


def posts(node: Node, datas: list[bytes], kind: str = OCTETS) -> Iterator[tuple[int, bytes]]:
    """The same for many, over one connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", node.port(), context=context, timeout=30)
    with closing(connection):
        for data in datas:
            connection.request("POST", "/deliver", data, {"Content-Type": kind})
            response = connection.getresponse()
            yield response.status, response.read()


class Tap:
    """A second client at a node's own broker: it hears what the node hears, and says what it likes."""

    def __init__(self, client: Client, subscription: Subscription, to: str) -> None:
        self._client, self._subscription, self._to = client, subscription, to

    async def say(self, *datas: bytes) -> None:
        """Publish on the node's own subject."""
        for data in datas:
            await self._client.publish(self._to, data)
        await self._client.flush(10)

    async def letter(self) -> bytes:
        """The next frame that carries a message of people."""
        while True:
            message = await self._subscription.next_msg(30)
            for frame in frames(message.data):
                if peek(frame).kind == Kind.CONTEXT:
                    return frame


@asynccontextmanager
async def tapped(node: Node) -> Any:
    """A tap at a node's broker, let in by the node's own key."""
    status = node.status()
    to = subject(status["fleet"]["id"], status["node"]["id"])
    client = await nats.connect(status["broker"]["url"], nkeys_seed_str=stolen_keys(node).nkey_seed.decode())
    try:
        subscription = await client.subscribe(to)
        await client.flush(10)
        yield Tap(client, subscription, to)
    finally:
        await client.close()
