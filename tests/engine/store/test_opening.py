"""Starts: an empty home, an older store, a newer one, one that went back, one that is no store at all."""

import asyncio
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.config import StoreConfig
from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung
from engine.model.mail import Freight, freight_thread
from engine.model.records import AddEntry, AddOutbox, AddTry, DropStreams, MoveRung, PutMeta, PutRoster, SetStream
from engine.model.roster import Roster
from engine.store import generation
from engine.store.database import connect
from engine.store.restored import Generation, Restored
from engine.store.salvage import salvage
from engine.store.schema import STEPS, migrate
from engine.store.space import Ballast
from engine.store.store import Store
from tests.engine.store.conftest import LIGHT, NOW_MS, Ears
from tests.engine.store.records import EPOCH, arrival, letter

Opened = Callable[..., tuple[Store, Restored]]


def opened_once(home: Path, wall_ms: int = NOW_MS) -> Restored:
    """Open and close, as a start that dies at once."""
    store = Store(home, link, LIGHT)
    try:
        return store.open(wall_ms)
    finally:
        store.close()


def fill(home: Path, *records: object) -> None:
    """Keep these, in order, in a store that is closed again."""
    store = Store(home, link, LIGHT)
    store.open(NOW_MS)
    store.start(Ears().alarms())
    store.commit(records)  # type: ignore[arg-type]
    store.close()


def test_an_empty_home(home: Path) -> None:
    """A first start finds nothing, counts itself and is readable to its owner alone."""
    restored = opened_once(home)
    assert restored == Restored(birth=type(restored.birth)(1, NOW_MS, fresh=True))
    assert stat.S_IMODE((home / "fleet.db").stat().st_mode) == 0o600
    assert generation.read(home / "generation") == Generation(1, NOW_MS)


def test_every_start_has_its_own_epoch(home: Path) -> None:
    """Epochs rise with every start, even when the wall clock is set back."""
    epochs = [opened_once(home, wall_ms).birth.epoch for wall_ms in (NOW_MS, NOW_MS + 9, NOW_MS - 10_000, 0)]
    assert epochs == [NOW_MS, NOW_MS + 9, NOW_MS + 10, NOW_MS + 11]


def test_numbers_survive_a_restart(home: Path) -> None:
    """What was given a number keeps it and its epoch; what was not is in the backlog; what is settled is not open."""
    fill(
        home,
        *(AddOutbox(letter(number)) for number in (1, 2, 3)),
        AddOutbox(letter(4, seq=0)),
        AddOutbox(letter(5, dst="C", seq=0)),
        AddOutbox(letter(6, kind=Kind.FORWARD, thread=freight_thread("inner", "D"), hop=1)),
        MoveRung("ID00000002", Rung.ON_HOST, 1),
        MoveRung("ID00000003", Rung.EXPIRED, 1),
    )
    restored = opened_once(home)
    assert set(restored.lanes["B"].open) == {(EPOCH, 1), (EPOCH, 6)}
    assert restored.lanes["B"].open[EPOCH, 1].envelope == letter(1)
    assert restored.lanes["B"].open[EPOCH, 6].envelope.hop == 1
    assert (restored.lanes["B"].backlog, restored.lanes["C"].backlog) == (1, 1)
    assert (restored.waiting, restored.dead) == (3, 1)
    assert restored.forwards["B", "inner"] == Freight("D", len(letter(6).body))


def test_streams_floors_and_facts_survive(home: Path) -> None:
    """How far each sender was heard, which of its epochs are closed, the roster and small facts are there again."""
    roster = Roster("F", "home", 3, 1, ())
    fill(
        home,
        SetStream("B", 1, 7, b""),
        SetStream("B", 2, 4, b"\x05"),
        DropStreams("B", 2),
        PutRoster(roster),
        PutMeta("prekeys", b"secret"),
        AddEntry(1, "me", "start", "me", {}),
    )
    restored = opened_once(home)
    assert dict(restored.floors) == {"B": 2}
    assert list(restored.streams["B"]) == [2]
    assert [restored.streams["B"][2].holds(seq) for seq in (4, 5, 6, 7)] == [True, True, False, True]
    assert restored.roster == roster
    assert dict(restored.meta) == {"prekeys": b"secret"}
    assert restored.head.seq == 1


# ---------------------------------------------------------------------------------------------------- went back in time


def test_a_backup_put_back_is_noticed(home: Path) -> None:
    """An older copy of the store is told by the file beside it; its numbers can never meet those given since."""
    opened_once(home)
    shutil.copy(home / "fleet.db", home / "backup")
    latest = [opened_once(home, NOW_MS + number).birth.epoch for number in range(3)][-1]
    shutil.copy(home / "backup", home / "fleet.db")
    restored = opened_once(home, wall_ms=0)
    assert restored.birth.went_back
    assert restored.birth.epoch > latest
    assert [finding.code for finding in restored.findings] == ["store.went_back"]
    assert not opened_once(home).birth.went_back


