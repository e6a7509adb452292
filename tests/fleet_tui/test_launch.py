"""`fleet_tui/launch.py`: a node in the background, from a program of one thread."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.daemon import lock
from tests.fleet_tui.tiny import ask
from tests.house import ROOT

LAUNCH = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fleet_tui.launch import launch
from tests.fleet_tui import tiny
def run_node(home, ready):
    return getattr(tiny, sys.argv[3])(home, ready)
print(json.dumps(launch(Path(sys.argv[2]), run_node)))
"""


def launched(home: Path, run_node: str = "run_node") -> object:
    """What `launch` returns in a process of its own; it ends although the node goes on."""
    command = [sys.executable, "-c", LAUNCH, str(ROOT), str(home), run_node]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def stop(home: Path) -> None:
    """Ask the node to drain, and see it gone."""
    pid = lock.holder(home)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert lock.await_end(pid, 30)


@pytest.mark.slow
def test_a_node_is_ready_when_launch_returns(home: Path) -> None:
    """The call returns with the engine ready, nobody waits for the node's output, and SIGTERM drains it."""
    assert launched(home) is None
    state = ask(home, "now")
    assert state["pid"] == lock.holder(home)
    assert state["standard"] == ["/dev/null"] * 3
    stop(home)
    assert not (home / "run" / "tiny.sock").exists()


@pytest.mark.slow
def test_a_taken_home_is_told_with_its_code(home: Path) -> None:
    """A second launch does not disturb the first node."""
    assert launched(home) is None
    problem = launched(home)
    assert isinstance(problem, dict)
    assert (problem["code"], problem["exit"]) == ("home.taken", 1)
    stop(home)


def test_an_unexpected_error_is_saved_and_told(home: Path) -> None:
    """What nobody foresaw comes back as the file with its traceback."""
    problem = launched(home, "no_such_function")
    assert isinstance(problem, dict)
    (path,) = (home / "log").glob("crash-*.txt")
    assert str(path) in problem["detail"]
    assert "no_such_function" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
