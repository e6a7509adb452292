"""`fleet restart`: a node that cannot be started again goes on, and one that is stopped is said to be."""

from pathlib import Path

import pytest

from engine.daemon import stopped
from engine.errors import FleetError
from engine.security import keyfile
from fleet_tui.cli import main
from fleet_tui.commands import node


@pytest.fixture
def running(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A home with a key, where a node seems to run; what was done to it."""
    keyfile.load(home)
    done: list[str] = []

    def stop(call: object) -> tuple[int, int]:
        done.append("stopped")
        stopped.mark(home)
        return 1, 0

    monkeypatch.setattr(node, "holder", lambda home: None if done else 1)
    monkeypatch.setattr(node, "_stopped", stop)
    return done


@pytest.mark.parametrize("broken", ["config.toml", "device.key"])
def test_a_node_that_could_not_start_again_is_not_stopped(home: Path, running: list[str], broken: str) -> None:
    """A typo in the configuration, or a key that others can read: the same error as of a start, and the node lives."""
    if broken == "config.toml":
        (home / broken).write_text("[net]\nhttp_prt = 1\n")
    else:
        (home / broken).chmod(0o644)
    assert main(["--home", str(home), "restart"]) != 0
    assert running == []


def test_a_start_that_fails_all_the_same_is_told(
    home: Path, running: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says that the node is stopped, and no mark keeps a peer from starting it."""

    def failed(home: Path, run_node: object) -> dict[str, str]:
        parts = {"code": "disk.full", "title": "No room", "detail": "0 bytes", "next_step": "make room"}
        return parts | {"fault": "WORLD"}

    monkeypatch.setattr(node, "launch", failed)
    assert main(["--home", str(home), "restart"]) == 1
    assert running == ["stopped"]
    assert capsys.readouterr().err == "fleet: No room: 0 bytes; the node is stopped\n  make room\n"
    assert not stopped.is_marked(home)


def test_a_check_makes_nothing(home: Path) -> None:
    """Where there is no key yet the start would make one; where there is another's, it is refused."""
    keyfile.check(home)
    assert list(home.iterdir()) == []
    with pytest.raises(FleetError) as caught:
        keyfile.check(home, home / "elsewhere.key")
    assert caught.value.code == "node.key"
