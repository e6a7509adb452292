"""The command line, against a real API over an understudy of the engine."""

import io
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fleet_tui.cli import main, parser
from fleet_tui.plain import printable
from fleet_tui.verbs import VERBS, seconds
from tests.engine.api.understudy import Stage, stage


@pytest.fixture
def up() -> Iterator[Stage]:
    with stage() as running:
        yield running


class Ran:
    """What a command left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def value(self) -> Any:
        return json.loads(self.out)


class Fleet:
    """`fleet …` in this process, on the home of a stage."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home, self._capsys = home, capsys

    def __call__(self, *argv: str) -> Ran:
        self._capsys.readouterr()
        status = main(["--home", str(self._home), *argv])
        out, err = self._capsys.readouterr()
        return Ran(status, out, err)


@pytest.fixture
def fleet(up: Stage, capsys: pytest.CaptureFixture[str]) -> Fleet:
    return Fleet(up.engine.home, capsys)


@pytest.fixture
def nobody(home: Path, capsys: pytest.CaptureFixture[str]) -> Fleet:
    return Fleet(home, capsys)


def test_status_has_the_promised_json(fleet: Fleet) -> None:
    """The keys of the issue, one for one."""
    now = fleet("status", "--json").value
    assert {"name", "id", "version", "pid", "uptime_s", "terminal"} <= now["node"].keys()
    assert {"name", "id", "roster_version", "chief"} <= now["fleet"].keys()
    assert {"state", "pid", "url"} <= now["broker"].keys()
    assert {"waiting", "dead"} <= now["outbox"].keys()
    assert {"name", "id", "role", "standing", "seen_s", "best", "channels"} <= now["peers"][0].keys()
    assert now["peers"][0]["channels"]["nats"] == "HEALTHY"


TEXTS = {
    "status": (("status",), "birch   worker   ● alive"),
    "peers": (("peers",), "cedar   worker   – left"),
    "channels": (("channels",), "birch   http      ○ broken    –         2       refused"),
    "inbox": (("inbox",), "birch   context   m1\n  hello"),
    "check": (("check", "birch"), "nats      ● healthy   ● confirmed   1 ms"),
    "invite": (("invite",), "fleet join worker-code"),
    "no terminal": ((), "birch   worker   ● alive"),
    "ascii": (("peers", "--ascii"), "birch   worker   * alive"),
    "keys": (("keys",), "detach"),
    "config": (("config", "show", "--origin"), "api.tcp_port"),
    "metrics": (("metrics",), 'fleet_peers{standing="ALIVE"} 1'),
}


@pytest.mark.parametrize(("argv", "line"), TEXTS.values(), ids=TEXTS.keys())
def test_people_get_aligned_text(fleet: Fleet, argv: tuple[str, ...], line: str) -> None:
    """Calm columns; a sign and a word for every state."""
    ran = fleet(*argv)
    assert (ran.status, line in ran.out) == (0, True), ran.out


def test_send_shows_where_the_message_is(fleet: Fleet) -> None:
    """Without a wait it is accepted; with one it is as far as was asked, and over which channel."""
    assert {"id", "to", "kind", "rung", "channel", "tries"} <= fleet("send", "birch", "hi", "--json").value.keys()
    story = fleet("send", "birch", "--wait", "on_host", "hello", "you", "--json").value
    assert (story["rung"], story["channel"]) == ("on_host", "nats")
    assert "on host" in fleet("send", "birch", "hi", "--wait", "on_host").out


def test_what_was_said_is_what_is_sent(fleet: Fleet, up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are joined by a space; `-` is all of standard input, to the byte."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("zwei\nZeilen ü\n".encode())))
    fleet("send", "birch", "two", "words")
    fleet("send", "birch", "-")
    assert [call[2] for call in up.engine.asked] == ["two words", "zwei\nZeilen ü\n"]


def test_a_group_is_a_list(fleet: Fleet) -> None:
    """`all` gives a story for each recipient."""
    assert [story["to"] for story in fleet("send", "all", "hi", "--json").value] == ["birch", "cedar"]


def test_a_wait_that_ends_is_status_5_and_the_work_goes_on(fleet: Fleet) -> None:
    """The story is printed with the reason beside it."""
    ran = fleet("send", "cedar", "hi", "--wait", "on_host", "--timeout", "0.1", "--json")
    assert (ran.status, ran.value["rung"], ran.value["error"]["code"]) == (5, "accepted", "timeout.rung")
    ran = fleet("send", "cedar", "hi", "--wait", "on_host", "--timeout", "0.1")
    assert (ran.status, "fleet why" in ran.err) == (5, True)


def test_an_unknown_recipient_is_an_error_at_once(fleet: Fleet) -> None:
    """stderr says what, why and the next step; with `--json` the five parts are on both streams."""
    ran = fleet("send", "nobody", "hi")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "fleet: Nobody of that name: nobody\n  `fleet peers` lists them\n"
    ran = fleet("send", "nobody", "hi", "--json")
    assert ran.value == json.loads(ran.err)
    assert ran.value["error"].keys() == {"code", "title", "detail", "next_step", "fault"}


def test_each_line_of_standard_input_is_a_message(fleet: Fleet, up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of JSON for each, in order; empty lines are none."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n\ntwo\r\nthree")))
    ran = fleet("send", "birch", "--stdin", "--json")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["rung"] for row in rows] == ["accepted"] * 3
    assert [call[2] for call in up.engine.asked] == ["one", "two", "three"]


