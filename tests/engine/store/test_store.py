"""The writing thread: what it groups, whom it tells and when."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.model.channel import Channel
from engine.model.envelope import Rung
from engine.model.records import AddEntry, AddOutbox, AddTry, MoveRung, PutMeta
from engine.store import generation, worker
from engine.store.restored import Generation, Restored
from engine.store.rows import EPOCH as EPOCH_KEY
from engine.store.store import Store
from tests.engine.store.conftest import LIGHT, NOW_MS, Ears
from tests.engine.store.records import letter

Opened = Callable[..., tuple[Store, Restored]]


def kept_ids(path: Path) -> list[str]:
    """What another process sees in the outbox."""
    with closing(sqlite3.connect(path)) as other:
        return [row[0] for row in other.execute("SELECT msg_id FROM outbox ORDER BY row")]


async def test_what_is_told_is_kept(opened: Opened) -> None:
    """When a future is done, another process sees the message."""
    store, _ = opened()
    await store.submit((AddOutbox(letter(1)),))
    assert kept_ids(store.path) == ["ID00000001"]


async def test_what_waits_is_one_transaction(opened: Opened) -> None:
    """Everything submitted in one breath costs few transactions, not one each."""
    store, _ = opened()
    await asyncio.gather(*[store.submit((AddOutbox(letter(number)),)) for number in range(1, 501)])
    assert store.commits < 50
    assert len(kept_ids(store.path)) == 500


async def test_a_transaction_has_a_size(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fits one transaction becomes several, in order, and everyone is told."""
    monkeypatch.setattr(worker, "MOST_RECORDS", 10)
    store, _ = opened()
    await asyncio.gather(*[store.submit((AddOutbox(letter(number)),)) for number in range(1, 101)])
    assert store.commits >= 10
    assert kept_ids(store.path) == [f"ID{number:08}" for number in range(1, 101)]


