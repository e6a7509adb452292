"""The seed folder: where peers leave sealed frames as files, and what is taken from it (edge).

    <ulid>.seed.part   somebody is writing: left alone, and swept away when it was given up an hour ago
    voucher            our own word for whoever wants to leave something here (`ssh.voucher`)
    <ulid>.seed        ours, a plain file, not too large: to the engine, and removed once it was taken
    anything else      a link, another's file, another name, too large: to `refused/`, counted, never opened

The folder is this user's alone (0700). Folder and `refused/` are opened as what they are, and every name is looked up
in what was opened: a link in the place of either is nowhere followed. A link is moved as a link and nothing behind it
is ever touched; a name is one component as the folder lists it, so there is no path to be played with; and nothing is
removed from `refused/` but what was named there by us. While the node is busy, files wait.
"""

import asyncio
import errno
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.model.channel import Channel
from engine.model.envelope import CARRIAGE_LIMIT
from engine.model.finding import Finding, Severity
from engine.signals import Found, Rejected, Signal
from engine.transports.base import Arrivals
from engine.transports.seed.watch import watched
from engine.transports.ssh import voucher

log = logging.getLogger(__name__)

NAME = "seed-in"
REFUSED = "refused"
SUFFIX, PART = ".seed", ".part"
# The newest of what was refused are kept for whoever wonders; the folder must not fill the disk.
KEPT = 16
# Files taken in one look: a folder that filled while the node was down is drained in steps.
AT_ONCE = 64
BUSY_S = 0.25
AGAIN_S = 1.0
GIVEN_UP_S = 3_600.0
_SEED = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\.seed", re.ASCII)
# What a peer, or this node itself, is writing.
_WRITTEN = re.compile(rf"({_SEED.pattern}|{voucher.NAME})\{PART}", re.ASCII)
# What we call a thing that was refused: when that was, in nanoseconds.
_ASIDE = re.compile(r"\d{20}", re.ASCII)
# What opening says of a link, of a socket or a device without a driver, of a folder, of what is somebody else's.
_NO_SEED = (errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR, errno.EACCES, errno.EPERM)
# The seed folder cannot be used.
UNUSABLE = "node.seeds"


class _Foreign(Exception):
    """Not to be opened; the reason is one of `wire.REFUSALS`."""


class Seedbed:
    """The folder at `folder`. `post` hears `Rejected` for each thing that was not taken, and a finding while the folder
    cannot be used."""

    def __init__(self, folder: Path, post: Callable[[Signal], None]):
        self.folder, self._post = folder, post
        self._task: asyncio.Task[None] | None = None
        self._trouble, self._stuck = "", ""

    async def open(self, arrived: Arrivals) -> None:
        """Make the folder, and take from it what is there and what comes, as soon as that can be."""
        await self.close()
        self._usable()
        self._task = asyncio.create_task(self._tend(arrived))

    async def close(self) -> None:
        """Take nothing more; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tend(self, arrived: Arrivals) -> None:
        """Until cancelled. A folder that was taken away is made again."""
        while True:
            if self._usable():
                try:
                    async for _ in watched(self.folder, lambda name: not name.endswith(PART)):
                        while await self._gather(arrived):
                            pass
                        self._well()
                except OSError as error:
                    self._ails(error.strerror or str(error))
            await asyncio.sleep(AGAIN_S)

    def _usable(self) -> bool:
        """Whether the folder is there and ours alone, made where it is missing."""
        try:
            _made(self.folder)
        except OSError as error:
            self._ails(error.strerror or str(error))
            return False
        return True

    def _well(self) -> None:
        """All that lay there was taken: whatever was wrong is over."""
        if self._trouble:
            log.info("the seed folder can be used again")
            self._post(Found(_finding(self.folder, self._trouble), present=False))
            self._trouble = ""

    def _ails(self, why: str) -> None:
        """Told once, however often it is met."""
        if why != self._trouble:
            self._trouble = why
            log.warning("the seed folder cannot be used: %s", why)
            self._post(Found(_finding(self.folder, why)))

    async def _gather(self, arrived: Arrivals) -> bool:
        """Take what is finished; whether to look again. Raises `OSError` where one could not be read now: it stays,
        and the others are taken."""
        names, foreign = await asyncio.to_thread(_look, self.folder)
        for name in foreign:
            await self._put_aside(name, "foreign")
        stays: OSError | None = None
        for name in names[:AT_ONCE]:
            try:
                data = await asyncio.to_thread(_read, self.folder, name)
            except FileNotFoundError:
                continue
            except _Foreign as error:
                await self._put_aside(name, str(error))
                continue
            except OSError as error:
                stays = error
                continue
            if not arrived(data, Channel.SEED, None):
                await asyncio.sleep(BUSY_S)
                return True
            _unlinked(self.folder, name)
        if stays is not None:
            raise stays
        return len(names) > AT_ONCE

    async def _put_aside(self, name: str, why: str) -> None:
        """Out of the way, unopened, and counted. What cannot be moved is met again at the next look."""
        try:
            await asyncio.to_thread(_moved, self.folder, name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.strerror != self._stuck:
                self._stuck = error.strerror or ""
                log.warning("a foreign file cannot be moved out of the seed folder: %s", error.strerror)
        self._post(Rejected(why, Channel.SEED))


@contextmanager
def _opened(name: Path | str, within: int | None = None) -> Iterator[int]:
    """A folder of this user's, to look names up in; never through a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(name, flags, dir_fd=within)
    try:
        if os.fstat(opened).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "it is no folder of this user's")
        yield opened
    finally:
        os.close(opened)


