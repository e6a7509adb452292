"""Notices on the desktop: what is run, how often, and what is said when nothing could be shown."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from engine.deeds.notice import APART_S, Desktop, commanded
from engine.effects import Notify
from engine.signals import Signal, Told

SAID = "nas has not taken an alert yet; it stays queued"
TOLD = Notify("id-nas", SAID)


class Seat:
    """A desktop session whose `notify-send` writes down how it was called, and whoever is told of the findings."""

    def __init__(self, script: str = 'printf "%s\\n" "$@" >> "$(dirname "$0")/argv"') -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        program = self.folder / "notify-send"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.heard: list[Signal] = []
        self.now = 10_000.0
        environ = {"PATH": f"{self.folder}:{os.defpath}", "DISPLAY": ":0"}
        self.desktop = Desktop(self.heard.append, lambda: self.now, environ)

    def argv(self) -> list[str]:
        """The arguments of every call, one after another."""
        return (self.folder / "argv").read_text().splitlines()

    def how(self) -> str:
        """What came of the last notice."""
        signal = self.heard[-1]
        assert isinstance(signal, Told)
        assert signal.peer == "id-nas"
        return signal.how


@pytest.mark.slow
async def test_the_notice_names_the_peer_and_the_kind_alone() -> None:
    """One call, urgent, with the text as one argument; that it was shown is told."""
    seat = Seat()
    await seat.desktop.tell(TOLD)
    assert seat.argv() == ["--urgency=critical", "--app-name=Fleet", "--expire-time=30000", "Fleet", SAID]
    assert seat.how() == "the desktop was told"


@pytest.mark.slow
async def test_one_a_minute_and_peer() -> None:
    """A second one within the minute is not shown; another peer's is, and the same peer's a minute later."""
    seat = Seat()
    await seat.desktop.tell(TOLD)
    seat.now += APART_S - 1
    await seat.desktop.tell(TOLD)
    await seat.desktop.tell(Notify("id-pi", SAID.replace("nas", "pi")))
    seat.now += 1
    await seat.desktop.tell(TOLD)
    assert [line.split()[0] for line in seat.argv() if line.endswith("queued")] == ["nas", "pi", "nas"]
    assert len(seat.heard) == 3


@pytest.mark.slow
async def test_a_program_that_fails_is_told() -> None:
    """With the reason."""
    seat = Seat("exit 3")
    await seat.desktop.tell(TOLD)
    assert seat.how() == f"the desktop could not be told: {_program(seat)} ended with 3"


@pytest.mark.slow
async def test_a_desktop_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended at its deadline, and that is what is told."""
    monkeypatch.setattr("engine.deeds.notice.DEADLINE_S", 0.2)
    seat = Seat("exec sleep 600")
    await seat.desktop.tell(TOLD)
    assert "gave no answer in 0.2 s" in seat.how()


async def test_a_program_that_cannot_start_is_told() -> None:
    """A file that is no program is an answer like any other."""
    seat = Seat()
    (seat.folder / "notify-send").write_bytes(b"\0\0\0\0")
    await seat.desktop.tell(TOLD)
    assert "the desktop could not be told: " + _program(seat) in seat.how()


def _program(seat: Seat) -> str:
    return str(seat.folder / "notify-send")


@pytest.mark.parametrize(
    ("platform", "environ", "why"),
    [
        ("linux", {"PATH": "/nowhere"}, "this node runs in no desktop session"),
        ("linux", {"PATH": "/nowhere", "WAYLAND_DISPLAY": "wayland-0"}, "there is no notify-send"),
        ("darwin", {"PATH": "/nowhere"}, "there is no osascript"),
    ],
)
def test_why_nothing_can_be_shown(platform: str, environ: dict[str, str], why: str) -> None:
    """No session, or no program."""
    assert commanded("x", platform, environ) == why


def test_a_name_cannot_leave_its_quotes_on_macos() -> None:
    """What a script is made of is quoted."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    (folder / "osascript").touch(0o755)
    command = commanded('a "name" \\ here', "darwin", {"PATH": str(folder)})
    assert command[1:] == ("-e", 'display notification "a \\"name\\" \\\\ here" with title "Fleet"')
