"""The numbers of this machine and this process, read from the system (edge)."""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from engine.model.vitals import Vitals

MB = 1 << 20


def measure(home: Path, backlog: int = 0, process: int = 0, none_left: bool = False) -> Vitals:
    """How things are now, for the process `process` (0: this one). What the system does not say stays unknown.
    `none_left`: descriptors, within the last minute."""
    free_mb, free_inodes, disk_mb = room(home)
    opened, limit, memory_mb = 0, 0, 0
    with suppress(psutil.Error, OSError):
        looked = psutil.Process(process or os.getpid())
        opened, memory_mb = looked.num_fds(), looked.memory_info().rss // MB
        limit = _limit(looked) if process else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    known = (backlog, memory_mb, str(home), sys.platform, disk_mb, none_left)
    return Vitals(free_mb, free_inodes, opened, max(0, limit), *known)


def room(folder: Path) -> tuple[int, int, int]:
    """Megabytes and files that this user may still make on the disk of `folder`, -1 for what nobody counts there; and
    the megabytes of the whole disk, 0 where it does not tell."""
    here = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    try:
        disk = os.statvfs(here)
    except OSError:
        return -1, -1, 0
    inodes = disk.f_favail if disk.f_files else -1
    return disk.f_bavail * disk.f_frsize // MB, inodes, disk.f_blocks * disk.f_frsize // MB


def _limit(looked: psutil.Process) -> int:
    asked = getattr(looked, "rlimit", None)  # Linux alone tells another process's
    return int(asked(psutil.RLIMIT_NOFILE)[0]) if asked else 0