def _look(folder: Path) -> tuple[list[str], list[str]]:
    """The names of finished seeds, oldest first, and those that are foreign; what was given up is swept away."""
    names, foreign = [], []
    with _opened(folder) as bed, os.scandir(bed) as entries:
        for entry in entries:
            if _SEED.fullmatch(entry.name):
                names.append(entry.name)
            elif _WRITTEN.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _sweep(bed, entry)
            elif entry.name not in (REFUSED, voucher.NAME):
                foreign.append(entry.name)
    return sorted(names), foreign


def _moved(folder: Path, name: str) -> None:
    """Into `refused/`, whose oldest goes."""
    with _opened(folder) as bed:
        _make_room(bed)
        with _opened(REFUSED, bed) as aside:
            ours = sorted(one for one in os.listdir(aside) if _ASIDE.fullmatch(one))
            for oldest in ours[: -KEPT + 1]:
                _removed(aside, oldest)
            os.rename(name, _aside(), src_dir_fd=bed, dst_dir_fd=aside)


def _make_room(bed: int) -> None:
    """There is a `refused/`. What stands in its place and is no folder of ours is foreign itself: it is called
    otherwise, and met at the next look."""
    try:
        with _opened(REFUSED, bed):
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EPERM):
            raise
        os.rename(REFUSED, _aside(), src_dir_fd=bed, dst_dir_fd=bed)
    os.mkdir(REFUSED, 0o700, dir_fd=bed)


def _aside() -> str:
    return f"{time.time_ns():020d}"


def _removed(aside: int, name: str) -> None:
    """With all that is in it, and nothing that a link in it names."""
    with suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=aside, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=aside)
        else:
            os.unlink(name, dir_fd=aside)


def _unlinked(folder: Path, name: str) -> None:
    with suppress(FileNotFoundError), _opened(folder) as bed:
        os.unlink(name, dir_fd=bed)


def _read(folder: Path, name: str) -> bytes:
    """A finished seed. Raises `_Foreign` for what is no plain file of this user's, or larger than a delivery, and
    `OSError` where that cannot be told now: nobody's seed is foreign because this node has no descriptor left."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _opened(folder) as bed:
        try:
            file = os.open(name, flags, dir_fd=bed)
        except OSError as error:
            if error.errno not in _NO_SEED:
                raise
            raise _Foreign("foreign") from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise _Foreign("foreign")
        with open(file, "rb", closefd=False) as opened:
            # One more, for it may grow under our eyes.
            data = opened.read(CARRIAGE_LIMIT + 1) if found.st_size <= CARRIAGE_LIMIT else None
    finally:
        os.close(file)
    if data is None or len(data) > CARRIAGE_LIMIT:
        raise _Foreign("oversized")
    return data


def _made(folder: Path) -> None:
    """The folder, this user's alone. Raises `OSError`."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it is no folder of this user's")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _finding(folder: Path, why: str) -> Finding:
    step = f"peers cannot leave seeds here; see `ls -ld {folder}`"
    return Finding(UNUSABLE, "The seed folder cannot be used", Severity.HIGH, f"{folder}: {why}", next_step=step)


def _sweep(bed: int, entry: "os.DirEntry[str]") -> None:
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > GIVEN_UP_S:
            os.unlink(entry.name, dir_fd=bed)
