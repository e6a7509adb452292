"""The store on disk and its twin in memory are one store: whatever is submitted, in whatever order."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import StoreConfig
from engine.evidence.ledger import link, verify
from engine.model.story import Query
from engine.store.memory import MemoryStore
from engine.store.read import Reader
from engine.store.restored import Generation
from engine.store.store import Alarms, Store
from tests.engine.store.records import EPOCH, kinds, peers, submissions

NAMES = {"B": "Oslo", "C": "Caracas", "Z": "nobody"}
NUMBERS = (3, 1, 2, 5, 4, 99)
# Nothing here is about the disk, and a thousand fsyncs are long.
IN_MEMORY = Path("/dev/shm")
SILENT = Alarms(lambda free_mb: None, lambda: None, lambda error: None)

queries = st.builds(
    Query,
    before=st.integers(0, 30),
    limit=st.integers(1, 5),
    peer=st.just("") | peers,
    kind=st.just("") | kinds.map(str),
    dir=st.sampled_from(["", "in", "out"]),
    rung=st.sampled_from(["", "accepted", "on_host", "dead"]),
    text=st.sampled_from(["", "OSL", "b", "d", "nats", "ID1", "task", "e"]),
)


@pytest.mark.slow
@given(
    turns=submissions,
    groups=st.lists(st.integers(1, 4), max_size=6),
    asked=st.lists(queries, min_size=1, max_size=4),
    pruned=st.none() | st.integers(0, 50),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_same_records_same_answers(turns: list[Any], groups: list[int], asked: list[Query], pruned: int | None) -> None:
    """Everything that can be asked has the same answer, before and after a restart, however turns were grouped."""
    home = Path(tempfile.mkdtemp(prefix="fl", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    try:
        asyncio.run(_compare(home, turns, groups, asked, pruned))
    finally:
        shutil.rmtree(home)


async def _compare(home: Path, turns: list[Any], groups: list[int], asked: list[Query], pruned: int | None) -> None:
    twin = MemoryStore(link)
    store = Store(home, link, StoreConfig(ballast_mb=0))
    assert store.open(EPOCH) == twin.open(EPOCH)
    store.start(SILENT)
    left = list(turns)
    for size in [*groups, len(turns)]:
        group, left = left[:size], left[size:]
        await asyncio.gather(*[store.submit(turn) for turn in group])
        for turn in group:
            twin.submit(turn)
        twin.commit()
    if pruned is not None:
        assert await store.prune(pruned) == twin.prune(pruned)
    reader = await Reader.open(store.path)
    try:
        await _same_answers(reader, twin, asked)
    finally:
        await reader.close()
    await asyncio.to_thread(store.close)

    again = Store(home, link)
    assert again.open(5) == twin.open(5)
    again.close()


async def _same_answers(reader: Reader, twin: MemoryStore, asked: list[Query]) -> None:
    for query in (Query(limit=1000), *asked):
        assert await reader.lines(query, NAMES) == twin.lines(query, NAMES)
        assert await reader.letters(query.limit) == twin.letters(query.limit)
        assert await reader.letters(query.limit, before="ID2") == twin.letters(query.limit, before="ID2")
        assert await reader.letters(query.limit, "ID1", "T1") == twin.letters(query.limit, "ID1", "T1")
    for number in range(6):
        assert await reader.story(f"ID{number}", NAMES) == twin.story(f"ID{number}", NAMES)
        assert await reader.message(f"ID{number}") == twin.message(f"ID{number}")
        assert await reader.body(f"ID{number}") == twin.body(f"ID{number}")
    for peer in ("B", "C", "D"):
        for bulk in range(3):
            assert await reader.waiting(peer, 2, bulk) == twin.waiting(peer, 2, bulk)
        for epoch in (EPOCH, EPOCH + 1):
            assert await reader.closed(peer, epoch, NUMBERS) == twin.closed(peer, epoch, NUMBERS)
    for session in ("T1", "work"):
        assert await reader.hops(session, 3) == twin.hops(session, 3)
        assert await reader.cursor(session) == twin.cursor(session)
        assert await reader.unread(session, 2, 2) == twin.unread(session, 2, 2)
    assert await reader.hop("ID1", "B") == twin.hop("ID1", "B")
    assert await reader.came("ID1") == twin.came("ID1")
    assert await reader.sessions(5) == twin.sessions(5)
    assert await reader.recent_tags(3) == twin.recent_tags(3)
    assert await reader.counts() == twin.counts()
    rows = await reader.ledger(0, 100)
    assert rows == twin.ledger(0, 100)
    assert verify(rows) is None


def test_a_copy_is_a_backup() -> None:
    """A twin copied earlier starts from what was kept then, and knows that it went back."""
    store = MemoryStore(link)
    store.open(1)
    backup = store.copy()
    latest = store.open(1).birth
    found = backup.open(1, seen=Generation(latest.boots, latest.epoch)).birth
    assert found.went_back
    assert found.epoch > latest.epoch
