"""One of a few: arrows or blanks go through them, in one line and without a list that opens."""

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip

from screens.keymap import CHOICE, bindings
from screens.spans import Spans, fit
from screens.widgets.paint import Painted


class Choice(Painted, can_focus=True, inherit_bindings=False):
    """Values with what they are good for."""

    BINDINGS = bindings("choice", CHOICE, "choose")

    class Changed(Message):
        """Another one was chosen."""

    def __init__(self, values: Sequence[tuple[str, str]], id: str | None = None) -> None:
        super().__init__(id=id)
        self.values = values
        self.at = 0

    def choose(self, value: str) -> None:
        """Have this one chosen, if there is such a one."""
        self.at = next((at for at, (one, _) in enumerate(self.values) if one == value), self.at)

    @property
    def value(self) -> str:
        """The chosen one."""
        return self.values[self.at][0]

    def render_line(self, y: int) -> Strip:
        """The chosen one between arrows, and its worth."""
        value, worth = self.values[self.at]
        arrows = "accent" if self.has_focus else "faint"
        spans: Spans = (("‹ ", arrows), (value, "strong"), (" ›", arrows), (f"   {worth}", "dim"))
        return self.strip(fit(spans if y == 0 else (), self.size.width))

    def action_choose(self, way: str) -> None:
        """The one before or after, round and round."""
        self.at = (self.at + (1 if way == "right" else -1)) % len(self.values)
        self.refresh()
        self.post_message(self.Changed())

    def on_click(self, event: events.Click) -> None:
        """The next one."""
        self.action_choose("right")