def test_a_deleted_store_is_noticed(home: Path) -> None:
    """A home that has started before and has no store has lost it."""
    first = opened_once(home)
    (home / "fleet.db").unlink()
    restored = opened_once(home, wall_ms=0)
    assert restored.birth.went_back
    assert restored.birth.epoch > first.birth.epoch


@pytest.mark.parametrize("text", [b"", b"garbage", b'{"boots": "x"}', b"\xff\xfe"])
def test_an_unreadable_count_proves_nothing(home: Path, text: bytes) -> None:
    """A damaged file beside the store neither stops a start nor raises an alarm."""
    opened_once(home)
    (home / "generation").write_bytes(text)
    assert not opened_once(home).birth.went_back


# ---------------------------------------------------------------------------------------------------------- versions


def test_a_newer_store_is_refused_untouched(home: Path) -> None:
    """A store of a newer Fleet is named with both versions, and not changed by a byte."""
    opened_once(home)
    with closing(sqlite3.connect(home / "fleet.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = (home / "fleet.db").read_bytes()
    with pytest.raises(FleetError, match=f"99.*{len(STEPS)}") as refused:
        opened_once(home)
    assert refused.value.code == "store.newer"
    assert (home / "fleet.db").read_bytes() == before


def test_a_step_is_taken_after_a_copy(home: Path) -> None:
    """An older store is copied whole, then brought up to date; what it held is there."""
    fill(home, AddOutbox(letter(1)))
    path = home / "fleet.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, (*STEPS, "ALTER TABLE outbox ADD COLUMN label TEXT"))
        assert connection.execute("SELECT msg_id, label FROM outbox").fetchall() == [("ID00000001", None)]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
    with closing(sqlite3.connect(f"{path}.before-v{len(STEPS) + 1}")) as copy:
        assert copy.execute("SELECT msg_id FROM outbox").fetchall() == [("ID00000001",)]
        assert copy.execute("PRAGMA user_version").fetchone() == (len(STEPS),)


def test_an_older_store_is_salvaged(home: Path) -> None:
    """Damaged before it could be brought up to date: its rows lack what was added since, and are kept."""
    with closing(sqlite3.connect(home / "old")) as old:
        for step in STEPS[:2]:
            old.executescript(step)
        old.execute("INSERT INTO inbox VALUES (1, 'm', 'B', 1, 1, 'task', 1, 'work', 0, 0, 'nats', x'00')")
        old.execute("INSERT INTO bodies VALUES (1, x'00')")
        old.execute("INSERT INTO hops VALUES (1, 'm', 'B', 'work', 'held', '', 5, 6, 0)")
        old.commit()
    with closing(connect(home / "new")) as fresh:
        migrate(fresh, home / "new")
        assert salvage(home / "old", fresh)["hops"] == 1
        assert fresh.execute("SELECT state, at_ms, ends_ms FROM hops").fetchall() == [("held", 6, 0)]


def test_a_bad_step_changes_nothing(home: Path) -> None:
    """A step that does not fit is Fleet's fault, not damage: it is rolled back and said, and the store stays in use."""
    fill(home, AddOutbox(letter(1)))
    path = home / "fleet.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(FleetError) as refused:
            migrate(connection, path, (*STEPS, "CREATE TABLE more (x); ALTER TABLE nothing ADD COLUMN y"))
        assert refused.value.code == "store.migration"
    assert opened_once(home).waiting == 1


# ------------------------------------------------------------------------------------------------------------ damage


def damaged_files(home: Path) -> list[Path]:
    return sorted(home.glob("fleet.db.damaged-*"))


def test_garbage_is_put_aside(home: Path) -> None:
    """A file that is no store is kept under another name; the node starts empty, says so, and starts again."""
    (home / "fleet.db").write_bytes(b"not a database at all" * 500)
    restored = opened_once(home)
    assert [finding.code for finding in restored.findings] == ["store.quarantined"]
    assert restored.birth.went_back
    assert damaged_files(home)[0].read_bytes().startswith(b"not a database")
    assert opened_once(home).findings == ()


def test_two_damaged_stores_in_one_second(home: Path) -> None:
    """Nothing that was put aside is ever overwritten."""
    for _ in range(3):
        (home / "fleet.db").write_bytes(b"garbage" * 1000)
        opened_once(home)
    assert len(damaged_files(home)) == 3


def filled(home: Path) -> Path:
    """A store in which every table has something, closed in order."""
    fill(
        home,
        *(AddOutbox(letter(number, body=bytes(900))) for number in range(1, 41)),
        *(AddTry(f"ID{number:08}", Channel.NATS, "lost", 1.0, 1) for number in range(1, 41)),
        *(arrival(number, body=bytes(900)) for number in range(1, 21)),
        SetStream("B", EPOCH, 20, b""),
        PutRoster(Roster("F", "home", 3, 1, ())),
        PutMeta("prekeys", b"secret"),
        *(AddEntry(number, "me", "say", "it", {}) for number in range(30)),
    )
    return home / "fleet.db"


def test_what_is_readable_is_kept(home: Path) -> None:
    """A page of bodies is lost: messages without a body are left, all else is there, and the finding counts it."""
    path = filled(home)
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'bodies'").fetchone()
    start = 4096 * (root - 1)
    pointer = start + 12 + 2 * 3
    cell = int.from_bytes(data[pointer : pointer + 2], "big")
    child = int.from_bytes(data[start + cell : start + cell + 4], "big")
    data[4096 * (child - 1) : 4096 * child] = bytes(4096)
    path.write_bytes(data)
    restored = opened_once(home)
    assert [finding.code for finding in restored.findings] == ["store.quarantined"]
    assert restored.roster
    assert restored.head.seq == 30
    assert dict(restored.meta) == {"prekeys": b"secret"}
    assert restored.streams["B"][EPOCH].watermark == 20
    assert 30 <= restored.waiting < 40
    assert all(one.envelope.body == bytes(900) for one in restored.lanes["B"].open.values())
    assert f"{restored.waiting} outbox" in restored.findings[0].detail


def test_a_word_nobody_knows(home: Path) -> None:
    """A row that reads as no message is damage: the rest is kept, and the node starts."""
    path = filled(home)
    with closing(sqlite3.connect(path)) as vandal:
        vandal.execute("UPDATE outbox SET kind = 'tsak' WHERE row = 3")
        vandal.commit()
    restored = opened_once(home)
    assert [finding.code for finding in restored.findings] == ["store.quarantined"]
    assert restored.waiting == 39


@pytest.mark.slow
def test_no_flipped_byte_is_a_crash_loop(home: Path) -> None:
    """Whatever byte of the file is flipped, the node starts, and starts again without a word (the four bytes that name
    the schema's version excepted: that is a newer Fleet's store)."""
    path = filled(home)
    whole = path.read_bytes()
    seen = set()
    for place in range(0, len(whole), 397):
        for old in (path, *damaged_files(home)):
            old.unlink()
        data = bytearray(whole)
        data[place] ^= 0xFF
        path.write_bytes(data)
        restored = opened_once(home)
        seen |= {finding.code for finding in restored.findings}
        assert opened_once(home).findings == ()
    assert "store.quarantined" in seen


def test_a_crash_while_mending_mends_again(home: Path) -> None:
    """The fresh store takes the name last: found without the old one it is taken, found beside it it is made anew."""
    path = filled(home)
    path.rename(home / "fleet.db.mending")
    assert opened_once(home).waiting == 40
    shutil.copy(path, home / "whole")
    path.write_bytes(b"garbage" * 1000)
    (home / "fleet.db.mending").write_bytes(b"half")
    assert opened_once(home).waiting == 0
    assert not (home / "fleet.db.mending").exists()


# ------------------------------------------------------------------------------------------------------- bad places


def test_a_home_that_is_no_folder(home: Path) -> None:
    """What cannot be opened is refused with the path and the next step; nothing is put aside."""
    (home / "file").write_text("x")
    with pytest.raises(FleetError) as refused:
        Store(home / "file", link, LIGHT).open(NOW_MS)
    assert refused.value.code == "store.open"
    assert str(home / "file") in refused.value.detail
    assert refused.value.next_step


def test_a_folder_in_the_place_of_the_store(home: Path) -> None:
    """Not a file: refused, not put aside."""
    (home / "fleet.db").mkdir()
    with pytest.raises(FleetError) as refused:
        opened_once(home)
    assert refused.value.code == "store.open"


def test_the_ballast_is_really_there(opened: Opened, home: Path) -> None:
    """The ballast has its size, and blocks behind it."""
    opened(StoreConfig(ballast_mb=2))
    while not Ballast(home / "ballast", 2).held:
        time.sleep(0.01)
    found = (home / "ballast").stat()
    assert found.st_size == 2 << 20
    assert found.st_blocks * 512 >= 2 << 20


async def test_a_second_reader_never_blocks(opened: Opened) -> None:
    """A reader in the middle of a long look does not hold up the writer."""
    store, _ = opened()
    await store.submit([AddOutbox(letter(number)) for number in range(1, 100)])
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("BEGIN")
        cursor = other.execute("SELECT * FROM outbox")
        cursor.fetchone()
        await asyncio.wait_for(store.submit((AddOutbox(letter(100)),)), 60)
        assert len(cursor.fetchall()) == 98
