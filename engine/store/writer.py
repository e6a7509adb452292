"""One transaction after another on one connection (edge).

A transaction holds everything that was submitted while the one before it was on its way to the disk. It is there whole
or not at all, and `write` returns only when the disk has it. The numbers of rows and ledger entries advance with the
commit, so that one that failed leaves no gap in the chain. Each transaction counts itself, and the count is told to a
file beside the store once the disk has it.
"""

import sqlite3
from collections.abc import Callable, Iterable

from engine.model.ledger import LedgerHead
from engine.model.records import Record
from engine.store.batch import Batch, Link, Tail
from engine.store.crash import crash_at
from engine.store.rows import COMMITS, DEAD_PRUNED, HAS_FAILED, IS_PUBLIC, number_data, number_of
from engine.store.trouble import Trouble, trouble_of


class Writer:
    """Writes records; not thread-safe: it belongs to the store's thread. `counted` is told every count."""

    def __init__(
        self, connection: sqlite3.Connection, link: Link, counted: Callable[[int], None] = lambda commits: None
    ):
        self._connection = connection
        self._link, self._counted = link, counted
        self._tail = _tail(connection)
        self._commits = _number(connection, COMMITS)

    def write(self, submissions: Iterable[Iterable[Record]]) -> None:
        """Commit these, in order, in one transaction. Raises what SQLite raises; nothing of it is kept then."""
        batch = Batch(self._tail, self._link)
        for records in submissions:
            batch.add(records)
        writes, tail = batch.finish()
        if not writes:
            return
        with Transaction(self._connection):
            for write in writes:
                for text, values in write.executions():
                    self._connection.execute(text, values)
            self._connection.execute(_COUNT, (COMMITS, number_data(self._commits + 1)))
            crash_at("before_commit")
        self._tail = tail
        self._commits += 1
        self._counted(self._commits)
        crash_at("after_commit")

    def prune(self, before_ms: int, limit: int) -> int:
        """Forget at most `limit` messages of each direction that were settled before `before_ms`; how many it were."""
        with Transaction(self._connection):
            gone = self._connection.execute(_PRUNE_OUTBOX, (before_ms, limit)).fetchall()
            came = self._connection.execute(_PRUNE_INBOX, (before_ms, limit)).fetchall()
            rows = [(row[0],) for row in (*gone, *came)]
            self._connection.executemany("DELETE FROM hops WHERE msg_id = ? AND src = ?", [row[1:] for row in came])
            self._connection.executemany("DELETE FROM bodies WHERE row = ?", rows)
            self._connection.executemany("DELETE FROM deliveries WHERE row = ?", [(row[0],) for row in gone])
            self._count_dead(sum(row[1] for row in gone))
        return len(rows)

    def checkpoint(self) -> None:
        """Carry the log over into the file and empty it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def carry_over(self) -> None:
        """Have what was committed so far in the file itself, as far as nobody reads what was before it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            if trouble_of(error) not in (Trouble.FULL, Trouble.BUSY):
                raise

    def close(self) -> None:
        """Close the connection; the last one to go carries the log over."""
        self._connection.close()

    def _count_dead(self, died: int) -> None:
        """`dead` counts since the store began, so what is forgotten stays counted."""
        if died:
            total = _number(self._connection, DEAD_PRUNED) + died
            self._connection.execute(_COUNT, (DEAD_PRUNED, number_data(total)))


class Transaction:
    """`with` one: committed at its end, rolled back where anything in it fails."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                self._back()
                raise
        else:
            self._back()

    def _back(self) -> None:
        """SQLite rolls back by itself after some errors; asking again would be another."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


_COUNT = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_PRUNE_OUTBOX = (
    "DELETE FROM outbox WHERE row IN (SELECT row FROM outbox WHERE rung <> 'accepted' AND rung_ms < ? LIMIT ?) "
    f"RETURNING row, {HAS_FAILED} AND {IS_PUBLIC}"
)
_PRUNE_INBOX = (
    "DELETE FROM inbox WHERE row IN (SELECT row FROM inbox WHERE at_ms < ? LIMIT ?) RETURNING row, msg_id, src"
)


def _number(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return number_of(row[0] if row else None)


def _tail(connection: sqlite3.Connection) -> Tail:
    """Where the sequences stand. A row number is never given twice while a message with it is kept, nor where a session
    has read it: what came later under it would be skipped."""
    (row,) = connection.execute(
        "SELECT max((SELECT ifnull(max(row), 0) FROM outbox), (SELECT ifnull(max(row), 0) FROM inbox), "
        "(SELECT ifnull(max(row), 0) FROM cursors))"
    ).fetchone()
    last = connection.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    return Tail(row, LedgerHead(*last) if last else LedgerHead())
