"""The command line in this process, against a real node."""

import asyncio
import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engine.api.client import Client
from engine.model.envelope import Rung
from fleet_tui.cli import main, parser
from fleet_tui.place import api_socket
from fleet_tui.plain import printable
from fleet_tui.verbs import VERBS, seconds
from tests.engine.api.stage import Stage, stage


@pytest.fixture(scope="module")
def up() -> Iterator[Stage]:
    """atlas, whose commands these are; birch, who is there; cedar, who is away."""
    with stage("atlas", "birch", "cedar") as running:
        running.run(_letter(running))
        yield running


async def _letter(up: Stage) -> None:
    story = (await up.engines["birch"].send("atlas", "two\nlines"))[0]
    await up.engines["birch"].wait(story.id, Rung.ON_HOST, 10)
    await up.engine.check("birch")


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
        self.home, self._capsys = home, capsys

    def __call__(self, *argv: str) -> Ran:
        self._capsys.readouterr()
        status = main(["--home", str(self.home), *argv])
        out, err = self._capsys.readouterr()
        return Ran(status, out, err)


@pytest.fixture
def fleet(up: Stage, capsys: pytest.CaptureFixture[str]) -> Fleet:
    return Fleet(up.home, capsys)


@pytest.fixture
def nobody(home: Path, capsys: pytest.CaptureFixture[str]) -> Fleet:
    return Fleet(home, capsys)


def said(monkeypatch: pytest.MonkeyPatch, words: bytes) -> None:
    """These bytes are standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(words)))


def bodies(fleet: Fleet, ids: list[str]) -> list[str]:
    """What these messages say."""
    return [Client(api_socket(fleet.home)).get(f"/body/{one}")["body"] for one in ids]


def test_status_has_the_promised_json(fleet: Fleet) -> None:
    """The keys of the issue, one for one."""
    now = fleet("status", "--json").value
    assert {"name", "id", "version", "pid", "uptime_s", "terminal"} <= now["node"].keys()
    assert {"name", "id", "roster_version", "chief"} <= now["fleet"].keys()
    assert {"state", "pid", "url"} <= now["broker"].keys()
    assert {"waiting", "dead"} <= now["outbox"].keys()
    assert {"name", "id", "role", "standing", "seen_s", "best", "channels"} <= now["peers"][0].keys()
    assert now["peers"][0]["channels"]["http"] == "HEALTHY"
    cell = fleet("channels", "--json").value["birch"]["http"]
    assert {"state", "latency_ms", "fails", "reason"} <= cell.keys()


TEXTS = {
    "status": (("status",), r"birch   worker   ● alive"),
    "peers": (("peers",), r"birch   worker   ● alive .* http "),
    "channels": (("channels", "birch"), r"birch  +http  +● healthy  +[\d.]+ ms"),
    "inbox": (("inbox",), r"birch   context   \w{26}\n  two\n  lines"),
    "check": (("check", "birch"), r"http +● healthy +● confirmed +[\d.]+ ms"),
    "invite": (("invite",), r"echo 'fleet1-\w+' \| fleet join -"),
    "no terminal": ((), r"birch   worker   ● alive"),
    "ascii": (("peers", "--ascii"), r"birch   worker   \* alive"),
    "keys": (("keys",), r"detach"),
    "config": (("config", "show", "--origin"), r"broker.enabled +false +config.toml"),
    "metrics": (("metrics",), r'fleet_peers\{standing="ALIVE"\} [12]'),
    "dry run": (("send", "birch", "--dry-run"), r"birch   http"),
    "ledger": (("ledger",), r" +\d+ +[-\d: ]+ +atlas|\d"),
    "ledger verify": (("ledger", "verify"), r"^\d+ entries: every entry is what it was\nnot proved: "),
    "token": (("token",), r"^\S{40,}$"),
}


@pytest.mark.parametrize(("argv", "line"), TEXTS.values(), ids=TEXTS.keys())
def test_people_get_aligned_text(fleet: Fleet, argv: tuple[str, ...], line: str) -> None:
    """Calm columns; a sign and a word for every state."""
    ran = fleet(*argv)
    assert ran.status == 0
    assert re.search(line, ran.out, re.MULTILINE), ran.out


def test_send_shows_where_the_message_is(fleet: Fleet) -> None:
    """Without a wait it is accepted; with one it is as far as was asked, and over which channel."""
    story = fleet("send", "birch", "hi", "--json").value
    assert {"id", "to", "kind", "rung", "channel", "tries"} <= story.keys()
    story = fleet("send", "birch", "--wait", "on_host", "hello", "you", "--json").value
    assert (story["rung"], story["channel"]) == ("on_host", "http")
    assert {"channel", "outcome", "ms"} <= story["tries"][0].keys()
    assert bodies(fleet, [story["id"]]) == ["hello you"]
    assert "on host   http ● " in fleet("send", "birch", "hi", "--wait", "on_host").out


def test_why_tells_the_story(fleet: Fleet) -> None:
    """The send object and a sentence; for people the sentence first."""
    sent = fleet("send", "birch", "hi", "--wait", "on_host", "--json").value
    assert fleet("why", sent["id"], "--json").value["story"].startswith("P2 http answered")
    assert fleet("why", sent["id"]).out.startswith("context to birch: ● on host\n  P2 http answered")


def test_why_tells_of_mail_that_came(fleet: Fleet) -> None:
    """Whatever the log lists can be asked for, by its whole id or its end; what it does not list is unknown."""
    came = fleet("messages", "--dir", "in", "--limit", "1", "--json").value[0]
    assert fleet("why", came["id"], "--json").value.items() >= came.items()
    said = fleet("why", came["id"][-8:]).out
    assert re.match(r"context from birch: ● on host, .*\n  birch sent it over http, and", said), said
    assert fleet("why", "0" * 26).status == 1


def test_a_dash_is_standard_input(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, to the byte, as one message."""
    said(monkeypatch, "zwei\nZeilen ü\n".encode())
    assert bodies(fleet, [fleet("send", "birch", "-", "--json").value["id"]]) == ["zwei\nZeilen ü\n"]


