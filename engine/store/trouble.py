"""What an error of SQLite or of the system means for the node (edge).

FULL     no space: give the ballast back and try again; nothing is acknowledged meanwhile
BUSY     somebody else holds the file: try again
RECORD   a record that cannot be kept (a number beyond 64 bits, a number given twice): at a start the row is left out;
         while running the node ends, for what comes after it would count on it
DAMAGED  the file contradicts itself: at a start it is put aside, while running the node ends
DEAD     everything else, a failed fsync first of all: the node ends, because after one the kernel has forgotten
         which pages were written, and a retry that succeeds proves nothing (Rebello et al., USENIX ATC 2020)
"""

import sqlite3
from enum import StrEnum
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.store.space import NO_SPACE


class Trouble(StrEnum):
    """The five meanings."""

    FULL = "full"
    BUSY = "busy"
    RECORD = "record"
    DAMAGED = "damaged"
    DEAD = "dead"


# Growing the shared index of the log (-shm) reports a full disk under its own code.
_EXTENDED = {sqlite3.SQLITE_IOERR_SHMSIZE: Trouble.FULL, sqlite3.SQLITE_IOERR_CORRUPTFS: Trouble.DAMAGED}
_PRIMARY = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_CONSTRAINT: Trouble.RECORD,
    sqlite3.SQLITE_MISMATCH: Trouble.RECORD,
    sqlite3.SQLITE_TOOBIG: Trouble.RECORD,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    # "no such table" in a schema that says it has it.
    sqlite3.SQLITE_ERROR: Trouble.DAMAGED,
}
# How SQLite says that it may not.
_FORBIDDEN = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
# What a write may raise that has one of these meanings; anything else is a fault of ours and DEAD.
EXPECTED = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError)


def trouble_of(error: BaseException) -> Trouble:
    """What this error means."""
    if isinstance(error, OSError):
        return Trouble.FULL if error.errno in NO_SPACE else Trouble.DEAD
    if not isinstance(error, sqlite3.Error):
        return Trouble.RECORD if isinstance(error, EXPECTED) else Trouble.DEAD
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # The module's own refusals: text it cannot decode was damaged, a value it cannot bind is the record's fault.
        return Trouble.DAMAGED if isinstance(error, sqlite3.OperationalError) else Trouble.RECORD
    return _EXTENDED.get(code) or _PRIMARY.get(code & 0xFF, Trouble.DEAD)


def unopened(path: Path, error: BaseException) -> FleetError:
    """The store at `path` cannot be opened: what is held, forbidden or broken is three things to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if trouble_of(error) is Trouble.BUSY:
        step = f"end what else has it open (`fuser {path}`), then start the node again"
    elif isinstance(error, PermissionError) or code in _FORBIDDEN:
        step = f"make {path.parent} writable for this user (`chmod u+rwx`), or name another home with --home"
    else:
        step = f"look at the disk of {path.parent} (`dmesg`, `mount`), then start the node again"
    return FleetError("store.open", "The store cannot be opened", f"{path}: {error}", step, Fault.WORLD)


def full() -> FleetError:
    """The disk has no room for what has to be kept."""
    return FleetError(
        "store.full",
        "The disk is full",
        "there is no room for the store of this node",
        "free some space on the disk of the data directory",
        Fault.WORLD,
    )


def fatal(error: BaseException) -> FleetError:
    """The store can promise nothing any more."""
    if trouble_of(error) is Trouble.RECORD:
        return FleetError("store.record", "A record cannot be kept", str(error), "report this", Fault.OURS)
    return FleetError(
        "store.io",
        "The store cannot be written",
        str(error),
        "look at the disk (`dmesg`), then start the node again",
        Fault.WORLD,
    )


def closed() -> FleetError:
    """The store was closed before this could be kept."""
    return FleetError("store.closed", "The node is stopping", "nothing was kept", "start the node and try again")