async def test_bodies_count_for_the_size(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large bodies end a transaction before many records do."""
    monkeypatch.setattr(worker, "MOST_BYTES", 1000)
    store, _ = opened()
    await asyncio.gather(*[store.submit((AddOutbox(letter(one, body=bytes(600))),)) for one in range(1, 21)])
    assert store.commits >= 10


async def test_first_come_first_told(opened: Opened) -> None:
    """Futures are done in the order of submission."""
    store, _ = opened()
    told: list[int] = []
    futures = [store.submit((AddOutbox(letter(number)),)) for number in range(1, 200)]
    for number, future in enumerate(futures, 1):
        future.add_done_callback(lambda _, number=number: told.append(number))
    await asyncio.gather(*futures)
    await asyncio.sleep(0)
    assert told == list(range(1, 200))


async def test_nobody_waits_any_more(opened: Opened) -> None:
    """A caller that gave up is passed over; its records are kept, and the others are told."""
    store, _ = opened()
    gone = store.submit((AddOutbox(letter(1)),))
    gone.cancel()
    await store.submit((AddOutbox(letter(2)),))
    assert kept_ids(store.path) == ["ID00000001", "ID00000002"]


async def test_nothing_to_keep_is_done_in_its_turn(opened: Opened) -> None:
    """An empty submission is done, after all before it."""
    store, _ = opened()
    before = store.submit((AddOutbox(letter(1)),))
    await store.submit(())
    assert before.done()


def test_a_thread_without_a_loop_waits(opened: Opened) -> None:
    """`commit` returns when the disk has it."""
    store, _ = opened()
    store.commit((AddOutbox(letter(1)),), timeout_s=30)
    assert kept_ids(store.path) == ["ID00000001"]


async def test_a_known_id_changes_nothing(opened: Opened) -> None:
    """Accepting the same message again, even with its number, leaves the first one and its body."""
    store, _ = opened()
    await store.submit((AddOutbox(letter(1, body=b"first")), AddOutbox(letter(1, body=b"second"))))
    await store.submit((MoveRung("ID00000001", Rung.ON_HOST, 1), AddOutbox(letter(1, body=b"third"))))
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT rung, body FROM outbox JOIN bodies USING (row)").fetchall() == [
            ("on_host", b"first")
        ]
        assert other.execute("SELECT count(*) FROM bodies").fetchone() == (1,)


UNFIT = {
    "a number beyond 64 bits": (AddOutbox(letter(9, created_ms=1 << 64)),),
    "a number given twice": (AddOutbox(letter(9, seq=1)),),
    "half of it fits": (AddOutbox(letter(9)), PutMeta("key", 1 << 70)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("records", UNFIT.values(), ids=UNFIT.keys())
async def test_an_unfit_record_ends_the_node(opened: Opened, ears: Ears, records: tuple[AddOutbox, ...]) -> None:
    """What cannot be kept is a fault of ours: nothing after it is kept either, for it would count on it, and the node
    is to start again from what the disk has."""
    store, _ = opened()
    await store.submit((AddOutbox(letter(1)),))
    found = await asyncio.gather(
        *(store.submit(records), store.submit((AddOutbox(letter(3)),))), return_exceptions=True
    )
    assert [error.code for error in found if isinstance(error, FleetError)] == ["store.record"] * 2
    assert ears.heard == ["fatal"]
    assert kept_ids(store.path) == ["ID00000001"]


async def test_text_that_is_no_unicode_is_kept(opened: Opened) -> None:
    """A file name may hold bytes that are no text; whoever quotes it must not end the node."""
    store, _ = opened()
    odd = "caf\udce9"
    await store.submit(
        (
            AddOutbox(letter(1)),
            MoveRung("ID00000001", Rung.REFUSED, 1, reason=odd),
            AddTry("ID00000001", Channel.HTTP, "lost", 1.0, 1, odd),
            AddEntry(1, odd, odd, odd, {odd: odd}),
        )
    )
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT reason, note FROM outbox JOIN deliveries USING (row)").fetchone() == (
            "caf\\udce9",
            "caf\\udce9",
        )


async def test_closing_keeps_what_was_submitted(opened: Opened) -> None:
    """`close` ends after all that waits is durable; later submissions are refused."""
    store, _ = opened()
    futures = [store.submit((AddOutbox(letter(number)),)) for number in range(1, 300)]
    await asyncio.to_thread(store.close)
    await asyncio.gather(*futures)
    with pytest.raises(FleetError, match="stopping"):
        store.submit((AddOutbox(letter(300)),))
    assert len(kept_ids(store.path)) == 299
    assert not store.path.with_name("fleet.db-wal").exists()


def test_nothing_is_taken_before_the_start(home: Path) -> None:
    """A store that was not started refuses, instead of keeping someone waiting for ever."""
    store = Store(home, link, LIGHT)
    store.open(NOW_MS)
    with pytest.raises(FleetError, match="stopping"):
        store.commit((AddOutbox(letter(1)),))
    store.close()


async def test_a_damaged_file_ends_the_node(opened: Opened, ears: Ears) -> None:
    """When the file turns out damaged while running, nothing is acknowledged any more and the alarm is raised once."""
    store, _ = opened()
    await store.submit((AddOutbox(letter(1)),))
    with closing(sqlite3.connect(store.path)) as vandal:
        vandal.execute("DROP TABLE bodies")
    found = await asyncio.gather(
        store.submit((AddOutbox(letter(2)),)), store.submit((AddOutbox(letter(3)),)), return_exceptions=True
    )
    assert [error.code for error in found if isinstance(error, FleetError)] == ["store.io", "store.io"]
    assert ears.heard == ["fatal"]
    with pytest.raises(FleetError, match="cannot be written"):
        store.submit((AddOutbox(letter(4)),))


async def test_the_epoch_can_be_raised(opened: Opened, home: Path) -> None:
    """An epoch that was put is durable, here and beside the store; the next start is above it."""
    store, _ = opened()
    await store.submit((PutMeta(EPOCH_KEY, b"%d" % (NOW_MS + 500)),))
    assert generation.read(home / "generation") == Generation(1, NOW_MS + 500, commits=1)
    await asyncio.to_thread(store.close)
    _, again = opened()
    assert again.birth.epoch == NOW_MS + 501
    assert not again.birth.went_back
    assert again.meta == Restored().meta


async def test_pruning_forgets_what_is_settled(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only settled messages older than the limit go, in steps; what is waiting stays, and the dead stay counted."""
    monkeypatch.setattr(worker, "PRUNED_AT_ONCE", 3)
    store, _ = opened()
    await store.submit([AddOutbox(letter(number)) for number in range(1, 21)])
    await store.submit([MoveRung(f"ID{number:08}", Rung.EXPIRED, 100) for number in range(1, 11)])
    await store.submit([MoveRung(f"ID{number:08}", Rung.ON_HOST, 900) for number in range(11, 13)])
    assert await store.prune(500) == 10
    assert kept_ids(store.path) == [f"ID{number:08}" for number in range(11, 21)]
    await asyncio.to_thread(store.close)
    _, again = opened()
    assert (again.waiting, again.dead) == (8, 10)
