"""A disk that fails or holds still: nothing is acknowledged that it did not take, and the loop never waits for it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.store.test_crash import doomed, kept_whole, told

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the disk's stand-in is preloaded as on Linux"),
    pytest.mark.skipif(
        not shutil.which("cc"), reason="cc is missing, which builds the disk's stand-in: apt install gcc"
    ),
]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Path]:
    """`disk.c`, built."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    built = folder / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(built), str(source), "-ldl"], check=True)
    yield built
    shutil.rmtree(folder)


class Disk:
    """What the store's disk does from now on."""

    def __init__(self, home: Path, stand_in: Path):
        self._file = home / "disk"
        self.env = {"LD_PRELOAD": str(stand_in), "FLEET_DISK": str(self._file)}
        self.does("k")

    def does(self, letter: str) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(letter)
        os.replace(fresh, self._file)


def read_until(process: "subprocess.Popen[str]", start: str, times: int = 1) -> list[str]:
    """Lines of the process up to the n-th that starts so."""
    assert process.stdout
    lines: list[str] = []
    while times:
        line = process.stdout.readline()
        assert line, f"it ended before it said {start!r}: {lines[-3:]}"
        lines.append(line)
        times -= line.startswith(start)
    return lines


def test_after_a_failed_fsync_nothing_is_acknowledged(home: Path, stand_in: Path) -> None:
    """When an fsync fails the process ends; whatever was told, before or in its last breath, is there."""
    disk = Disk(home, stand_in)
    with doomed(home, 100_000, **disk.env) as process:
        lines = read_until(process, "told", 100)
        disk.does("e")
        assert process.stdout
        lines += process.stdout.readlines()
    assert process.returncode == 70
    assert "fatal store.io\n" in lines
    assert kept_whole(home) >= told("".join(lines))


def test_a_disk_that_holds_still(home: Path, stand_in: Path) -> None:
    """While an fsync takes long nobody is told and the loop goes on; what came meanwhile is one transaction."""
    disk = Disk(home, stand_in)
    with doomed(home, 3000, **disk.env) as process:
        read_until(process, "told", 100)
        disk.does("w")
        ticks = 0
        while ticks < 50:
            (line,) = read_until(process, "")
            ticks = ticks + 1 if line == "tick\n" else 0
        disk.does("k")
        lines = read_until(process, "finished")
    commits = next(int(line.split()[1]) for line in lines if line.startswith("commits"))
    assert commits < 3000 / 4
    assert kept_whole(home) == set(range(1, 3001))
