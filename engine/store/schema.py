"""The schema and its steps (edge).

`STEPS[n]` brings a store from version n to n + 1; the version is SQLite's own `user_version`, changed in the step's
transaction. Steps are never edited once released: a store that took the old one would differ from one that took the
new. Before a store with something in it is changed, a whole copy is put beside it. A store from a newer Fleet is
refused untouched.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.home import sync_folder

STEPS: tuple[str, ...] = tuple(
    Path(__file__).with_name(name).read_text() for name in ("schema.sql", "sessions.sql", "ends.sql")
)


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = STEPS) -> None:
    """Bring the store at `path` to the newest version.

    Raises `FleetError`: `store.newer`, naming both versions; `store.migration` where a step does not fit this store.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise _newer(version, len(steps), path)
    if 0 < version < len(steps):
        _copy(connection, path.with_name(f"{path.name}.before-v{len(steps)}"))
    for number in range(version, len(steps)):
        _take(connection, steps[number], number + 1, path)


def _take(connection: sqlite3.Connection, step: str, version: int, path: Path) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step}\n;PRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if error.sqlite_errorcode & 0xFF in _THE_STEPS_FAULT:
            raise _unfit(version, path, error) from error
        raise


# Not damage: a sound store must not be put aside because a step was written badly.
_THE_STEPS_FAULT = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH})


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """A copy through SQLite, which holds what the log holds; under its name only once it is whole."""
    fresh = target.with_name(f"{target.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with closing(sqlite3.connect(fresh)) as copy:
        connection.backup(copy)
    fresh.replace(target)
    sync_folder(target.parent)


def _newer(found: int, known: int, path: Path) -> FleetError:
    return FleetError(
        "store.newer",
        "The store is from a newer Fleet",
        f"{path} has schema version {found}, this Fleet knows {known}",
        f"upgrade Fleet; or put back a copy made before the upgrade ({path.name}.before-v{found})",
    )


def _unfit(version: int, path: Path, error: sqlite3.Error) -> FleetError:
    return FleetError(
        "store.migration",
        "The store cannot be brought up to date",
        f"{path}, step {version}: {error}; nothing was changed",
        "go on with the Fleet that wrote it, and report this",
        Fault.OURS,
    )
