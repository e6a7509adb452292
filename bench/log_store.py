"""A store with a long log in it: half sent and proved, half received (edge)."""

import asyncio
import os
from itertools import count
from pathlib import Path

from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind, Rung
from engine.model.records import AddInbox, AddOutbox, AddTry, MoveRung, Record
from engine.store.store import Alarms, Store
from tests.screens.golden import NOW

ME, PEER = "id-mac1", "id-studio"
AT_ONCE = 1_000
_numbers = count(1)


def opened(home: Path) -> Store:
    """The store in `home`, ready to write."""
    store = Store(home, link)
    store.open(NOW.wall_ms)
    store.start(Alarms(on_full=_never, on_freed=lambda: None, on_fatal=_never))
    return store


async def fill(home: Path, rows: int) -> None:
    """Make a log of so many rows."""
    store = opened(home)
    for _ in range(0, rows, AT_ONCE):
        await more(store, min(rows, AT_ONCE))
    await asyncio.to_thread(store.close)


async def more(store: Store, rows: int) -> None:
    """Add rows at its newest end."""
    await store.submit([record for _ in range(rows // 2) for record in _sent_and_received()])


def _sent_and_received() -> list[Record]:
    number = next(_numbers)
    at_ms, body = NOW.wall_ms + number, b"fix the login race: two tabs, one session"
    sent = Envelope(ME, NOW.wall_ms, 0, PEER, _id(number, "S"), Kind.CONTEXT, created_ms=at_ms, body=body)
    came = Envelope(PEER, 1, number, ME, _id(number, "R"), Kind.TASK, created_ms=at_ms, body=body)
    return [
        AddOutbox(sent),
        AddTry(sent.msg_id, Channel.NATS, "confirmed", 2.1, at_ms),
        MoveRung(sent.msg_id, Rung.ON_HOST, at_ms, Channel.NATS),
        AddInbox(came, at_ms, Channel.NATS, b"tag"),
    ]


def _id(number: int, way: str) -> str:
    # A process of its own continues where another ended: ids must differ.
    return f"01K{os.getpid():09}{number:08}{way}"


def _never(what: int | FleetError) -> None:
    raise AssertionError(what)
