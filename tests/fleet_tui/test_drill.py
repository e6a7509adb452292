"""`fleet demo --drill`: real faults on real nodes, told as they heal, and nothing left behind."""

import json
import os
import sys
from pathlib import Path

import pexpect
import pytest

from tests.fleet_tui.test_demo import LIMIT_S, alive, ran, root
from tests.house import ROOT

__all__ = ["root"]

pytestmark = pytest.mark.slow


def test_every_fault_heals(root: Path) -> None:
    """The script strikes each, sees what carries mail meanwhile, measures the healing, and counts every message."""
    status, out, err = ran("demo", "--drill", "--script", "--home", str(root), "--json")
    assert status == 0, err
    steps = json.loads(out)["steps"]
    assert [step["title"].partition(":")[0] for step in steps[1:5]] == ["1", "2", "3", "4"]
    assert all("all HEALTHY" in step["saw"] for step in steps[1:5])
    assert "a message waited and came" in steps[3]["saw"]
    assert steps[-1]["saw"] == "atlas 0, birch 4, cedar 1"
    assert alive(root) == []
    assert not root.exists()


def test_faults_on_keys(root: Path) -> None:
    """The grid of every node, a fault on a key, its end on `h`, and the measured healing; `q` takes everything back,
    also what still stands still, and every node can be ended."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")} | {"TERM": "xterm"}
    argv = ["-m", "fleet_tui", "demo", "--drill", "--home", str(root)]
    with pexpect.spawn(sys.executable, argv, env=env, cwd=ROOT, dimensions=(44, 120), timeout=LIMIT_S) as person:
        person.expect("atlas → birch .*healthy".encode())
        person.send("1")
        person.expect("kill -9 of birch's nats-server: all HEALTHY")
        person.send("3")
        person.expect("atlas → cedar [^\r\n]*broken".encode())
        person.send("h")
        person.expect("taken back: all HEALTHY again after .* s; failed meanwhile: .*nats")
        person.send("3")
        person.expect("cedar.*what Fleet does: its peers suspect it")
        person.send("q")
        person.expect("Stop the demo's nodes")
        person.send("\r")
        person.expect("All nodes stopped")
        person.expect(pexpect.EOF)
    assert person.exitstatus == 0
    assert alive(root) == []
    assert not root.exists()


def test_two_nodes_are_no_drill(root: Path) -> None:
    """The faults need a third; nothing is made before that is said."""
    status, _, err = ran("demo", "--drill", "--nodes", "2", "--home", str(root))
    assert (status, "3 to 20 fit" in err) == (2, True)
    assert not root.exists()
