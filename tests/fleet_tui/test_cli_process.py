"""`fleet` as a program: processes, signals, homes, shells."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from engine.daemon.lock import await_end, holder
from fleet_tui.verbs import VERBS
from tests.house import ROOT

pytestmark = pytest.mark.slow
LIMIT_S = 60.0


class Program:
    """`fleet` on one home, as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def spawn(self, *argv: str, **env: str) -> "subprocess.Popen[str]":
        """A command, under way."""
        given = os.environ | {"FLEET_NET_LISTEN": "127.0.0.1", "FLEET_NODE_NAME": "atlas"} | env
        command = [sys.executable, "-m", "fleet_tui", "--home", str(self.home), *argv]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=ROOT, env=given, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def __call__(self, *argv: str, **env: str) -> tuple[int, str, str]:
        """A command, to its end: status, stdout, stderr."""
        process = self.spawn(*argv, **env)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err


@pytest.fixture
def fleet(home: Path) -> Iterator[Program]:
    """The program, and the end of whatever node it started."""
    yield Program(home)
    if pid := holder(home):
        os.kill(pid, signal.SIGKILL)
        await_end(pid, LIMIT_S)


def test_a_node_is_started_found_and_stopped(fleet: Program) -> None:
    """`up` twice is one node; `restart` is another; `down` leaves none, and says so the next time."""
    first = json.loads(fleet("up", "--json")[1])["node"]["pid"]
    status, out, _ = fleet("up", "--json")
    assert (status, json.loads(out)["node"]["pid"]) == (0, first)
    assert f"runs already, pid {first}" in fleet("up")[1]
    status, out, _ = fleet("restart", "--json")
    assert status == 0
    assert json.loads(out)["node"]["pid"] == holder(fleet.home) != first
    assert fleet("down", "--now")[0] == 0
    assert holder(fleet.home) is None
    assert fleet("down")[0] == 3


