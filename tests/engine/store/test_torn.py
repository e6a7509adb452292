"""A torn or flipped log: a whole prefix of the transactions comes back, never a part of one, never an alarm for it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.evidence.ledger import link, verify
from engine.model.ledger import LedgerRow
from engine.store.opening import open_store
from engine.store.space import Ballast
from engine.store.writer import Writer
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


@pytest.mark.slow
def test_flipped_anywhere(written: Path) -> None:
    """A flipped byte costs the transactions from there on, and no more: the log's checksums see it."""
    log = (written / "fleet.db-wal").read_bytes()
    counts = []
    for place in range(0, len(log), 3999):
        flipped = bytearray(log)
        flipped[place] ^= 0x10
        counts.append(recovered(written, bytes(flipped), written / "cut"))
    assert counts == sorted(counts)
    assert counts[-1] >= TURNS - 1


def test_a_log_lost_with_the_start_is_noticed(written: Path) -> None:
    """A log cut before this home's last start was counted: the store knows that it went back."""
    with closing(sqlite3.connect(written / "fleet.db")) as connection:
        connection.execute("DELETE FROM meta")
        connection.commit()
    connection, restored = open_store(written / "fleet.db", written / "generation", Ballast(written / "b", 0), 1)
    connection.close()
    assert restored.birth.went_back
