"""The palette: the verbs of the room in front and every peer by name, found by a few letters."""

from collections.abc import Callable
from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from screens.fuzzy import best
from screens.keymap import PALETTE, bindings
from screens.spans import Spans, cell, fit, sides
from screens.widgets.line_grid import LineGrid, Rows


class Command(NamedTuple):
    """One thing to do: its name, what it does, the key that does it too, and why it cannot be done now."""

    name: str
    tooltip: str
    key: str
    run: Callable[[], None]
    refused: str = ""


class Commands(Rows):
    """The commands that match."""

    def __init__(self, commands: list[Command]) -> None:
        self.commands = commands
        self.keys = [f"{at}" for at in range(len(commands))] or [""]

    def row(self, index: int, size: int, column: int) -> Spans:
        if not self.commands:
            return fit((("no verb of this screen and no peer matches", "dim"),), size)
        one = self.commands[index]
        name = min(34, max(16, size // 2))
        said = one.refused or one.tooltip
        left: Spans = ((cell(one.name, name), "faint" if one.refused else "strong"), (f" {said}", "dim"))
        return sides(left, ((one.key, "key"),), size) if one.key else left


class Palette(ModalScreen[Command | None], inherit_bindings=False):
    """Answers with the chosen command."""

    BINDINGS = bindings("palette", PALETTE, "dialog")

    def __init__(self, commands: list[Command]) -> None:
        super().__init__()
        self.commands = commands

    def compose(self) -> ComposeResult:
        with Vertical(id="palette", classes="dialog") as box:
            box.border_title = " command "
            box.border_subtitle = " enter does it   esc closes "
            yield Input(id="sought", placeholder="a verb, or a peer", compact=True)
            yield LineGrid(id="found")

    def on_mount(self) -> None:
        """Everything matches nothing typed."""
        self.grid.can_focus = False
        self.grid.sticky = 0
        self.set_focus(self.query_one("#sought"))
        self.call_after_refresh(lambda: self._find(self.query_one("#sought", Input).value))

    @property
    def grid(self) -> LineGrid:
        """The list."""
        return self.query_one("#found", LineGrid)

    def _find(self, sought: str) -> None:
        self.grid.cursor = 0
        self.grid.show(Commands(best(sought, self.commands, lambda one: f"{one.name} {one.tooltip}")), follow=True)
        self.grid.scroll_to(y=0, animate=False)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value)

    @on(Input.Submitted)
    @on(LineGrid.Opened)
    def _chosen(self) -> None:
        rows = self.grid.rows
        if isinstance(rows, Commands) and rows.commands:
            self.dismiss(rows.commands[self.grid.cursor])

    def action_dialog(self, verb: str) -> None:
        """Arrows move in the list while letters go to the line above it."""
        if verb == "close":
            self.dismiss(None)
        else:
            self.grid.action_move(verb)
