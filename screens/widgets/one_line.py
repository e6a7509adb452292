"""One line of the frame: header, tabs, rules and footer. A click on a part of it performs the verb that lies there."""

from textual import events
from textual.message import Message
from textual.strip import Strip

from screens.frame import Framed
from screens.spans import fit
from screens.widgets.paint import Painted


class OneLine(Painted):
    """A line that knows what lies where."""

    class Pressed(Message):
        """A part of the line was clicked."""

        def __init__(self, verb: str) -> None:
            super().__init__()
            self.verb = verb

    framed: Framed = Framed(())

    def show(self, framed: Framed) -> None:
        """Say this instead; nothing is drawn when it says the same."""
        if framed.spans != self.framed.spans:
            self.framed = framed
            self.refresh()
        self.framed = framed

    def render_line(self, y: int) -> Strip:
        """The line, for the compositor."""
        return self.strip(fit(self.framed.spans, self.size.width) if y == 0 else ())

    def on_click(self, event: events.Click) -> None:
        """Perform what lies under the pointer."""
        verb = self.framed.at(event.x)
        if verb:
            self.post_message(self.Pressed(verb))
