"""Rows under a heading, with a cursor: the table of every room.

The rows are a value (`Rows`) that knows its keys and can say any one row; the grid asks only for those in sight. The
cursor stays on its key while rows come, go and change places. A row under the cursor is marked by a bar and by a
ground, so that it is seen without colour; a marked row by a tick.
"""

from collections.abc import Sequence

from textual import events
from textual.message import Message

from screens.spans import Span, Spans, fit
from screens.widgets.lines import Lines

GUTTER = 2


class Rows:
    """What a grid shows. Row `index` is asked for only when it is seen."""

    keys: Sequence[str] = ()
    columns = 0

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        """The identity of a row; empty while it is not known."""
        return self.keys[index]

    def index(self, key: str) -> int:
        """Where a key is now, -1 when it is not here."""
        try:
            return self.keys.index(key)
        except ValueError:
            return -1

    def heading(self, size: int) -> Spans:
        """The names of the columns."""
        return ()

    def row(self, index: int, size: int, column: int) -> Spans:
        """A row in `size` cells; `column` is the one under the cursor, -1 when the cursor is on another row."""
        raise NotImplementedError

    def across(self, column: int, steps: int, size: int) -> int:
        """The column so many steps to the right; a column that is not shown is passed over."""
        return max(0, min(column + steps, self.columns - 1))

    def column_at(self, x: int, size: int) -> int:
        """The column at cell `x`, -1 for none."""
        return -1


class LineGrid(Lines):
    """The view of `Rows`."""

    sticky = 1

    class Moved(Message):
        """The cursor is on another row or column."""

    class Opened(Message):
        """The row under the cursor was clicked once more."""

    class Scrolled(Message):
        """Other rows are in sight."""

    rows: Rows = Rows()
    cursor = 0
    column = 0
    marks: frozenset[str] = frozenset()
    # The key it was on before there was no row left.
    _gone = ""

    @property
    def key(self) -> str:
        """The key under the cursor, empty on an empty grid."""
        return self.rows.key(self.cursor) if self.cursor < len(self.rows) else ""

    def total(self) -> int:
        return len(self.rows)

    def line(self, index: int, size: int) -> Spans:
        inner = size - GUTTER
        if index < 0:
            return ((" " * GUTTER, ""), *self.rows.heading(inner))
        here = index == self.cursor
        gutter: Span = ("▌" if here else " ", "accent" if self.has_focus else "dim")
        mark: Span = ("✓" if self.marks and self.rows.key(index) in self.marks else " ", "accent")
        return (gutter, mark, *self.rows.row(index, inner, self.column if here else -1))

    def ground(self, index: int) -> str:
        return "row" if index == self.cursor and index >= 0 else ""

    def show(self, rows: Rows, *, follow: bool = False) -> None:
        """These rows instead; the cursor stays on its key if the key is still there, or on its row to `follow`."""
        key = "" if follow else self.key or self._gone
        self._gone = "" if len(rows) else key
        changed = len(rows) != len(self.rows)
        self.rows = rows
        if not key or self.cursor >= len(rows) or rows.key(self.cursor) != key:
            at = rows.index(key) if key else -1
            self.cursor = at if at >= 0 else max(0, min(self.cursor, len(rows) - 1))
        if changed:
            self.resized()
        self.freshen()

    def put(self, key: str, column: int | None = None) -> bool:
        """Move the cursor to a key; False when it is not among the rows."""
        at = self.rows.index(key)
        if at >= 0:
            self.move_to(at, self.column if column is None else column)
        return at >= 0

    def move_to(self, row: int, column: int) -> None:
        """Move the cursor, keeping it inside."""
        row = max(0, min(row, len(self.rows) - 1))
        column = self.rows.across(column, 0, self.inner.width - GUTTER)
        if (row, column) != (self.cursor, self.column):
            self.cursor, self.column = row, column
            self.post_message(self.Moved())
        self.reveal(row)
        self.freshen()

    def action_move(self, way: str) -> None:
        page = max(1, self.inner.height - self.sticky - 1)
        rows = {"up": -1, "down": 1, "page_up": -page, "page_down": page, "first": -len(self.rows)}
        row = len(self.rows) if way == "last" else self.cursor + rows.get(way, 0)
        steps = {"left": -1, "right": 1}.get(way, 0)
        self.move_to(row, self.rows.across(self.column, steps, self.inner.width - GUTTER))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there; on the row that has it, open."""
        index = event.y - self.sticky + round(self.scroll_y)
        if event.y < self.sticky or not 0 <= index < len(self.rows):
            return
        column = self.rows.column_at(event.x - GUTTER, self.inner.width - GUTTER)
        if index == self.cursor and column in (-1, self.column):
            self.post_message(self.Opened())
        else:
            self.move_to(index, self.column if column < 0 else column)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are in sight."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())

    def on_resize(self) -> None:
        """Keep the cursor in sight in the new size."""
        super().on_resize()
        self.move_to(self.cursor, self.column)
        self.post_message(self.Scrolled())

    def on_focus(self) -> None:
        """The bar of the cursor is lit."""
        self.freshen()

    def on_blur(self) -> None:
        """The bar of the cursor is dimmed."""
        self.freshen()


def columned(parts: Sequence[tuple[Spans, int]], gap: int = 2) -> Spans:
    """Spans laid into columns of fixed widths."""
    laid: list[Span] = []
    for spans, wide in parts:
        laid += [*fit(spans, wide), (" " * gap, "")]
    return tuple(laid[:-1])
