"""`fleet demo`: a real fleet, the story it tells, and nothing left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import psutil
import pytest

from engine.errors import FleetError
from fleet_tui import demo as demos
from fleet_tui.demo_script import Script, seen
from tests.house import ROOT

LIMIT_S = 100.0


@pytest.fixture
def root() -> Iterator[Path]:
    """A short folder that does not exist yet; whatever lives under it afterwards is ended."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    folder.rmdir()
    yield folder
    for process in alive(folder):
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def alive(root: Path) -> list[psutil.Process]:
    """Every process that was started for a home under `root`, brokers included."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            home = process.environ().get("FLEET_HOME", "")
            told = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
            if told and (home.startswith(str(root)) or str(root) in " ".join(process.cmdline())):
                found.append(process)
    return found


def fleet(*argv: str) -> "subprocess.Popen[str]":
    """A command, under way, without a terminal."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "fleet_tui", *argv]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def ran(*argv: str) -> tuple[int, str, str]:
    """A command, to its end: status, stdout, stderr."""
    process = fleet(*argv)
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


@pytest.mark.slow
def test_the_first_five_minutes_come_true(root: Path) -> None:
    """A newcomer's story: every step is seen to happen, the last message is counted, and nothing is left."""
    status, out, err = ran("demo", "--script", "--home", str(root), "--json")
    assert status == 0, err
    steps = json.loads(out)["steps"]
    assert [step["title"] for step in steps] == [
        "start 3 nodes, each with its own home, keys and broker",
        "join them by invitations",
        "every node sees every other, and P1 works",
        "send atlas → birch and birch → atlas",
        "kill -9 birch's nats-server and send again",
        "P1 heals by itself",
        "stop cedar, and send to it",
        "start cedar again: the message arrives",
        "every message is in its inbox once",
    ]
    assert re.fullmatch(r"brokers [1-9]\d*, [1-9]\d*, [1-9]\d*", steps[0]["saw"])
    assert steps[1]["saw"].startswith("fleet demo,")
    assert "over http" in steps[4]["saw"] or "over relay" in steps[4]["saw"]
    assert re.match(r"another broker, process \d+; (HEALTHY again \d|atlas had never called)", steps[5]["saw"])
    assert "over nats" in steps[5]["saw"]
    assert alive(root) == []
    assert not root.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl+c", "SIGTERM"])
@pytest.mark.parametrize("after", [0, 1, 3], ids=["while starting", "while joining", "while sending"])
def test_whoever_interrupts_leaves_nothing(root: Path, number: int, after: int) -> None:
    """Wherever the story is cut off, every node and every broker ends, and the homes go."""
    process = fleet("demo", "--script", "--home", str(root))
    assert process.stdout is not None
    if after:
        for _ in range(2 * after):
            assert process.stdout.readline()
    else:
        while not (root / "atlas" / "node.lock").exists():
            assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert alive(root) == []
    assert not root.exists()


@pytest.mark.slow
def test_a_demo_that_is_kept_can_be_found_and_ended(root: Path) -> None:
    """`--keep` leaves it running, `demo` finds it again, `--stop` ends it and removes its homes."""
    argv = ("demo", "--nodes", "2", "--keep", "--home", str(root), "--json")
    status, out, err = ran(*argv)
    assert status == 0, err
    first = json.loads(out)["node"]["pid"]
    assert [peer["name"] for peer in json.loads(out)["peers"]] == ["birch"]
    status, out, err = ran(*argv)
    assert (status, json.loads(out)["node"]["pid"]) == (0, first)
    status, out, err = ran("demo", "--stop", "--home", str(root), "--json")
    assert (status, json.loads(out)) == (0, {"stopped": ["atlas", "birch"]})
    assert alive(root) == []
    assert not root.exists()


@pytest.mark.slow
def test_the_control_room_opens_on_the_first_and_is_left_again(root: Path) -> None:
    """A guide, the map with everybody on it, `D`, a question, and nothing left."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")} | {"TERM": "xterm"}
    argv = ["-m", "fleet_tui", "demo", "--home", str(root)]
    with pexpect.spawn(sys.executable, argv, env=env, cwd=ROOT, dimensions=(40, 120), timeout=LIMIT_S) as person:
        person.expect("kill -STOP [1-9].*birch's nats-server")
        person.expect("Enter opens the control room")
        person.send("\r")
        for name in ("atlas", "birch", "cedar"):
            person.expect(name)
        person.send("D")
        person.expect("Stop the demo's nodes")
        person.send("\r")
        person.expect("All nodes stopped")
        person.expect(pexpect.EOF)
    assert person.exitstatus == 0
    assert alive(root) == []
    assert not root.exists()


def test_a_step_that_does_not_come_true_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story ends there, with the reason; what was done before it was told."""
    script = Script(demos.prepared(root, 3))

    def broken() -> str:
        raise FleetError("join.unreachable", "The inviting node did not answer", "127.0.0.1")

    monkeypatch.setattr(script, "_start", lambda: "started")
    monkeypatch.setattr(script, "_join", broken)
    told: list[str] = []
    with pytest.raises(FleetError) as caught:
        script.run(lambda done: told.append(done.saw))
    assert caught.value.detail == "join them by invitations: The inviting node did not answer: 127.0.0.1"
    assert told == ["started"]


def test_a_state_from_before_the_kill_is_no_healing() -> None:
    """Seconds are told of a break that the node saw; of another nothing was seen."""
    assert seen(3_400, 1_000, "atlas") == "HEALTHY again 2.4 s after the kill"
    assert seen(900, 1_000, "atlas") == "atlas had never called P1 broken: too short to be seen"


def test_nobody_else_s_folder_is_used_or_removed(root: Path) -> None:
    """A folder with something in it is refused, and `--stop` touches none without the demo's mark."""
    root.mkdir()
    (root / "thesis.txt").write_text("ten years")
    for argv in (("--script",), ("--stop",)):
        status, _, err = ran("demo", *argv, "--home", str(root))
        assert (status, str(root) in err) == (2, True)
    assert (root / "thesis.txt").read_text() == "ten years"


@pytest.mark.parametrize("nodes", ["0", "2", "999"])
def test_a_number_of_nodes_that_cannot_be_is_refused(root: Path, nodes: str) -> None:
    """Before anything is made."""
    assert ran("demo", "--script", "--nodes", nodes, "--home", str(root))[0] == 2
    assert not root.exists()


def test_without_a_terminal_it_says_what_to_do(root: Path) -> None:
    """There would be nothing to look at, and nobody to end it."""
    status, _, err = ran("demo", "--home", str(root))
    assert (status, "--script" in err) == (2, True)
    assert not root.exists()
