"""`R`: from which rung on a channel is to be repaired. It says what each does to whom, and what the hour has left."""

from typing import cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from engine.model.channel import Channel
from engine.model.repair import Level
from screens.desk import Desk
from screens.keymap import RUNGS, bindings
from screens.repair_lines import NAMES, left, level_of, meaning
from screens.spans import Spans, wrap
from screens.widgets.lines import TextLines


class Rungs(ModalScreen[int], inherit_bindings=False):
    """Answers with the level that was chosen, or nothing."""

    BINDINGS = bindings("rungs", RUNGS, "dialog")

    def __init__(self, peer: str, channel: Channel) -> None:
        super().__init__()
        self.peer, self.channel = peer, channel
        self.chosen = 1

    @property
    def desk(self) -> Desk:
        """The program around us."""
        return cast(Desk, self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = f" repair {self.desk.fleet.name_of(self.peer)} · {self.channel} "
            box.border_subtitle = " 1 2 3 4 or ↑ ↓, enter begins it, esc closes "
            yield TextLines(id="told")

    def on_mount(self) -> None:
        """The next rung is the nearest choice."""
        self.chosen = min(level_of(self.desk.fleet, self.peer, self.channel) + 1, len(Level))
        self.call_after_refresh(self.look)

    @on(TextLines.Resized)
    def _resized(self) -> None:
        """Wrap for another width."""
        self.look()

    def look(self) -> None:
        """Say the newest."""
        if self.is_mounted:
            told = self.query_one(TextLines)
            lines = self.lines(max(20, told.inner.width))
            told.styles.height = len(lines)
            told.show(lines)

    def lines(self, size: int) -> list[Spans]:
        """The four rungs, the chosen one marked."""
        fleet, lines = self.desk.fleet, []
        for level in Level:
            here = level == self.chosen
            said = wrap(meaning(fleet, self.peer, self.channel, level), max(10, size - 14), "" if here else "dim")
            start: Spans = (
                ("▸ " if here else "  ", "accent"),
                (f"L{level:d} {NAMES[level]:<7}", "strong" if here else ""),
            )
            lines += [(*start, *said[0]), *(((" " * 12, ""), *line) for line in said[1:])]
        remain, limit = left(fleet, self.peer, self.desk.moment())
        ink = "dim" if remain else "warn"
        return [
            *lines,
            (),
            *wrap(f"L2 and L3 happen on the other machine: {remain} of {limit} left this hour.", size, ink),
        ]

    def action_dialog(self, verb: str) -> None:
        """A digit chooses and begins; arrows choose, enter begins."""
        if verb == "close":
            self.dismiss(None)
        elif verb == "begin":
            self.dismiss(self.chosen)
        elif verb.startswith("level"):
            self.dismiss(int(verb.removeprefix("level")))
        else:
            self.chosen = (self.chosen - 1 + (1 if verb == "down" else -1)) % len(Level) + 1
            self.look()
