"""Copying reaches tmux's own buffer, and does no harm where there is no tmux."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_tui.clipboard import in_tmux, load_buffer


@pytest.fixture
def tmux() -> Iterator[list[str]]:
    """A tmux server of our own, with one session."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    command = ["tmux", "-S", str(folder / "s")]
    subprocess.run([*command, "-f", "/dev/null", "new-session", "-d", "sh"], check=True)
    yield command
    subprocess.run([*command, "kill-server"], check=False)


@pytest.mark.slow
@pytest.mark.needs("tmux")
def test_tmux_has_the_text(tmux: list[str]) -> None:
    """`load-buffer` gives the text to the tmux we are in."""
    number = subprocess.run([*tmux, "display-message", "-p", "#{pid}"], capture_output=True, text=True, check=True)
    environment = {"TMUX": f"{tmux[2]},{number.stdout.strip()},0"}
    assert load_buffer("fleet join abc ●", environment)
    shown = subprocess.run([*tmux, "show-buffer"], capture_output=True, text=True, check=True)
    assert shown.stdout == "fleet join abc ●"


def test_without_tmux() -> None:
    """No tmux around us, or one that does not answer: False, and nothing raised."""
    assert not in_tmux({})
    assert not load_buffer("text", {})
    assert not load_buffer("text", {"TMUX": f"/nonexistent/{os.getpid()},1,0"})
