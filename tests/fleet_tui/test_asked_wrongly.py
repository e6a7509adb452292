"""What is refused before anything is made: no folder, no node, no trace."""

import io
import json
import os
import signal
from argparse import Namespace
from pathlib import Path

import psutil
import pytest

from engine.daemon.lock import await_end, holder
from engine.membership.invite import make
from engine.security.identity import Identity
from fleet_tui.call import Call
from fleet_tui.cli import DEFAULTS, main, parser
from fleet_tui.commands import node

DEMOS = [("--script", "--nodes", "2"), ("--script", "--nodes", "99"), ("--drill", "--nodes", "2"), ("--nodes", "0")]


@pytest.mark.parametrize("argv", DEMOS, ids=" ".join)
def test_a_demo_of_no_number_makes_no_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    """Its folder is made once it is known what will be in it."""
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: pytest.fail("a folder was made"))
    assert main(["demo", *argv]) == 2


def test_a_code_that_cannot_be_read_starts_no_node(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home is as empty as before, whether the code was an argument or a line of standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for code in ("nonsense", "fleet1-abc", "-"):
        assert main(["--home", str(home), "join", code]) == 2, code
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("shown", ["{}", "fleet join {}", "echo {}", "echo '{}' | fleet join -"])
def test_a_code_is_read_as_a_screen_shows_it(shown: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded over several lines, with the command around it; what comes after it is not waited for."""
    code = make(Identity(bytes(32)), "f" * 26, ("10.0.0.2:8856",), bytes(16))
    typed = io.StringIO(shown.format(f"{code[:30]}\n  {code[30:60]}\n{code[60:]}") + "\nmore\n")
    monkeypatch.setattr("sys.stdin", typed)
    read: list[Call] = []
    monkeypatch.setattr(node, "ensure", read.append)
    assert main(["--home", str(home), "join", "-"]) == 3
    assert (len(read), typed.read()) == (1, "more\n")


def test_a_channel_has_a_number_and_a_name() -> None:
    """Wherever one is named: as the pages and the log say it, in any case."""
    for said in ("hold b {}", "check b {}", "probe b {}", "send b hi --via {}", "repair b --channel {}"):
        for word in ("P2", "p2", "http", "HTTP"):
            args = parser().parse_args(said.format(word).split(), Namespace(**DEFAULTS))
            assert "http" in vars(args).values(), (said, word)
    assert main(["hold", "b", "P9"]) == 2


def test_a_word_too_many_points_to_the_command_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    """And a channel where none is taken, to the flag that takes it."""
    assert main(["repair", "b", "p1"]) == 2
    said = capsys.readouterr().err
    assert ("--channel p1" in said, "`fleet repair --help`" in said) == (True, True)
    assert main(["peers", "b"]) == 2
    assert "`fleet peers --help`" in capsys.readouterr().err


@pytest.mark.slow
def test_a_node_begun_for_a_join_does_not_show_the_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments name its home and nothing of what was asked."""
    monkeypatch.setenv("FLEET_NET_LISTEN", "127.0.0.1")
    node.ensure(Call(Namespace(**DEFAULTS | {"home": str(home), "json": True, "code": "fleet1-secret"})))
    pid = holder(home)
    assert pid is not None
    shown = psutil.Process(pid).cmdline()
    os.kill(pid, signal.SIGTERM)
    assert await_end(pid, 60)
    assert (str(home) in shown, "fleet1-secret" in json.dumps(shown)) == (True, False)
