"""A torn log gives a whole prefix of its transactions and no alarm; a damaged one gives what is good of it, and one."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.config import StoreConfig
from engine.evidence.ledger import link, verify
from engine.model.ledger import LedgerRow
from engine.model.records import PutRoster
from engine.model.roster import Roster
from engine.store.frames import HEAD as FRAME
from engine.store.frames import parsed
from engine.store.opening import open_store
from engine.store.space import Ballast
from engine.store.store import Store
from engine.store.writer import Writer
from tests.engine.store.conftest import Ears
from tests.engine.store.doomed import turn
from tests.engine.store.records import EPOCH

TURNS = 12


@pytest.fixture
def written(home: Path) -> Path:
    """A folder with a store and its log as a crash leaves them: twelve transactions, none carried over."""
    connection, _ = open_store(home / "fleet.db", home / "generation", Ballast(home / "ballast", 0), 1)
    writer = Writer(connection, link)
    writer.checkpoint()
    for number in range(1, TURNS + 1):
        writer.write([turn(number)])
    crashed = home / "crashed"
    crashed.mkdir()
    for part in ("fleet.db", "fleet.db-wal", "generation"):
        shutil.copy(home / part, crashed / part)
    writer.close()
    return crashed


def recovered(crashed: Path, log: bytes, into: Path) -> int:
    """How many turns a start finds with this log; fails unless they are the first ones, each whole."""
    into.mkdir()
    shutil.copy(crashed / "fleet.db", into / "fleet.db")
    shutil.copy(crashed / "generation", into / "generation")
    (into / "fleet.db-wal").write_bytes(log)
    connection, restored = open_store(into / "fleet.db", into / "generation", Ballast(into / "ballast", 0), 1)
    with closing(connection):
        found = connection.execute("SELECT seq FROM outbox ORDER BY seq").fetchall()
        assert [seq for (seq,) in found] == list(range(1, len(found) + 1))
        assert connection.execute("SELECT count(*) FROM inbox").fetchone() == (len(found),)
        entries = [LedgerRow(*row) for row in connection.execute("SELECT seq, entry, hash FROM ledger ORDER BY seq")]
        assert verify(entries) is None
        assert len(entries) == len(found) == restored.waiting
        if found:
            assert restored.streams["B"][EPOCH].watermark == len(found)
        Writer(connection, link).write([turn(len(found) + 1)])
    assert [finding.code for finding in restored.findings] == []
    shutil.rmtree(into)
    return len(found)


@pytest.mark.slow
def test_cut_anywhere(written: Path) -> None:
    """Cut at any byte, the log gives back every transaction that lies whole before the cut, and can be written on."""
    log = (written / "fleet.db-wal").read_bytes()
    cuts = [*range(0, len(log), 2111), *(len(log) - few for few in range(5))]
    counts = [recovered(written, log[:cut], written / "cut") for cut in sorted(cuts)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == TURNS
    assert set(counts) == set(range(TURNS + 1))


def mended(crashed: Path, log: bytes, into: Path) -> tuple[int, str]:
    """The same with a log that is damaged: how many turns are found, and the finding; fails unless each of them is
    whole, the ledger holds, nothing of what was there is gone, and the next start is like any other."""
    into.mkdir()
    for part in ("fleet.db", "generation"):
        shutil.copy(crashed / part, into / part)
    (into / "fleet.db-wal").write_bytes(log)
    connection, restored = open_store(into / "fleet.db", into / "generation", Ballast(into / "ballast", 0), 1)
    with closing(connection):
        letters = dict(connection.execute("SELECT seq, body FROM outbox JOIN bodies USING (row)").fetchall())
        assert letters == {number: b"%d" % number * 50 for number in letters}
        entries = [LedgerRow(*row) for row in connection.execute("SELECT seq, entry, hash FROM ledger ORDER BY seq")]
        assert verify(entries) is None
    assert restored.birth.went_back
    assert restored.birth.boots == 2
    (aside,) = (path for path in into.glob("fleet.db.damaged-*") if not path.name.endswith("-wal"))
    assert aside.read_bytes() == (crashed / "fleet.db").read_bytes()
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == log
    assert not list(into.glob("fleet.db.[!d]*"))
    connection, again = open_store(into / "fleet.db", into / "generation", Ballast(into / "ballast", 0), 1)
    connection.close()
    assert again.findings == ()
    assert again.waiting == len(letters)
    shutil.rmtree(into)
    return len(letters), restored.findings[0].code


def places(log: bytes) -> list[tuple[str, int]]:
    """A byte of each kind in the log: all of its header, and of some frames all that is in a frame's."""
    size = FRAME + 4096
    last = (len(log) - 32) // size
    marks = {"page": 0, "commit": 4, "salt": 10, "checksum": 18, "image": 100}
    frames = {"first": 0, "middle": last // 2, "last": last - 1}
    found = [(f"header {place}", place) for place in range(0, 32, 3)]
    return found + [
        (f"{name} {mark}", 32 + size * at + by) for name, at in frames.items() for mark, by in marks.items()
    ]


@pytest.mark.slow
def test_a_flipped_bit_is_no_end(written: Path) -> None:
    """SQLite takes a bad checksum for the end of its log. Wherever a bit is flipped with commits behind it, the node
    says so, puts all of it aside as it was, and takes up what is good, behind the bad place as well; a bit of the last
    frame costs the last transaction at most, and looks like the end."""
    log = (written / "fleet.db-wal").read_bytes()
    for name, place in places(log):
        flipped = bytearray(log)
        flipped[place] ^= 0x10
        if name.startswith("last") and name != "last salt":
            assert recovered(written, bytes(flipped), written / "cut") >= TURNS - 1, name
            continue
        count, code = mended(written, bytes(flipped), written / "cut")
        assert code == "store.quarantined", name
        assert count >= TURNS - 1, name


def test_what_an_older_log_left_is_no_damage(written: Path, home: Path) -> None:
    """A log is written over from its front: behind its end, torn or not, lies what was there before, and is nothing."""
    log = (written / "fleet.db-wal").read_bytes()
    path = home / "again.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        with closing(sqlite3.connect(path)) as other:
            for number in range(40):
                connection.execute("INSERT INTO t VALUES (?)", (bytes(3000),))
                connection.commit()
                if number == 30:
                    other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            reused = (home / "again.db-wal").read_bytes()
    size = FRAME + 4096
    assert len(parsed(reused, 4096).frames) < (len(reused) - 32) // size
    new = 32 + size * (len(parsed(reused, 4096).frames) - 1)
    for whole, cut in ((reused, new), (log, len(log) - size)):
        assert parsed(whole, 4096).flaw() == ""
        torn = bytearray(whole)
        torn[cut + 500 : cut + 900] = bytes(400)
        torn[cut + 900 : cut + 901] = b"\xff"
        assert parsed(bytes(torn), 4096).flaw() == ""


def test_an_old_copy_of_this_very_start_is_noticed(home: Path) -> None:
    """A copy that was made since the last start, put back after a crash, has counted fewer transactions than the file
    beside it; who belongs to the fleet is in the file itself at once, so that not even a lost log makes it nobody."""
    store = Store(home, link, StoreConfig(ballast_mb=0))
    store.open(1)
    store.start(Ears().alarms())
    store.commit([PutRoster(Roster("F", "home", 3, 1, ()))])
    copy = (home / "fleet.db").read_bytes()
    for number in range(1, 4):
        store.commit(turn(number))
    store.close()
    for part in home.glob("fleet.db*"):
        part.unlink()
    (home / "fleet.db").write_bytes(copy)
    connection, restored = open_store(home / "fleet.db", home / "generation", Ballast(home / "b", 0), 1)
    connection.close()
    assert restored.roster
    assert [one.code for one in restored.findings] == ["store.went_back"]
    assert restored.findings[0].detail.startswith("3 transactions that were on this disk are missing")
    connection, again = open_store(home / "fleet.db", home / "generation", Ballast(home / "b", 0), 1)
    connection.close()
    assert not again.birth.went_back


def test_a_log_lost_with_the_start_is_noticed(written: Path) -> None:
    """A log cut before this home's last start was counted: the store knows that it went back."""
    with closing(sqlite3.connect(written / "fleet.db")) as connection:
        connection.execute("DELETE FROM meta")
        connection.commit()
    connection, restored = open_store(written / "fleet.db", written / "generation", Ballast(written / "b", 0), 1)
    connection.close()
    assert restored.birth.went_back
