"""What can still be read of a damaged store (edge).

Row by row from the front until a page cannot be read, then from the back; each row is kept only if it is what its table
says. Messages without their body are left, for an empty message would be a lie. The ledger is taken only from its start
without a gap: the chain over what is kept still holds, and a witness will see that its tail is missing.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung
from engine.model.hop import HopState
from engine.store.rows import OWN_KEYS, WAITING, channel_of, number_of, roster_of, waiting_of
from engine.store.trouble import Trouble, trouble_of
from engine.store.writer import Transaction

TABLES = ("meta", "roster", "peers", "streams", "floors", "bodies", "outbox", "inbox", "deliveries", "hops", "cursors")
KEPT = (*TABLES, "ledger")

# What one row may be: unreadable, undecodable, not fit to be kept.
_UNFIT = (sqlite3.Error, ValueError, OverflowError)


def salvage(damaged: Path, into: sqlite3.Connection) -> dict[str, int]:
    """Copy what is readable into an empty store; how many rows of each table that is."""
    with closing(sqlite3.connect(damaged)) as source, Transaction(into):
        source.text_factory = _text
        for table in TABLES:
            _copy(source, into, table)
        _copy_ledger(source, into)
        _sift(into)
    return {table: into.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in KEPT}


def _text(data: bytes) -> str:
    """What is not UTF-8 becomes text that cannot be written, so its row is left."""
    return data.decode("utf-8", "surrogateescape")


def _copy(source: sqlite3.Connection, into: sqlite3.Connection, table: str) -> None:
    # One of an older Fleet has fewer columns: what was added since stands behind them, and has a default.
    names = [name for (name,) in into.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    reached = -1
    for rowid, *row in _readable(source, f"SELECT rowid, * FROM {table} ORDER BY rowid"):
        reached = rowid
        _keep(into, f"{table} ({', '.join(names[: len(row)])})", row)
    for _, *row in _readable(source, f"SELECT rowid, * FROM {table} WHERE rowid > {reached} ORDER BY rowid DESC"):
        _keep(into, f"{table} ({', '.join(names[: len(row)])})", row)


def _copy_ledger(source: sqlite3.Connection, into: sqlite3.Connection) -> None:
    for number, row in enumerate(_readable(source, "SELECT * FROM ledger ORDER BY seq"), 1):
        if row[0] != number or not _keep(into, "ledger", row):
            return


def _readable(source: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...] | list[Any]]:
    with suppress(*_UNFIT):
        yield from source.execute(query)


def _keep(into: sqlite3.Connection, table: str, row: tuple[Any, ...] | list[Any]) -> bool:
    """Whether the row was taken. A full disk is no fault of the row."""
    places = ",".join("?" * len(row))
    try:
        return into.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row).rowcount == 1
    except _UNFIT as error:
        if trouble_of(error) is not Trouble.RECORD:
            raise
        return False


def _sift(into: sqlite3.Connection) -> None:
    """Leave what would be read as something it was not."""
    for table in ("outbox", "inbox"):
        into.execute(f"DELETE FROM {table} WHERE row NOT IN (SELECT row FROM bodies)")
    for table, key, query, read in _WORDS:
        for first, *values in into.execute(query).fetchall():
            try:
                read(*values)
            except _UNFIT:
                into.execute(f"DELETE FROM {table} WHERE {key} = ?", (first,))
    into.execute("DELETE FROM bodies WHERE row NOT IN (SELECT row FROM outbox UNION ALL SELECT row FROM inbox)")
    into.execute("DELETE FROM deliveries WHERE row NOT IN (SELECT row FROM outbox)")
    into.execute("DELETE FROM hops WHERE (msg_id, src) NOT IN (SELECT msg_id, src FROM inbox)")


def _own_number(key: str, value: bytes) -> None:
    if key in OWN_KEYS:
        number_of(value)


def _sent(rung: str, channel: str, *row: Any) -> None:
    Rung(rung)
    channel_of(channel)
    waiting_of(row)


def _came(kind: str, channel: str) -> None:
    Kind(kind)
    Channel(channel)


# Which rows are read how: table, key, the columns after the key, and what must not raise.
_WORDS: tuple[tuple[str, str, str, Callable[..., object]], ...] = (
    ("meta", "key", "SELECT key, key, value FROM meta", _own_number),
    ("roster", "one", "SELECT one, data FROM roster", roster_of),
    (
        "outbox",
        "row",
        f"SELECT o.row, o.rung, o.channel, {WAITING} FROM outbox AS o JOIN bodies AS b USING (row)",
        _sent,
    ),
    ("inbox", "row", "SELECT row, kind, channel FROM inbox", _came),
    ("deliveries", "id", "SELECT id, channel FROM deliveries", Channel),
    ("hops", "id", "SELECT id, state FROM hops", HopState),
)
