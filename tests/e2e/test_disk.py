"""A disk that is really full: new mail is refused with the reason, mail under way goes on, and it resumes by itself."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.node import Node, join, start, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow

Disk = Path


def mounted(size: str) -> Iterator[Path]:
    """A file system of that size, or a skip with the reason."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"needs a small disk, and mounting one is not permitted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def disk() -> Iterator[Path]:
    """3 MB."""
    yield from mounted("3m")


@pytest.fixture
def crumb() -> Iterator[Path]:
    """Too small for a node."""
    yield from mounted("64k")


@pytest.fixture
def pair(disk: Path) -> Iterator[tuple[Node, Node]]:
    """A node whose home is the small disk, with the usual settings, and one with room."""
    tight, roomy = Node("tight", home=disk), Node("roomy")
    try:
        start([tight, roomy])
        join([roomy, tight])
        yield tight, roomy
    finally:
        pid = tight.pid
        roomy.end()
        tight.end()
        until(lambda: pid is None or tight.pid is None, "the disk to be let go")


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return path


def test_a_full_disk_refuses_and_resumes(pair: tuple[Node, Node], disk: Path) -> None:
    """`send` fails with `store.full` and what to do, nothing is half accepted; what others send waits with them, and
    the room that was kept settles what is under way; a finding stands until there is room, and then everything goes on
    without anybody's help."""
    tight, roomy = pair
    until(lambda: (disk / "ballast").exists(), "the reserve to be taken")
    filler = fill(disk)
    promised: list[str] = []
    while not (ran := tight.fleet("send", "roomy", f"{len(promised)} " + "x" * 20_000)).status:
        promised.append(ran.value["id"])
        assert len(promised) < 100
    assert ran.status == 1
    assert ran.error["code"] == "store.full"
    assert "free" in ran.error["next_step"]
    finding = tight.findings()["store.full"]
    assert finding["severity"] == "critical"
    assert tight.status()["outbox"]["full"] is True
    assert tight.metric("fleet_store_full") == 1

    waiting = roomy.post("tight", "to the full one")["id"]
    until(lambda: "its disk is full" in str(roomy.api.why(waiting)["tries"]), "roomy to be told why it waits")
    assert "to the full one" not in tight.bodies()
    for msg_id in promised:
        until(lambda msg_id=msg_id: tight.rung(msg_id) == "on_host", "what was promised")

    filler.unlink()
    until(lambda: not tight.status()["outbox"]["full"], "it to resume")
    assert "store.full" not in tight.findings()
    assert tight.send("roomy", "resumed")["rung"] == "on_host"
    until(lambda: roomy.rung(waiting) == "on_host", "what waited at its sender")
    assert tight.bodies()["to the full one"] == 1
    assert set(roomy.bodies().values()) == {1}
    assert len(roomy.bodies()) == len(promised) + 1


def test_a_node_killed_on_a_full_disk(pair: tuple[Node, Node], disk: Path) -> None:
    """kill -9 while the disk is full: the node starts again on the full disk, or says that it is full; with room again
    nothing is missing."""
    tight, roomy = pair
    until(lambda: (disk / "ballast").exists(), "the reserve to be taken")
    promised = tight.post("roomy", "before it was full")["id"]
    filler = fill(disk)
    tight.kill()
    waiting = [roomy.post("tight", f"meanwhile {number}")["id"] for number in range(5)]
    ran = tight.fleet("up")
    assert ran.status == 0 or ran.error["code"] in ("store.full", "node.home", "world.os"), ran
    filler.unlink()
    if ran.status:
        tight.up()
    together([roomy, tight])
    until(lambda: all(roomy.rung(one) == "on_host" for one in waiting), "what waited")
    until(lambda: tight.rung(promised) == "on_host", "what was promised")
    assert roomy.bodies() == {"before it was full": 1}
    assert tight.bodies() == {f"meanwhile {number}": 1 for number in range(5)}


def test_a_disk_that_cannot_be_written(disk: Path) -> None:
    """A home on a read-only disk, as it is after a file system error: said with its name, and with the disk writable
    again everything is there."""
    node = Node("fixed", home=disk)
    try:
        first = node.up()["node"]["id"]
        node.down()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ran = node.fleet("up")
        assert ran.status == 1
        assert ran.error["code"] in ("home.unwritable", "node.home", "world.os")
        assert str(disk) in ran.error["detail"]
        assert node.pid is None
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert node.up()["node"]["id"] == first
        node.down()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=False)
        node.end()


def test_no_room_for_a_node_at_all(crumb: Path) -> None:
    """A first start without room fails with the reason and the next step, and leaves no process."""
    node = Node("crumb", home=crumb)
    try:
        ran = node.fleet("up")
        assert ran.status == 1
        assert ran.error["code"] in ("store.full", "world.os")
        assert ran.error["fault"] == "WORLD"
        assert node.pid is None
        assert node.brokers() == []
    finally:
        node.end()
