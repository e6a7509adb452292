"""The seed folder: where peers leave sealed frames as files, and what is taken from it (edge).

    <ulid>.seed.part   somebody is writing: left alone, and swept away when it was given up an hour ago
    voucher            our own word for whoever wants to leave something here (`ssh.voucher`)
    <ulid>.seed        ours, a plain file, not too large: to the engine, and removed once it was taken
    anything else      a link, another's file, another name, too large: to `refused/`, counted, never opened

The folder is this user's alone (0700). A link is moved as a link and nothing behind it is ever touched; a name is one
component as the folder lists it, so there is no path to be played with. While the node is busy, files wait.
"""

import asyncio
import logging
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import CARRIAGE_LIMIT
from engine.signals import Rejected, Signal
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


class _Foreign(Exception):
    """Not to be opened; the reason is one of `wire.REFUSALS`."""


class Seedbed:
    """The folder at `folder`. `post` hears `Rejected` for each thing that was not taken."""

    def __init__(self, folder: Path, post: Callable[[Signal], None]):
        self.folder, self._post = folder, post
        self._task: asyncio.Task[None] | None = None

    async def open(self, arrived: Arrivals) -> None:
        """Make the folder, and take from it what is there and what comes. Raises `FleetError` `node.seeds`."""
        await self.close()
        _made(self.folder)
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
            try:
                _made(self.folder)
                async for _ in watched(self.folder, lambda name: not name.endswith(PART)):
                    while await self._gather(arrived):
                        pass
            except (OSError, FleetError) as error:
                log.warning("the seed folder cannot be watched: %s", error)
            await asyncio.sleep(AGAIN_S)

    async def _gather(self, arrived: Arrivals) -> bool:
        """Take what is finished; whether to look again."""
        names, foreign = await asyncio.to_thread(_look, self.folder)
        for name in foreign:
            await self._put_aside(name, "foreign")
        for name in names[:AT_ONCE]:
            try:
                data = await asyncio.to_thread(_read, self.folder / name)
            except FileNotFoundError:
                continue
            except _Foreign as error:
                await self._put_aside(name, str(error))
                continue
            if not arrived(data, Channel.SEED, None):
                await asyncio.sleep(BUSY_S)
                return True
            (self.folder / name).unlink(missing_ok=True)
        return len(names) > AT_ONCE

    async def _put_aside(self, name: str, why: str) -> None:
        """Out of the way, unopened, and counted. What cannot be moved is met again at the next look."""
        try:
            await asyncio.to_thread(_moved, self.folder, name)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("a foreign file cannot be moved out of the seed folder: %s", error.strerror)
        self._post(Rejected(why, Channel.SEED))


def _look(folder: Path) -> tuple[list[str], list[str]]:
    """The names of finished seeds, oldest first, and those that are foreign; what was given up is swept away."""
    names, foreign = [], []
    for entry in os.scandir(folder):
        if _SEED.fullmatch(entry.name):
            names.append(entry.name)
        elif entry.name.endswith(PART):
            _sweep(entry)
        elif entry.name not in (REFUSED, voucher.NAME):
            foreign.append(entry.name)
    return sorted(names), foreign


def _moved(folder: Path, name: str) -> None:
    aside = folder / REFUSED
    aside.mkdir(mode=0o700, exist_ok=True)
    for oldest in sorted(os.listdir(aside))[: -KEPT + 1]:
        _remove(aside / oldest)
    os.rename(folder / name, aside / f"{time.time_ns():020d}")


def _read(path: Path) -> bytes:
    """A finished seed. Raises `_Foreign` for what is no plain file of this user's, or larger than a delivery."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        raise _Foreign("foreign") from None  # ELOOP: a link; ENXIO: a socket
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
    """The folder, this user's alone."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(0, "it is no folder of this user's")
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        step = f"peers cannot leave seeds here; see `ls -ld {folder}`"
        why = f"{folder}: {error.strerror}"
        raise FleetError("node.seeds", "The seed folder cannot be used", why, step, Fault.WORLD) from None


def _sweep(entry: "os.DirEntry[str]") -> None:
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > GIVEN_UP_S:
            _remove(Path(entry.path))


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
