"""The raw control of the screen: the least Textual app there is (edge). `python -m bench.trivial`."""

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

PAINTED = "this is painted"


class Trivial(App[None]):
    """One line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "leave")]

    def compose(self) -> ComposeResult:
        """That line."""
        yield Static(PAINTED)


if __name__ == "__main__":
    Trivial().run()
