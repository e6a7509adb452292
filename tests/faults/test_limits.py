"""A node that is given too little: descriptors, memory, processor (faults.md, row 59)."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.node import Node, living, together
from tests.e2e.until import until
from tests.faults.books import steady
from tests.faults.scale import scaled

pytestmark = [pytest.mark.slow]

GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def duo() -> Iterator[list[Node]]:
    """Two nodes on loopback."""
    with living(Node("atlas"), Node("birch")) as nodes:
        yield nodes


@contextmanager
def few_files(pid: int, count: int) -> Iterator[None]:
    """A process that may open only so many descriptors inside the `with`."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def confined(pids: list[int], controller: str, file: str, value: int) -> Iterator[None]:
    """Processes in a control group with one limit inside the `with`; skips where groups cannot be made."""
    group = GROUPS / controller / f"flt{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(value))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"needs a control group for {controller}, and making one is not possible here: {error}")
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                (GROUPS / controller / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def test_hardly_any_descriptors(duo: list[Node]) -> None:
    """A node that may open none beyond those it has: it goes on over what is open, loses nothing, and takes new
    connections again as soon as it may."""
    atlas, birch = duo
    pid = birch.pid
    assert pid
    with steady(duo) as books:
        with few_files(pid, len(os.listdir(f"/proc/{pid}/fd"))):
            birch.kill_broker()
            ids = [*books.bulk(atlas, birch, 200)]
            for channel in ("http", "nats"):
                atlas.api.post("/probe", {"name": "birch", "channel": channel})
        books.proved(ids)
    together(duo)


@pytest.mark.needs_root
def test_hardly_any_memory(duo: list[Node]) -> None:
    """With 150 MB for a node and its broker a burst of large messages arrives, and neither is killed."""
    atlas, birch = duo
    pids = [pid for pid in (birch.pid, birch.broker_pid) if pid]
    with steady(duo) as books, confined(pids, "memory", "memory.limit_in_bytes", 150 << 20):
        for _ in range(scaled(2, 20)):
            books.proved(books.bulk(atlas, birch, 200, "x" * 20_000))
    assert [birch.pid, birch.broker_pid] == pids


@pytest.mark.needs_root
def test_hardly_any_processor(duo: list[Node]) -> None:
    """With a tenth of a core for a node and its broker mail comes late and comes, once, and the node, which hears late
    itself, calls nobody gone."""
    atlas, birch = duo
    pids = [pid for pid in (birch.pid, birch.broker_pid) if pid]
    with steady(duo) as books:
        with confined(pids, "cpu", "cpu.cfs_quota_us", 10_000):
            ids = books.bulk(atlas, birch, 100) + books.bulk(birch, atlas, 20)
            books.proved(ids)
            standing = birch.peer("atlas")["standing"]
        assert standing in ("ALIVE", "SUSPECT")
    until(lambda: birch.peer("atlas")["standing"] == "ALIVE", "birch to be sure again")