def test_who_starts_it_a_moment_later_finds_it_running(fleet: Program) -> None:
    """Several that start the same dead node at once, as its peers do, all succeed: there is one node, and whoever lost
    the race says that it runs. What only this environment sets is named beside the output, without its value."""
    started = [fleet.spawn("up", FLEET_GIT_HUB="/srv/hub.git") for _ in range(3)]
    ended = [process.communicate(timeout=LIMIT_S) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert sorted("runs already" in out for out, _ in ended) == [False, True, True]
    (told,) = [err for _, err in ended if err]
    assert "git.hub" in told
    assert str(fleet.home / "config.toml") in told
    assert "/srv" not in told


def test_init_names_the_machine_once(fleet: Program) -> None:
    """The home is private, the name is in force at the first start, and a second `init` changes nothing."""
    home = fleet.home / "deep" / "er"
    fleet = Program(home)
    assert fleet("init", "mac2", FLEET_NODE_NAME="")[0] == 0
    assert oct(home.stat().st_mode & 0o777) == "0o700"
    status, _, err = fleet("init", "other")
    assert (status, str(home / "config.toml") in err) == (2, True)
    status, out, _ = fleet("config", "show", "--origin", "--json", FLEET_NODE_NAME="mac2")
    assert json.loads(out)["node.name"] == {"value": "mac2", "origin": "environment"}


BAD = {
    "no TOML": ("garb = [", "Invalid value"),
    "an unknown key": ("[net]\nhttp_prt = 1", "http_prt"),
    "a wrong type": ("[net]\nhttp_port = 'x'", "http_port"),
    "an unknown preset": ("preset = 'moon'", "moon"),
}


@pytest.mark.parametrize(("text", "word"), BAD.values(), ids=BAD.keys())
def test_a_garbage_configuration_is_said_by_every_door(fleet: Program, text: str, word: str) -> None:
    """Status 2, the file and the place, no node and no traceback."""
    (fleet.home / "config.toml").write_text(text)
    for argv in (("up",), ("--daemon",), ("config", "check"), ("config", "show")):
        status, out, err = fleet(*argv)
        assert (status, out, len(err.splitlines())) == (2, "", 2), argv
        assert word in err
        assert str(fleet.home / "config.toml") in err
    assert holder(fleet.home) is None


def test_an_open_key_is_refused_with_the_chmod(fleet: Program) -> None:
    """As `ssh` does."""
    fleet("up")
    fleet("down")
    key = fleet.home / "device.key"
    key.chmod(0o644)
    status, _, err = fleet("up")
    assert status == 1
    assert f"chmod 600 {key}" in err
    key.chmod(0o600)
    key.write_bytes(b"not a key")
    status, _, err = fleet("up")
    assert (status, str(key) in err, "Traceback" in err) == (1, True, False)


def test_a_home_that_cannot_be_is_said(fleet: Program) -> None:
    """A file where the home should be."""
    (fleet.home / "file").write_text("")
    status, _, err = Program(fleet.home / "file")("up")
    assert (status, "--home" in err, "Traceback" in err) == (1, True, False)


def test_the_daemon_stays_in_front_and_opens_tcp(fleet: Program) -> None:
    """`--daemon --tcp`: the log on stderr, the API on loopback for whoever has the token, the end by SIGTERM."""
    process = fleet.spawn("--daemon", "--tcp")
    assert process.stderr is not None
    while "ready" not in process.stderr.readline():
        assert process.poll() is None
    token, port = (json.loads(fleet("token", "--json")[1])[name] for name in ("token", "port"))
    ask = json.dumps({"type": "context", "to": "nobody", "payload": {"body": "hello"}}).encode()
    with pytest.raises(OSError, match="404"):
        urlopen(Request(f"http://127.0.0.1:{port}/message", ask, {"Authorization": f"Bearer {token}"}), timeout=30)
    with pytest.raises(OSError, match="401"):
        urlopen(f"http://127.0.0.1:{port}/status", timeout=30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0
    assert not (fleet.home / "api.port").exists()


def test_the_log_is_shown_and_holds_no_token(fleet: Program) -> None:
    """The newest lines."""
    fleet("up")
    status, out, _ = fleet("log", "-n", "2")
    assert (status, len(out.splitlines())) == (0, 2)
    assert (fleet.home / "token").read_text().strip() not in (fleet.home / "log" / "node.log").read_text()


def test_a_reader_that_has_enough_is_no_error(fleet: Program) -> None:
    """`fleet keys | head -1` prints one line and nothing else."""
    command = f"{sys.executable} -m fleet_tui keys | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.stdout, done.stderr) == ("everywhere\n", "")


@pytest.mark.needs("bash")
def test_bash_completes_commands_flags_and_choices(fleet: Program) -> None:
    """From the script alone, without asking anybody."""
    script = fleet("completion", "bash")[1]

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        ask = f'COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _fleet; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True).stdout.split()

    assert completed("fleet", "se") == ["send"]
    assert completed("fleet", "")[: len(VERBS)] == [verb.name for verb in VERBS]
    assert completed("fleet", "send", "mac2", "--wa") == ["--wait"]
    assert completed("fleet", "send", "mac2", "--wait", "on") == ["on_host"]
    assert completed("fleet", "config", "")[:3] == ["show", "check", "path"]
    assert completed("fleet", "--ascii", "role", "mac2", "ch") == ["chief"]


@pytest.mark.needs("zsh")
def test_zsh_takes_the_script(fleet: Program) -> None:
    """It loads without a word."""
    script = fleet("completion", "zsh")[1]
    done = subprocess.run(
        ["zsh", "-fc", "autoload -U compinit && compinit -u\n" + script], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.needs("fish")
def test_fish_takes_the_script(fleet: Program) -> None:
    """It completes a command."""
    script = fleet("completion", "fish")[1]
    done = subprocess.run(
        ["fish", "-c", script + "complete -C 'fleet sen'"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("send")
