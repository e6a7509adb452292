"""What a store that cannot be opened tells a person to do."""

import errno
import sqlite3
from pathlib import Path

import pytest

from engine.store.trouble import unopened


def told(code: int) -> sqlite3.OperationalError:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError("as it says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (told(sqlite3.SQLITE_BUSY), "end what else has it open"),
        (told(sqlite3.SQLITE_CANTOPEN), "writable"),
        (told(sqlite3.SQLITE_READONLY_DIRECTORY), "writable"),
        (PermissionError(errno.EACCES, "Permission denied"), "writable"),
        (told(sqlite3.SQLITE_IOERR_FSYNC), "look at the disk"),
        (OSError(errno.EIO, "Input/output error"), "look at the disk"),
    ],
)
def test_the_step_fits_the_error(error: Exception, step: str) -> None:
    """What is held, forbidden or broken is three things to do, and the path is named in each."""
    refused = unopened(Path("/data/fleet.db"), error)
    assert refused.code == "store.open"
    assert step in refused.next_step
    assert "/data" in refused.next_step