def test_a_group_is_a_list(fleet: Fleet) -> None:
    """`all` gives a story for each recipient."""
    assert sorted(story["to"] for story in fleet("send", "all", "hi", "--json").value) == ["birch", "cedar"]


def test_a_wait_that_ends_is_status_5_and_the_work_goes_on(fleet: Fleet) -> None:
    """The story is printed with the reason beside it."""
    ran = fleet("send", "cedar", "hi", "--wait", "on_host", "--timeout", "0.1", "--json")
    assert (ran.status, ran.value["rung"], ran.value["error"]["code"]) == (5, "accepted", "timeout.rung")
    ran = fleet("send", "cedar", "hi", "--wait", "on_host", "--timeout", "0.1")
    assert (ran.status, "fleet why" in ran.err) == (5, True)


def test_a_wait_for_an_ending_is_refused(fleet: Fleet) -> None:
    """Nobody promises that a message fails: nothing is sent, with status 2."""
    before = len(fleet("messages", "--json").value)
    for word in ("dead", "answered"):
        assert fleet("send", "birch", "hi", "--wait", word).status == 2, word
    assert len(fleet("messages", "--json").value) == before


def test_an_unknown_recipient_is_an_error_at_once(fleet: Fleet) -> None:
    """stderr says what, why and the next step; with `--json` the five parts are on both streams."""
    ran = fleet("send", "nobody", "hi")
    assert (ran.status, ran.out) == (1, "")
    assert re.fullmatch(r"fleet: No such recipient: .*nobody.*\n  .*`fleet peers`.*\n", ran.err)
    ran = fleet("send", "nobody", "hi", "--json")
    assert ran.value == json.loads(ran.err)
    assert ran.value["error"].keys() == {"code", "title", "detail", "next_step", "fault"}


def test_what_says_nothing_is_not_sent(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it was to be said: blanks, an empty standard input, blank lines."""
    before = len(fleet("messages", "--json").value)
    said(monkeypatch, b"")
    assert fleet("send", "birch", "-").status == fleet("send", "birch", " ").status == 2
    said(monkeypatch, b"\n  \n\t\r\n")
    assert fleet("send", "birch", "--stdin").status == 0
    assert len(fleet("messages", "--json").value) == before


def test_a_session_nobody_wrote_to_is_told_from_one_that_read_all(fleet: Fleet) -> None:
    """A name that was mistyped shows as such, until it may be typed into or something comes for it."""
    assert "Nothing ever came for a session typo." in fleet("inbox", "--session", "typo").err


def test_a_rung_that_a_session_proves_needs_one(fleet: Fleet) -> None:
    """The node refuses it before anything is sent, with what to add."""
    ran = fleet("send", "birch", "hi", "--wait", "seen")
    assert (ran.status, "--session NAME" in ran.err) == (2, True)


def test_each_line_of_standard_input_is_a_message(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of JSON for each, asked for or not, in order; empty lines are none. What is only safe on this disk is
    not called sent."""
    said(monkeypatch, b"one\n\ntwo\r\nthree")
    ran = fleet("send", "birch", "--stdin")
    assert ran.err == "3 accepted\n"
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["rung"] for row in rows] == ["accepted"] * 3
    assert bodies(fleet, [row["id"] for row in rows]) == ["one", "two", "three"]


