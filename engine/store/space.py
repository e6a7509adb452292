"""Room on the disk, and eight megabytes kept for the day it runs out (edge).

On a full disk SQLite's log cannot even take a DELETE, so nothing could be settled and nothing freed. The ballast is a
file that is really allocated and really written (a file system may promise room it does not have, or store zeros as
nothing); giving it back lets mail under way be settled while new mail is refused.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.model import vitals

MB = 1 << 20
# The ballast is written so many bytes at a time: what is asked of the allocator at once, a process never gives back.
PIECE = 1 << 16
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def fitting_mb(folder: Path, wanted_mb: float) -> float:
    """The megabytes wanted, or the share of them that the disk of `folder` can spare."""
    disk = os.statvfs(folder)
    return vitals.fitting_mb(disk.f_blocks * disk.f_frsize / MB, wanted_mb)


class Ballast:
    """The file that is given back when the disk is full. Raises `OSError` where it cannot be made."""

    def __init__(self, path: Path, size_mb: float):
        self._path = path
        self.size_mb = size_mb
        self._size = int(size_mb * MB)

    @property
    def held(self) -> bool:
        """Whether it is there, whole."""
        try:
            return self._path.stat().st_size == self._size
        except OSError:
            return False

    def make(self) -> None:
        """Take the room, unless it is taken. A part of it is given back at once when there is no more."""
        if self.held:
            return
        try:
            self._write()
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Give the room back."""
        self._path.unlink(missing_ok=True)

    def free_mb(self) -> int:
        """Megabytes that this user may still write on this disk."""
        space = os.statvfs(self._path.parent)
        return space.f_bavail * space.f_frsize // MB

    def _write(self) -> None:
        target = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if hasattr(os, "posix_fallocate") and self._size:
                os.posix_fallocate(target, 0, self._size)
            for start in range(0, self._size, PIECE):
                self._whole(target, os.urandom(min(PIECE, self._size - start)))
            os.fsync(target)
        finally:
            os.close(target)

    @staticmethod
    def _whole(target: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]


class Room:
    """Whether there is room, and the ballast that goes with it. Belongs to the store's thread; `full` may be read by
    any. `on_full` is told the megabytes that were free, before the ballast was given back."""

    def __init__(
        self, ballast: Ballast, resume_mb: float, on_full: Callable[[int], None], on_freed: Callable[[], None]
    ):
        self._ballast = ballast
        self._resume_mb = resume_mb
        self._on_full, self._on_freed = on_full, on_freed
        self.full = False
        self.untaken = True

    def take(self) -> None:
        """Take the ballast, once; without room for it the disk counts as full. Raises `OSError` for the rest."""
        self.untaken = False
        try:
            self._ballast.make()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self.ran_out()

    def ran_out(self) -> None:
        """A write found no room: give the ballast back, and say so once."""
        self.untaken = False
        free_mb = self._ballast.free_mb()
        self._ballast.release()
        if not self.full:
            self.full = True
            self._on_full(free_mb)

    def look(self) -> None:
        """Whether there is room again: for the ballast, and as much as new mail should find."""
        if not self.full or self._ballast.free_mb() < vitals.resumes_mb(self._ballast.size_mb, self._resume_mb):
            return
        with suppress(OSError):
            self._ballast.make()
            self.full = False
            self._on_freed()
