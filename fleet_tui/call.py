"""One call of a command (edge): what was asked, which home it means, the node that answers, and where output goes.

stdout is output: one JSON value with `--json`, calm text without. stderr is everything else. A command returns its
exit status and raises `FleetError` for what it cannot do; nothing here ends the process.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.api.client import Client
from engine.errors import Fault, FleetError
from fleet_tui import harmless
from fleet_tui.place import api_socket, home_of

# Below, a fold would leave nothing that can be read.
NARROWEST = 40


class Call:
    """The arguments of one command and its way to the world."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.home: Path = home_of(args.home)
        self.as_json: bool = args.json
        self.readonly: bool = args.readonly
        self.ascii: bool = args.ascii or not _can_draw()

    @cached_property
    def node(self) -> Client:
        """The node of this home; whether it runs shows at the first question."""
        return Client(api_socket(self.home))

    @cached_property
    def width(self) -> int:
        """The columns that lines are to fit in; 0 where nobody sits: what goes on to a program is a line a row."""
        if not sys.stdout.isatty():
            return 0
        with suppress(OSError):
            return max(os.get_terminal_size(1).columns, NARROWEST)
        return 0

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """The command's answer: `value` with `--json`, else `lines`."""
        if self.as_json:
            print(harmless.as_json(value, 2 if sys.stdout.isatty() else None), flush=True)
        else:
            self.say(*lines)

    def say(self, *lines: str) -> None:
        """Lines of output for a person."""
        for line in lines:
            print(self.drawn(line).rstrip(), flush=True)

    def row(self, value: Any, line: str) -> None:
        """One row of an answer without end: a line of JSON, or of text."""
        print(harmless.as_json(value) if self.as_json else self.drawn(line), flush=True)

    def line(self, value: Any) -> None:
        """One row of an answer that only programs read: a line of JSON, whatever was asked for."""
        print(harmless.as_json(value), flush=True)

    def tell(self, *lines: str) -> None:
        """A word beside the output: progress, hints, next steps. Silent with `--json`."""
        if not self.as_json:
            for line in lines:
                print(self.drawn(line).rstrip(), file=sys.stderr, flush=True)

    def drawn(self, line: str) -> str:
        """A line in what this terminal can draw, and nothing that drives it."""
        line = harmless.line(line)
        if not self.ascii:
            return line
        from screens.glyphs import ASCII

        return line.translate(ASCII)

    def confirm(self, question: str) -> None:
        """Ask a person before what cannot be undone. Raises `FleetError` `refused.unconfirmed`.

        Only where somebody sits: a script that names the verb has said what it wants."""
        if self.args.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return
        print(f"{harmless.line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise FleetError("refused.unconfirmed", "Nothing was done", "", "`--yes` answers beforehand", Fault.THEIRS)


def _can_draw() -> bool:
    return os.environ.get("TERM") != "dumb" and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
