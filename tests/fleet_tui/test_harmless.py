"""What other machines wrote never drives the terminal it is shown on."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from textual.widgets import Static

from engine.errors import FleetError
from fleet_tui import harmless, plain
from fleet_tui.app import FleetApp
from fleet_tui.call import Call
from fleet_tui.cli import complain
from fleet_tui.commands import sessions
from tests.screens.control_room import SIZES, settle
from tests.screens.golden import NOW, SMALL

HOSTILE = "a\x1b[2J\x1b]52;c;eA==\x07b\x9b31m\u202ec\x7f"


def _signs(text: str) -> Iterator[str]:
    return (one for one in text if one in "\x1b\x07\x9b\u202e\x7f")


def test_what_a_command_prints_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """Every road from a command to a terminal takes out what drives one; JSON keeps the value."""
    call = Call(Namespace(home=None, json=False, readonly=False, ascii=False))
    call.say(HOSTILE)
    call.tell(HOSTILE)
    call.row({}, HOSTILE)
    complain(FleetError("failed.x", HOSTILE, HOSTILE, HOSTILE), as_json=False)
    complain(FleetError("failed.x", HOSTILE, HOSTILE, HOSTILE), as_json=True)
    call.as_json = True
    call.show({"note": HOSTILE}, ())
    call.row({"note": HOSTILE}, "")
    said = capsys.readouterr()
    assert not list(_signs(said.out + said.err))
    assert json.loads(said.out.splitlines()[-1]) == {"note": HOSTILE}


def test_what_a_hook_is_given_is_harmless(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The node is down and the seed file, or what its agent said, holds such signs: the agent reads the same value."""
    (home / "seeds").mkdir()
    (home / "seeds" / "work.md").write_text(HOSTILE, newline="")
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(json.dumps({"hook_event_name": HOSTILE}).encode())))
    call = Call(Namespace(home=home, json=False, readonly=False, ascii=False, session="work", peek=False))
    assert sessions.hook(call) == 0
    said = capsys.readouterr().out
    assert not list(_signs(said))
    assert json.loads(said)["hookSpecificOutput"] == {"hookEventName": HOSTILE, "additionalContext": HOSTILE}


def test_a_line_break_in_a_peers_word_is_no_row_of_ours() -> None:
    """A cell stays in its row."""
    assert list(plain.table([("a\nb", "c")])) == ["  a b   c"]


async def test_the_control_room_paints_nothing_that_drives_a_terminal() -> None:
    """The last filter takes it out of every line, whatever widget painted it, and no cell moves."""
    app = FleetApp(fleet=SMALL, clock=lambda: NOW)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        shown = Static(HOSTILE, markup=False)
        await app.screen.mount(shown)
        await settle(pilot)
        lines = shown.render_lines(shown.region.reset_offset)
        text = "".join(segment.text for line in lines for segment in line)
        assert text.startswith(harmless.cells(HOSTILE))
        assert not list(_signs(text))
