"""One node a home (edge).

A node holds an exclusive `flock` on `<home>/node.lock` for as long as it lives. The kernel drops it whichever way the
node ends, so a stale file is harmless: the pid inside only means something while the lock is held. The file is never
removed, because a second node could then lock another file of the same name.

While a node claims its home it also holds a lock on the home folder itself, *the gate*, until its socket listens. So
whoever finds the home taken may connect at once, and whoever only looks (`holder`) never makes a starting node fail.
"""

import fcntl
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.home import LOCK, aside, obstacles


class HomeLock:
    """A home that is ours until `release` or the end of this process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Let another node have the home; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextmanager
def claim(home: Path) -> Iterator[HomeLock]:
    """Take the home (made with mode 0700 if need be). The gate is shut inside the `with`, the lock stays after it.

    An exception inside gives the home back. Raises `FleetError`: `home.taken` by another node, `home.unwritable`,
    or `home.kind` where something of another kind lies in the place of what a start needs.
    """
    with _gate(home, make=True):
        check(home)
        lock = _locked(home)
        try:
            yield lock
        except BaseException:
            lock.release()
            raise


def check(home: Path) -> None:
    """Whether a start can use what lies in the home. Raises `FleetError` `home.kind`."""
    for path, why in obstacles(home):
        raise _misplaced(path, why)


def holder(home: Path) -> int | None:
    """The pid of the node that lives in `home`, or None."""
    if not (home / LOCK).exists():
        return None
    with _gate(home, make=False):
        fd = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.pread(fd, 32, 0))
        finally:
            os.close(fd)
    return None


def await_end(pid: int, timeout_s: float) -> bool:
    """Wait until process `pid` is gone, and its locks with it. False when it still lives after `timeout_s`.

    A process that has ended and that nobody has reaped yet is gone: in a container without an init nobody ever does.
    """
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        return _await_end_elsewhere(pid, timeout_s)
    try:
        return bool(select.select([end], [], [], timeout_s)[0])
    finally:
        os.close(end)


def _await_end_elsewhere(pid: int, timeout_s: float) -> bool:
    """The same where the system has no pidfd (macOS, or a sandbox that refuses it)."""
    import psutil  # 20 ms, and only here

    try:
        psutil.Process(pid).wait(timeout_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def _locked(home: Path) -> HomeLock:
    try:
        fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(home, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 32, 0).decode().strip()
        os.close(fd)
        raise _taken(home, pid) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return HomeLock(fd)


@contextmanager
def _gate(home: Path, *, make: bool) -> Iterator[None]:
    try:
        if make:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(home, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _misplaced(path: Path, why: str) -> Exception:
    from engine.errors import Fault, FleetError

    return FleetError("home.kind", "Something else lies where this belongs", why, aside(path), Fault.WORLD)


def _taken(home: Path, pid: str) -> Exception:
    from engine.errors import Fault, FleetError  # the stub starts without msgspec

    return FleetError(
        "home.taken",
        "A node already lives here",
        f"process {pid} holds {home}",
        "`fleet` attaches to it, `fleet down` stops it, `--home` names another home",
        Fault.THEIRS,
    )


def _unwritable(home: Path, error: OSError) -> Exception:
    from engine.errors import Fault, FleetError

    return FleetError(
        "home.unwritable",
        "The home cannot be used",
        f"{home}: {error.strerror}",
        f"see who owns it with `ls -ld {home}`, or choose another with --home",
        Fault.WORLD,
    )
