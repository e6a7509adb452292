"""A view of many lines of which only the visible ones are ever drawn, and only the changed ones drawn again.

The base of every live view: DataTable repaints all cells for one, RichLog keeps all its lines. Here a line is asked
for when it has to be seen, and `freshen` compares what is seen with what would be seen now.
"""

from collections.abc import Sequence

from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.keymap import MOVES, bindings
from screens.spans import Spans, fit
from screens.widgets.paint import Painted


class Lines(Painted, ScrollView, can_focus=True, inherit_bindings=False):
    """Many lines; a subclass says how many there are and what each says."""

    BINDINGS = bindings("view", MOVES, "move")

    class Resized(Message):
        """There is another number of cells to draw in."""

    # Lines at the top that do not scroll.
    sticky = 0

    _drawn: dict[int, tuple[Spans, str]]

    def total(self) -> int:
        """How many lines scroll."""
        raise NotImplementedError

    def line(self, index: int, size: int) -> Spans:
        """What line `index` says in `size` cells; below 0 it is a sticky one."""
        raise NotImplementedError

    def ground(self, index: int) -> str:
        """The ink beneath line `index`."""
        return ""

    @property
    def inner(self) -> Size:
        """The cells there are to draw in."""
        return self.scrollable_content_region.size

    def seen(self) -> range:
        """The scrolling lines that can be seen."""
        top = round(self.scroll_y)
        return range(top, min(self.total(), top + max(0, self.inner.height - self.sticky)))

    def resized(self) -> None:
        """The number of lines may be another one."""
        self.virtual_size = Size(self.inner.width, self.total() + self.sticky)

    def freshen(self) -> None:
        """Draw again the visible lines that would say something else now, and no other."""
        drawn, inner = self.__dict__.setdefault("_drawn", {}), self.inner
        top, total = round(self.scroll_y), self.total()
        stale = [y for y in range(inner.height) if y in drawn and drawn[y] != self._wanted(y, inner.width, top, total)]
        if stale:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in stale))

    def _wanted(self, y: int, size: int, top: int, total: int) -> tuple[Spans, str]:
        index = y - self.sticky
        if index >= 0:
            index += top
        return (self.line(index, size), self.ground(index)) if index < total else ((), "")

    def render_line(self, y: int) -> Strip:
        """One line, for the compositor."""
        size = self.inner.width
        spans, ground = wanted = self._wanted(y, size, round(self.scroll_y), self.total())
        self.__dict__.setdefault("_drawn", {})[y] = wanted
        return self.strip(fit(spans, size), ground)

    def reveal(self, index: int) -> None:
        """Scroll as little as is needed to see line `index`."""
        height = self.inner.height - self.sticky
        top = round(self.scroll_y)
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif height > 0 and index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)

    def action_move(self, way: str) -> None:
        """A step in one of the eight ways of `keymap.MOVES`."""
        page = max(1, self.inner.height - self.sticky - 1)
        here = round(self.scroll_y)
        steps = {"up": -1, "down": 1, "page_up": -page, "page_down": page, "first": -here, "last": self.total()}
        self.scroll_to(y=max(0, here + steps.get(way, 0)), animate=False)

    def on_resize(self) -> None:
        """Another size: other lines fit, and whoever made them for a width has to make them anew."""
        self.resized()
        self.post_message(self.Resized())


class TextLines(Lines):
    """A fixed list of lines: a panel, a help page, a timeline."""

    _text: Sequence[Spans] = ()

    def total(self) -> int:
        return len(self._text)

    def line(self, index: int, size: int) -> Spans:
        return self._text[index]

    def show(self, text: Sequence[Spans]) -> None:
        """Say this instead."""
        changed = len(text) != len(self._text)
        self._text = text
        if changed:
            self.resized()
        self.freshen()
