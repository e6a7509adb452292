"""Starts that go wrong: each says what happened, why, and the next step, with the exit code of the specification, and
leaves the home as it was."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from engine.security import keyfile
from tests.e2e.node import Node
from tests.e2e.until import until

pytestmark = pytest.mark.slow

USUAL_PORTS = (4222, 6222, 7422, 8855, 8856)
USUAL_GOSSIP = 8857
NOBODY = 65_534


def test_an_empty_home_becomes_a_node(lone: Node) -> None:
    """The first start makes keys, a fleet of one and everything else; the second `up` finds it running."""
    for argv in (("status",), ("send", "anybody", "hello"), ("inbox",), ("down",)):
        ran = lone.fleet(*argv)
        assert ran.status == 3
        assert ran.error["code"] == "node.absent"
        assert ran.error["next_step"].endswith(" up`")
    first = lone.up()
    assert first["fleet"]["chief"] == "lone"
    assert first["broker"]["state"] == "up"
    assert first["peers"] == first["findings"] == []
    assert lone.up()["node"]["pid"] == first["node"]["pid"]
    assert {path.stat().st_mode & 0o777 for path in (lone.home / "device.key", lone.home / "fleet.db")} == {0o600}
    alone = lone.fleet("send", "anybody", "hello")
    assert alone.status == 1
    assert "fleet invite" in alone.error["next_step"]
    lone.down()


def loosen(key: Path) -> None:
    key.chmod(0o644)


def garble(key: Path) -> None:
    key.write_bytes(os.urandom(64))


def cut(key: Path) -> None:
    key.write_text(key.read_text()[:30])


def empty(key: Path) -> None:
    key.write_text("")


def pipe(key: Path) -> None:
    key.unlink()
    os.mkfifo(key, 0o600)


def folder(key: Path) -> None:
    key.unlink()
    key.mkdir()


@pytest.mark.parametrize("spoil", [loosen, garble, cut, empty, pipe, folder])
def test_a_key_that_cannot_be_read(lone: Node, spoil: Callable[[Path], None]) -> None:
    """Never another key in its place: the node does not start, names the file and what to do, and touches nothing."""
    lone.up()
    lone.down()
    key = lone.home / "device.key"
    spoil(key)
    before = key.lstat()
    ran = lone.fleet("up")
    assert ran.status == 1
    assert ran.error["code"] == ("node.key_mode" if spoil is loosen else "node.key")
    assert str(key) in ran.error["detail"]
    assert ran.error["fault"] == "WORLD"
    after = key.lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert lone.pid is None
    assert lone.brokers() == []
    if spoil is loosen:
        key.chmod(0o600)
        lone.up()


def test_a_key_of_another_node(lone: Node, home: Path) -> None:
    """Another's in its place, or none: the node does not start as a stranger in its own fleet, and makes no key. With
    the home put aside, as the error says, it is a new node."""
    me = lone.up()["node"]["id"]
    lone.down()
    key = lone.home / "device.key"
    keyfile.load(home)
    (home / "device.key").replace(key)
    ran = lone.fleet("up")
    assert (ran.status, ran.error["code"], ran.error["title"]) == (1, "node.key", "The device key is another node's")
    key.unlink()
    ran = lone.fleet("up")
    assert (ran.status, ran.error["code"]) == (1, "node.key")
    assert not key.exists()
    assert lone.pid is None
    aside = next(part for part in ran.error["next_step"].split("`") if part.startswith("mv "))
    subprocess.run(aside, shell=True, check=True)
    try:
        assert lone.up()["node"]["id"] != me
    finally:
        shutil.rmtree(f"{lone.home}.aside")


@pytest.fixture
def mortal() -> Iterator[Node]:
    """A node of a user who is not root, for root reads and writes whatever the mode says."""
    if os.geteuid() != 0:
        node = Node("mortal")
    else:
        node = Node("mortal", inside=("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"))
        os.chown(node.home, NOBODY, NOBODY)
        tried = subprocess.run([*node.inside, sys.executable, "-c", "import msgspec"], capture_output=True)
        if tried.returncode:
            node.end()
            pytest.skip("this Python can be run by root alone")
    yield node
    node.end()


@pytest.mark.needs("setpriv")
def test_a_key_without_any_mode(mortal: Node) -> None:
    """Mode 0000: an error with the reason of the machine."""
    mortal.up()
    mortal.down()
    (mortal.home / "device.key").chmod(0)
    ran = mortal.fleet("up")
    assert ran.status == 1
    assert ran.error["code"] == "node.key"
    assert "Permission denied" in ran.error["detail"]


@pytest.mark.needs("setpriv")
def test_a_home_that_may_not_be_written(mortal: Node) -> None:
    """Mode 0500: the home is named, and what to look at; nothing is made in it, and with the mode back it is a home."""
    mortal.home.chmod(0o500)
    ran = mortal.fleet("up")
    assert ran.status == 1
    assert ran.error["code"] in ("home.unwritable", "node.home")
    assert str(mortal.home) in ran.error["detail"] + ran.error["next_step"]
    assert list(mortal.home.iterdir()) == []
    mortal.home.chmod(0o700)
    mortal.up()


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_a_home_of_another_user(mortal: Node) -> None:
    """A home that belongs to somebody else is not used, whatever its mode."""
    os.chown(mortal.home, 0, 0)
    mortal.home.chmod(0o755)
    ran = mortal.fleet("up")
    assert ran.status == 1
    assert str(mortal.home) in ran.error["detail"]
    assert mortal.fleet("status").status == 3


def test_a_home_that_others_can_read(lone: Node) -> None:
    """A home of mode 0755 is refused with the `chmod` that mends it."""
    lone.home.chmod(0o755)
    ran = lone.fleet("up")
    assert ran.status == 1
    assert ran.error["next_step"] == f"chmod 700 {lone.home}"


GARBAGE: dict[str, bytes] = {
    "no toml": b"this is [not toml",
    "no text": bytes(range(128, 255)),
    "no such key": b"[net]\nhttp_prot = 1\n",
    "no such section": b"[nett]\nhttp_port = 1\n",
    "no number": b'[net]\nhttp_port = "many"\n',
    "no port": b"[net]\nhttp_port = 99999\n",
    "no size": b"[store]\nballast_mb = -1\n",
    "no time": b"[membership]\nperiod_s = 0\n",
    "no preset": b'preset = "moon"\n',
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_garbage_configuration(lone: Node, what: str) -> None:
    """The file is named and what is wrong in it; exit 2, as for every mistake in what was asked; `config check` says
    the same without starting anything; with the file mended the node starts."""
    path = lone.home / "config.toml"
    path.write_bytes(GARBAGE[what])
    for argv in (("up",), ("config", "check")):
        ran = lone.fleet(*argv)
        assert ran.status == 2
        assert ran.error["code"] == "usage.config"
        assert str(path) in ran.error["detail"]
    assert lone.pid is None
    path.unlink()
    assert lone.up()["node"]["name"] == "lone"


def test_every_usual_port_is_taken(lone: Node) -> None:
    """A node finds other ports, tells them, and works."""
    with _all_taken():
        status = lone.up(env={"FLEET_API_TCP": "true"})
        assert status["broker"]["state"] == "up"
        assert status["api"]["tcp"] not in (None, *USUAL_PORTS)
        assert int(status["broker"]["url"].rpartition(":")[2]) not in USUAL_PORTS
        assert lone.port() not in USUAL_PORTS
        assert (lone.home / "api.port").read_text().strip() == str(status["api"]["tcp"])
        code = lone.must("invite")["code"]
        other = Node("other")
        try:
            other.up()
            other.must("join", code)
            until(lambda: lone.sees(other) and other.sees(lone), "both to be well")
            assert lone.send("other", "hello")["rung"] == "on_host"
        finally:
            other.end()


@contextmanager
def _all_taken() -> Iterator[None]:
    """Every port that a node would take first is held by somebody else; one that was taken already is as good."""
    doors = [(port, socket.SOCK_STREAM) for port in USUAL_PORTS] + [(USUAL_GOSSIP, socket.SOCK_DGRAM)]
    with ExitStack() as held:
        for port, kind in doors:
            door = held.enter_context(socket.socket(socket.AF_INET, kind))
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            with suppress(OSError):
                door.bind(("127.0.0.1", port))
                if kind == socket.SOCK_STREAM:
                    door.listen()
        yield


def test_an_address_that_is_not_ours(lone: Node) -> None:
    """`net.listen` on an address of another machine: the error names it and the setting; no broker is left behind."""
    ran = lone.fleet("up", env={"FLEET_NET_LISTEN": "203.0.113.9"})
    assert ran.status == 1
    assert "203.0.113.9" in ran.error["detail"]
    assert "net.listen" in ran.error["next_step"]
    until(lambda: not lone.brokers(), "no broker")


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    """A file where a home should be."""
    path = tmp_path / "file"
    path.write_text("not a folder")
    return path


def test_a_home_that_cannot_be_one(spot: Path) -> None:
    """A home under /proc, or one that is a file: the error names it, and nothing is made."""
    for home in (Path("/proc/nowhere"), spot):
        ran = Node("lone", home=home).fleet("up")
        assert ran.status == 1
        assert ran.error["code"] == "home.unwritable"
        assert str(home) in ran.error["detail"]
    assert spot.read_text() == "not a folder"


def test_a_second_node_in_one_home(lone: Node) -> None:
    """One node a home: a second process is refused and the first goes on."""
    pid = lone.up()["node"]["pid"]
    second = lone.spawn("--daemon", "--json")
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "home.taken" in out
    assert lone.status()["node"]["pid"] == pid


def test_a_damaged_database(lone: Node) -> None:
    """A store that is none: put aside, never overwritten, said as a finding; the node runs."""
    lone.up()
    lone.down()
    damaged = os.urandom(8_192)
    (lone.home / "fleet.db").write_bytes(damaged)
    lone.up()
    finding = lone.findings()["store.quarantined"]
    assert finding["severity"] == "critical"
    assert finding["next_step"]
    aside = list(lone.home.glob("fleet.db.damaged-*"))
    assert [path.read_bytes() for path in aside if path.suffix not in (".shm", ".wal")] == [damaged]


def test_a_home_of_great_depth(lone: Node) -> None:
    """A home whose sockets' path would be too long for the system works as any other."""
    deep = Node("deep", home=lone.home / ("x" * 90) / ("y" * 90))
    try:
        deep.up()
        assert deep.status()["node"]["name"] == "deep"
    finally:
        deep.end()


def test_plain_errors_for_people(lone: Node) -> None:
    """Without --json: nothing on stdout, what and why on the first line of stderr, the next step on the second."""
    process = lone.spawn("status")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("fleet: No node is running: ")
    assert second.strip() == f"start it with `fleet --home {lone.home} up`"