def test_a_stream_that_fails_has_its_status(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is still answered."""
    said(monkeypatch, b"one\ntwo\n")
    ran = fleet("send", "nobody", "--stdin", "--json")
    assert ran.status == 1
    assert [json.loads(line)["error"]["code"] for line in ran.out.splitlines()] == ["unknown.recipient"] * 2


def test_the_log_is_whole_in_json(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """People get the newest fifty, programs get everything, `--limit` decides for both; oldest first."""
    said(monkeypatch, b"".join(b"%d\n" % number for number in range(1_100)))
    out = fleet("send", "birch", "-k", "reply", "--stdin", "--json").out
    sent = [json.loads(line)["id"] for line in out.splitlines()]
    assert [line["id"] for line in fleet("messages", "--kind", "reply", "--json").value] == sent
    assert [line["id"] for line in fleet("messages", "--kind", "reply", "--limit", "3", "--json").value] == sent[-3:]
    ran = fleet("messages", "--kind", "reply")
    assert (len(ran.out.splitlines()), sent[-1] in ran.out) == (50, True)


@pytest.mark.slow
def test_the_inbox_is_whole_in_json(fleet: Fleet, up: Stage) -> None:
    """The same, and `--after` goes on where one was."""

    async def flood() -> list[str]:
        birch = up.engines["birch"]
        stories = await asyncio.gather(*(birch.send("atlas", str(number)) for number in range(1_100)))
        ids = [story.id for (story,) in stories]
        await asyncio.gather(*(birch.wait(one, Rung.ON_HOST, 30) for one in ids))
        return ids

    sent = up.run(flood())
    everything = [letter["id"] for letter in fleet("inbox", "--json").value]
    assert sorted(everything[-1_100:]) == sorted(sent)
    assert len(set(everything)) == len(everything)
    assert [letter["id"] for letter in fleet("inbox", "--limit", "3", "--json").value] == everything[-3:]
    assert [letter["id"] for letter in fleet("inbox", "--limit", "1005", "--json").value] == everything[-1_005:]
    after = fleet("inbox", "--after", everything[2], "--json").value
    assert [letter["id"] for letter in after] == everything[3:]


def test_large_letters_come_page_by_page(fleet: Fleet, up: Stage) -> None:
    """Each page ends by its bytes, and `inbox` goes on by itself, towards the newest and towards the oldest."""

    async def large() -> list[str]:
        birch = up.engines["birch"]
        ids = []
        for number in range(9):
            (story,) = await birch.send("atlas", str(number) * 1_000_000)
            ids.append((await birch.wait(story.id, Rung.ON_HOST, 30)).id)
        return ids

    sent = up.run(large())
    assert len(up.client.get("/inbox", limit=9)) < 9
    assert [letter["id"] for letter in fleet("inbox", "--limit", "9", "--json").value] == sent
    assert [letter["id"] for letter in fleet("inbox", "--json").value][-9:] == sent


def test_a_dry_run_sends_nothing(fleet: Fleet) -> None:
    """It shows whom a message would reach, and over what."""
    before = len(fleet("messages", "--json").value)
    reach = fleet("send", "birch", "--dry-run", "--json").value
    assert [(one["to"], one["channels"][0], one["reason"]) for one in reach] == [("birch", "http", "")]
    assert len(fleet("messages", "--json").value) == before


def test_no_node_is_status_3(nobody: Fleet) -> None:
    """With the command that starts one."""
    for argv in (("status",), ("send", "birch", "hi"), ("down",), ("inbox",), ()):
        ran = nobody(*argv)
        assert (ran.status, f"`fleet --home {nobody.home} up`" in ran.err) == (3, True), argv


CHANGING = (
    "up", "down", "restart", "demo", "demo --stop", "init", "invite", "join c", "revoke b", "leave", "role b worker",
    "send b hi", "send b --stdin", "resend i", "inbox --session s", "inbox --session s --hook --peek", "text allow s",
    "text forbid s", "probe b", "hold b nats", "repair b", "repair --approve", "repair --local agent", "wake b",
    "doctor --fix", "onboard", "tunnel add b", "tunnel remove b",
)  # fmt: skip
LOOKING = ("send b hi --dry-run", "inbox", "inbox --session s --peek", "text", "text list", "tunnel", "repair", "peers")


@pytest.mark.parametrize("said", CHANGING)
def test_readonly_refuses_whatever_changes_something(nobody: Fleet, said: str) -> None:
    """Before anything is asked of the node: exit status 4."""
    assert nobody("--readonly", *said.split()).status == 4


def test_every_verb_that_changes_something_is_tried() -> None:
    """A new one joins the list above."""
    assert {said.split()[0] for said in CHANGING} >= {verb.name for verb in VERBS if verb.changes}


@pytest.mark.parametrize("said", ["", "--daemon", "--no-detach"])
def test_readonly_starts_no_node(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control room that only looks opens on a node that runs, and on no other."""
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert main(["--home", str(tmp_path), "--readonly", *said.split()]) == 4
    assert f"`fleet --home {tmp_path} up` starts it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", LOOKING)
