"""A sheet over the room: help, why, a timeline, the findings. It follows what happens, and esc closes it."""

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.keymap import SHEET, bindings
from screens.spans import Spans
from screens.widgets.lines import TextLines

Lines = Callable[[int], list[Spans]]


class Sheet(ModalScreen[None], inherit_bindings=False):
    """Lines that are asked for again whenever the value changed, so a sheet is as live as the room behind it."""

    BINDINGS = bindings("sheet", SHEET, "sheet")

    def __init__(self, title: str, lines: Lines) -> None:
        super().__init__()
        self.sheet_title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet") as box:
            box.border_title = f" {self.sheet_title} "
            box.border_subtitle = " esc closes "
            yield TextLines(id="lines")

    def on_mount(self) -> None:
        """First paint."""
        self.call_after_refresh(self.look)

    @on(TextLines.Resized)
    def _resized(self) -> None:
        """Wrap for another width."""
        self.look()

    def says(self, lines: Lines) -> None:
        """Say these lines from now on."""
        self._lines = lines
        self.look()

    def look(self) -> None:
        """Say the newest."""
        if not self.is_mounted:
            return
        lines = self.query_one(TextLines)
        text = self._lines(max(20, lines.inner.width))
        lines.show(text)
        self.query_one("#sheet").styles.height = min(len(text) + 4, max(6, self.size.height - 2))

    def action_sheet(self, verb: str) -> None:
        """`esc`, `q` and `enter` close."""
        self.dismiss(None)


class Plain(Static):
    """Words in a dialog, never markup: a name may hold brackets."""

    def __init__(self, text: str = "", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(text, id=id, classes=classes, markup=False)
