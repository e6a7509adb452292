"""A program on a terminal of our own, for measuring what it paints and when (edge)."""

import os
import sys
from pathlib import Path

import pexpect

from bench.nodes import ROOT, environ

SIZE = (40, 120)
LIMIT_S = 30


def program(*arguments: str, env: dict[str, str] | None = None) -> pexpect.spawn:
    """A Python program of this checkout on a terminal of 120x40. `expect` returns as soon as a text was painted."""
    clean = {"TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TMUX", "TEXTUAL_THEME")}
    child = pexpect.spawn(
        sys.executable, list(arguments), env={**base, **clean}, cwd=str(ROOT), dimensions=SIZE, timeout=LIMIT_S
    )
    child.delaybeforesend = None
    return child


def fleet(home: Path, name: str = "aa") -> pexpect.spawn:
    """`fleet`, which opens the control room of `home`'s node and starts it if none runs."""
    return program("-m", "fleet_tui", "--home", str(home), env=environ(name))


def ended(child: pexpect.spawn) -> None:
    """Return once it has gone."""
    child.expect(pexpect.EOF)
    child.close()