def test_readonly_lets_look(nobody: Fleet, said: str) -> None:
    """The same verbs without what changes something are only stopped by the missing node."""
    assert nobody("--readonly", *said.split()).status == 3


USAGE = [
    ("sned",),
    ("send", "birch"),
    ("send", "birch", "hi", "--stdin"),
    ("send", "birch", "hi", "--kind", "heartbeat"),
    ("send", "birch", "hi", "--ttl", "soon"),
    ("send", "birch", "hi", "--timeout", "-1"),
    ("messages", "--limit", "some"),
    ("invite", "--ttl", "0"),
    ("invite", "--ttl", "4000d"),
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


def test_nobody_is_waited_for_whom_nobody_knows(fleet: Fleet) -> None:
    """The error comes before the promise to wait."""
    ran = fleet("wake", "nobody")
    assert (ran.status, "waking" in ran.err) == (1, False)


def test_what_is_forbidden_is_said(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when no other session is left to list."""
    monkeypatch.setattr(Client, "post", lambda *_: [])
    assert fleet("text", "forbid", "work").out == "Nothing is typed into work any more.\n"


@pytest.mark.parametrize(("number", "word"), [(errno.EACCES, "whose"), (errno.ENOSPC, "room"), (errno.ENOENT, "there")])
def test_a_machine_s_no_has_its_own_next_step(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, number: int, word: str
) -> None:
    """Room is for a full disk."""

    def no(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/a/path")

    monkeypatch.setattr(Client, "get", no)
    assert word in fleet("peers").err.splitlines()[1]


def test_a_near_miss_is_named(fleet: Fleet) -> None:
    """`sned` meant `send`."""
    assert "did you mean `send`?" in fleet("sned").err


def test_a_command_that_breaks_saves_why(fleet: Fleet, up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback goes to the home, its path to the person."""
    monkeypatch.setattr("fleet_tui.plain.status", lambda *_: 1 / 0)
    ran = fleet("status")
    assert ran.status == 1
    assert list((up.home / "log").glob("crash-*.txt"))
    assert "ZeroDivisionError; the traceback is in" in ran.err


def test_a_peer_s_text_cannot_drive_the_terminal() -> None:
    """Control characters and direction marks are shown as such; line breaks stay."""
    assert printable("a\x1b[2Jb\nc\u202e") == "a�[2Jb\nc�"


def test_a_letter_keeps_the_joiners_that_its_script_needs() -> None:
    """An emoji made of several, and a Persian word, arrive as they were written."""
    for body in ("\U0001f469\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"):
        assert printable(body) == body


def test_a_channel_that_is_none_is_told_which_there_are(fleet: Fleet) -> None:
    """By their numbers too, for those were meant."""
    said = fleet("hold", "birch", "P9").err
    assert "there is no channel `P9`" in said
    assert "P1 nats" in said
    assert "invalid choice" not in said
    assert "--channel p1" in fleet("repair", "birch", "p1").err, "what is a channel is one wherever it stands"


def test_every_verb_has_its_function() -> None:
    """The table names nothing that is not there."""
    for verb in VERBS:
        module, _, function = verb.run.partition(":")
        assert callable(getattr(import_module(f"fleet_tui.commands.{module}"), function))
    assert "COMMAND" in parser().format_help()


def test_every_verb_tells_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each prints what it takes."""
    built = parser()
    for verb in VERBS:
        with pytest.raises(SystemExit) as left:
            built.parse_args([verb.name, "--help"])
        assert left.value.code == 0
        assert f"usage: fleet {verb.name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("0", 0)]
)
def test_durations_are_written_as_people_do(text: str, value: int) -> None:
    """A number and a unit."""
    assert seconds(text) == value
