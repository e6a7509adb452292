"""A disk that is really full: nothing told is lost, nothing untold is forgotten, and it goes on by itself."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config import StoreConfig
from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.model.envelope import Rung
from engine.model.records import AddOutbox, MoveRung
from engine.store.space import MB, Ballast
from engine.store.store import Store
from tests.engine.store.conftest import NOW_MS, Ears
from tests.engine.store.records import letter
from tests.engine.store.test_store import kept_ids

pytestmark = pytest.mark.slow

SMALL = StoreConfig(ballast_mb=1, resume_mb=1)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"needs a small disk, and mounting one is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def fill_up(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "hog").open("ab", buffering=0) as target:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while target.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def empty(disk: Path) -> None:
    """Give back what `fill_up` took."""
    (disk / "hog").unlink()


async def until(true: Callable[[], bool]) -> None:
    """Wait for something the store's thread does; the test's own time limit is the limit."""
    while not true():
        await asyncio.sleep(0.01)


async def until_full(store: Store, ears: Ears) -> None:
    """Send until the store says that the disk is full."""
    for number in range(1, 200):
        await store.submit((AddOutbox(letter(number, body=bytes(1000))),))
        if ears.heard:
            return


def wait_for_ballast(disk: Path) -> None:
    """It is taken in the first quiet moment."""
    while not Ballast(disk / "ballast", 1).held:
        time.sleep(0.01)


@pytest.fixture
def store(disk: Path, ears: Ears) -> Iterator[Store]:
    """A started store on the small disk, its ballast in place."""
    store = Store(disk, link, SMALL)
    store.open(NOW_MS)
    store.start(ears.alarms())
    wait_for_ballast(disk)
    yield store
    store.close()


async def test_the_ballast_carries_what_was_under_way(store: Store, disk: Path, ears: Ears) -> None:
    """When the disk fills up, the ballast is given back and the same transaction succeeds; the alarm is raised once."""
    fill_up(disk)
    await until_full(store, ears)
    assert ears.heard == ["full"]
    assert store.full
    assert not (disk / "ballast").exists()
    for number in range(200, 240):
        await store.submit((AddOutbox(letter(number)),))
    await store.submit([MoveRung(f"ID{number:08}", Rung.ON_HOST, 1) for number in range(1, 240)])
    assert ears.heard == ["full"]


async def test_it_waits_without_a_word_and_goes_on(store: Store, disk: Path, ears: Ears) -> None:
    """With the ballast used up as well, what is submitted is neither told nor lost; with room again it is kept, in its
    order, the ballast is made anew, and that is said."""
    fill_up(disk)
    await until_full(store, ears)
    before = len(kept_ids(store.path))
    fill_up(disk)
    told: list[int] = []

    async def caller(number: int) -> None:
        await store.submit((AddOutbox(letter(number, body=bytes(20_000))),))
        told.append(number)

    callers = [asyncio.ensure_future(caller(number)) for number in range(1001, 1031)]
    await asyncio.sleep(0.3)
    assert len(kept_ids(store.path)) - before == len(told) < 30

    empty(disk)
    await asyncio.gather(*callers)
    assert told == list(range(1001, 1031))
    await until(lambda: ears.heard[-1] == "freed")
    assert ears.heard == ["full", "freed"]
    assert Ballast(disk / "ballast", 1).held


async def test_stopping_on_a_full_disk_refuses(store: Store, disk: Path, ears: Ears) -> None:
    """A node that stops before there is room says to each caller that its message was not kept."""
    fill_up(disk)
    futures = [store.submit((AddOutbox(letter(number, body=bytes(50_000))),)) for number in range(1, 101)]
    await until(lambda: "full" in ears.heard)
    fill_up(disk)
    await asyncio.to_thread(store.close)
    found = await asyncio.gather(*futures, return_exceptions=True)
    refused = [error for error in found if isinstance(error, FleetError)]
    assert {error.code for error in refused} <= {"store.full", "store.closed"}
    assert refused
    kept = found.count(None)
    assert found[:kept] == [None] * kept
    assert kept_ids(store.path) == [f"ID{number:08}" for number in range(1, kept + 1)]


def test_a_start_on_a_full_disk(disk: Path) -> None:
    """The ballast of the last run lets the node start; without one the start is refused with what to do."""
    first = Store(disk, link, SMALL)
    first.open(NOW_MS)
    first.start(Ears().alarms())
    wait_for_ballast(disk)
    first.close()
    fill_up(disk)
    second = Store(disk, link, SMALL)
    assert second.open(NOW_MS).birth.boots == 2
    second.close()
    fill_up(disk)
    third = Store(disk, link, SMALL)
    with pytest.raises(FleetError) as refused:
        third.open(NOW_MS)
    assert refused.value.code == "store.full"


def test_the_room_is_told(disk: Path) -> None:
    """Free megabytes are those this user may write; a ballast that does not fit leaves nothing behind."""
    ballast = Ballast(disk / "ballast", 8)
    assert ballast.free_mb() == 3
    with pytest.raises(OSError, match="No space"):
        ballast.make()
    assert os.listdir(disk) == []
    assert ballast.free_mb() == 3
    assert MB == 1_048_576
