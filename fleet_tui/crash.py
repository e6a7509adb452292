"""What is kept of an ending nobody wished: a traceback a file, in `<home>/log` (edge).

The files hold the lines of code and the exceptions' own words, never local variables: those may be bodies or keys. The
newest `KEPT` stay.
"""

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

from engine.home import LOG

KEPT = 20


def save_crash(home: Path, error: BaseException) -> Path:
    """Write down how `error` came about; returns the file, whose name carries the moment in UTC."""
    folder = log_dir(home)
    for old in sorted(folder.glob("crash-*.txt"))[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    path = folder / f"crash-{moment}.txt"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.writelines(traceback.format_exception(error))
    return path


def log_dir(home: Path) -> Path:
    """`<home>/log`, made with mode 0700."""
    folder = home / LOG
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
