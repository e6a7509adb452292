"""The raw control of the store: one row, one transaction, one `synchronous=FULL` commit at a time (edge)."""

import sqlite3
from pathlib import Path
from time import perf_counter


class Commits:
    """A table of kilobytes in a file of its own, on the same disk as the nodes' homes."""

    def __init__(self, folder: Path):
        self._connection = sqlite3.connect(folder / "control.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        self._connection.execute("PRAGMA synchronous = FULL").fetchall()
        self._connection.execute("CREATE TABLE control (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def one_ms(self, body: bytes) -> float:
        """Commit one row; milliseconds until the disk has it."""
        began = perf_counter()
        self._connection.execute("INSERT INTO control (body) VALUES (?)", (body,))
        return (perf_counter() - began) * 1000

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