def test_a_stream_that_fails_has_its_status(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is still answered."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    ran = fleet("send", "nobody", "--stdin", "--json")
    assert ran.status == 1
    assert [json.loads(line)["error"]["code"] for line in ran.out.splitlines()] == ["unknown.recipient"] * 2


def test_the_log_is_oldest_first_and_whole_in_json(fleet: Fleet) -> None:
    """People get the newest fifty, programs get everything, `--limit` decides for both."""
    assert [line["id"] for line in fleet("messages", "--json").value] == [f"m{n}" for n in range(24, -1, -1)]
    assert len(fleet("messages", "--limit", "3", "--json").value) == 3
    assert len(fleet("messages").out.splitlines()) == 25


def test_a_dry_run_shows_whom_it_would_reach(fleet: Fleet, up: Stage) -> None:
    """Nothing is sent."""
    assert fleet("send", "all", "--dry-run", "--json").value[0] == {
        "to": "birch",
        "channels": ["nats", "http"],
        "reason": "",
    }
    assert up.engine.asked == []


def test_no_node_is_status_3(nobody: Fleet) -> None:
    """With the command that starts one."""
    for argv in (("status",), ("send", "birch", "hi"), ("down",), ("inbox",), ()):
        ran = nobody(*argv)
        assert (ran.status, "fleet up" in ran.err) == (3, True), argv


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS if verb.changes])
def test_readonly_refuses_every_verb_that_changes_something(nobody: Fleet, verb: str) -> None:
    """Before anything is asked of the node: exit status 4."""
    words = {"revoke": ["b"], "role": ["b", "worker"], "send": ["b", "hi"], "resend": ["i"], "join": ["c"]}
    words |= {"probe": ["b"], "hold": ["b", "nats"]}
    assert nobody("--readonly", verb, *words.get(verb, [])).status == 4


USAGE = [
    ("sned",),
    ("send", "birch"),
    ("send", "birch", "hi", "--stdin"),
    ("send", "birch", "hi", "--kind", "heartbeat"),
    ("send", "birch", "hi", "--ttl", "soon"),
    ("send", "birch", "hi", "--timeout", "-1"),
    ("messages", "--limit", "some"),
    ("role", "birch", "king"),
    ("--nonsense",),
]


@pytest.mark.parametrize("argv", USAGE, ids=" ".join)
def test_a_command_that_does_not_fit_is_status_2(fleet: Fleet, argv: tuple[str, ...]) -> None:
    """In the same form as every error, with the way to the help."""
    ran = fleet(*argv)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("fleet: ")
    assert len(ran.err.splitlines()) == 2


def test_a_near_miss_is_named(fleet: Fleet) -> None:
    """`sned` meant `send`."""
    assert "did you mean `send`?" in fleet("sned").err


def test_a_mistake_of_ours_leaves_no_traceback(fleet: Fleet, up: Stage) -> None:
    """It is said, and its file is named."""
    ran = fleet("revoke", "birch", "--yes")
    assert (ran.status, "Traceback" in ran.err) == (1, False)


def test_a_command_that_breaks_saves_why(fleet: Fleet, up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback goes to the home, its path to the person."""
    monkeypatch.setattr("fleet_tui.plain.status", lambda _: 1 / 0)
    ran = fleet("status")
    assert ran.status == 1
    assert list((up.engine.home / "log").glob("crash-*.txt"))
    assert "ZeroDivisionError; the traceback is in" in ran.err


def test_a_peer_s_text_cannot_drive_the_terminal() -> None:
    """Control characters and direction marks are shown as such; line breaks stay."""
    assert printable("a\x1b[2Jb\nc\u202e") == "a�[2Jb\nc�"


def test_every_verb_has_its_function() -> None:
    """The table names nothing that is not there."""
    for verb in VERBS:
        module, _, function = verb.run.partition(":")
        assert callable(getattr(import_module(f"fleet_tui.commands.{module}"), function))
    assert "COMMAND" in parser().format_help()


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("0", 0)]
)
def test_durations_are_written_as_people_do(text: str, value: int) -> None:
    """A number and a unit."""
    assert seconds(text) == value
