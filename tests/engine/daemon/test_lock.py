"""`engine/daemon/lock.py`: one node a home."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.daemon import lock
from engine.errors import FleetError
from engine.home import LOCK
from tests.house import ROOT

KEEPER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from engine.daemon import lock\n"
    "with lock.claim(Path(sys.argv[2])) as ours: pass\n"
    "print('mine', flush=True); sys.stdin.readline()"
)

CLAIMER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from engine.daemon import lock\n"
    "for _ in range(300):\n"
    "    with lock.claim(Path(sys.argv[2])) as ours: pass\n"
    "    ours.release()\n"
    "print('300 claims')"
)


@contextmanager
def keeper(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `home` until its standard input ends."""
    command = [sys.executable, "-c", KEEPER, str(ROOT), str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


def test_a_home_has_one_node(home: Path) -> None:
    """A second claim is refused, names the process that holds the home, and the first goes on holding it."""
    with keeper(home) as other:
        for _ in range(2):
            with pytest.raises(FleetError) as refused, lock.claim(home):
                pass
            assert refused.value.code == "home.taken"
            assert str(other.pid) in refused.value.detail
        assert lock.holder(home) == other.pid


def test_a_killed_node_leaves_its_home_free(home: Path) -> None:
    """After kill -9 the file with the old pid is still there, means nothing, and the home can be claimed."""
    with keeper(home) as other:
        other.kill()
        assert lock.await_end(other.pid, 30)
        assert (home / LOCK).read_text().strip() == str(other.pid)
        assert lock.holder(home) is None
        with lock.claim(home) as ours:
            pass
        assert lock.holder(home) == os.getpid()
        ours.release()


def test_an_end_is_seen_before_anybody_reaps_it(home: Path) -> None:
    """A process that has ended is gone, although its parent has not asked yet; one that lives is not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    assert not lock.await_end(child, 0.01)
    os.close(writer)
    assert lock.await_end(child, 30)
    assert os.waitpid(child, os.WNOHANG)[0] == child
    os.close(reader)


def test_a_stale_pid_is_harmless(home: Path) -> None:
    """A file naming a living process that does not hold the lock keeps nobody out."""
    (home / LOCK).write_text("1\n")
    assert lock.holder(home) is None
    with lock.claim(home) as ours:
        pass
    assert (home / LOCK).read_text() == f"{os.getpid()}\n"
    ours.release()


def test_release_gives_the_home_back_once(home: Path) -> None:
    """Releasing twice closes nothing that is not ours."""
    with lock.claim(home) as ours:
        pass
    ours.release()
    reused = os.open(os.devnull, os.O_RDONLY)
    ours.release()
    os.close(reused)
    assert lock.holder(home) is None


def test_a_failed_start_gives_the_home_back(home: Path) -> None:
    """An exception while the gate is shut, such as a socket that cannot listen, leaves the home free."""

    def start() -> None:
        with lock.claim(home):
            raise OSError("no socket")

    with pytest.raises(OSError, match="no socket"):
        start()
    assert lock.holder(home) is None


def test_a_home_is_made_private(home: Path) -> None:
    """A home that does not exist is made, for this user alone; looking for its holder makes nothing."""
    deep = home / "a" / "b"
    assert lock.holder(deep) is None
    assert not deep.exists()
    with lock.claim(deep) as ours:
        pass
    assert deep.stat().st_mode & 0o077 == 0
    ours.release()


def test_a_home_that_cannot_be_used_says_so(home: Path) -> None:
    """A file where the home should be is an error with its reason, not a traceback."""
    (home / "file").write_text("")
    with pytest.raises(FleetError) as refused, lock.claim(home / "file"):
        pass
    assert refused.value.code == "home.unwritable"
    assert "ls -ld" in refused.value.next_step


def test_a_looker_never_makes_a_claim_fail(home: Path) -> None:
    """`holder` in a tight loop beside another process's claims: every claim succeeds."""
    command = [sys.executable, "-c", CLAIMER, str(ROOT), str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            lock.holder(home)
        assert process.stdout is not None
        assert process.stdout.read() == "300 claims\n"
