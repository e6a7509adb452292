"""The file itself: opened, checked, put aside (edge).

WAL with `synchronous=FULL`: a commit has returned only when its bytes are on the disk; after a crash the log is good
up to its last whole transaction, whatever was torn behind it; `frames` tells that from damage. At 4,096 pages (16 MB)
it is carried over into the file.

A whole check reads the whole file (a gigabyte a second), so a big store that was closed in order is not read through
at every start. If something in it is damaged, the node ends when it meets it, leaves the log behind, and that makes
the next start check.
"""

import shutil
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.home import sync_folder

CHECKED_BYTES = 128 << 20
LOCK_WAIT_S = 5.0

PRAGMAS = (
    "synchronous = FULL",
    "wal_autocheckpoint = 4096",
    "journal_size_limit = 16777216",
    "cache_size = -4096",
    "temp_store = MEMORY",
)


class Damaged(Exception):
    """The file contradicts itself; the text says where."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the store for its one writer, making it readable to this user alone."""
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise OSError(f"{path}: this file system cannot hold SQLite's log (journal mode {mode})")
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def doubtful(path: Path) -> bool:
    """Whether the file should be read through: small, or not closed in order. To be asked before it is opened."""
    log = log_of(path)
    return (path.exists() and path.stat().st_size <= CHECKED_BYTES) or (log.exists() and log.stat().st_size > 0)


def check(connection: sqlite3.Connection) -> None:
    """Read the whole file. Raises `Damaged` with the first contradiction."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise Damaged(said)


def put_aside(path: Path, wall_ms: int) -> Path:
    """Rename a damaged store and its log, never over another; returns the new path."""
    date = datetime.fromtimestamp(wall_ms / 1000, UTC)
    name = f"{path.name}.damaged-{date:%Y%m%dT%H%M%SZ}"
    aside = next(one for one in _numbered(path.with_name(name)) if not one.exists())
    path.rename(aside)
    if log_of(path).exists():
        log_of(path).rename(log_of(aside))
    _index_of(path).unlink(missing_ok=True)
    sync_folder(path.parent)
    return aside


def copy(path: Path, to: Path, log: bytes) -> None:
    """A copy of a store that is not open, with this for its log; readable to this user alone."""
    to.touch(mode=0o600)
    log_of(to).touch(mode=0o600)
    if path.exists():
        shutil.copyfile(path, to)
    log_of(to).write_bytes(log)


def take_over(fresh: Path, path: Path) -> None:
    """Give a whole new store the name, where there is none: after damage, or after a crash just before this."""
    if fresh.exists() and not path.exists():
        fresh.rename(path)
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take away a store that was never in use."""
    for part in (path, log_of(path), _index_of(path)):
        part.unlink(missing_ok=True)


def log_of(path: Path) -> Path:
    """The write-ahead log beside a store."""
    return path.with_name(f"{path.name}-wal")


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _numbered(path: Path) -> Sequence[Path]:
    return [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
