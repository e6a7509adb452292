"""A question before something that cannot be undone: it names what is touched, and enter alone does nothing.

Where a word is given it has to be typed, so that no key pressed by habit can answer yes: what is typed goes there, and
until it stands there the button is shut. Where none is, Cancel has the focus and a second key is enough.
"""

from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from screens.keymap import DIALOG, bindings
from screens.sheet import Plain


class Confirm(ModalScreen[bool], inherit_bindings=False):
    """Answers True only after the name was typed, or, without one, after Yes was chosen."""

    BINDINGS = bindings("dialog", DIALOG, "dialog")

    def __init__(self, title: str, text: str, name: str = "") -> None:
        super().__init__()
        self.asked, self.text, self.word = title, text, name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = f" {self.asked} "
            yield Plain(self.text, classes="said")
            if self.word:
                yield Plain(f"Type {self.word} to go on:", classes="ask")
                yield Input(id="typed", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                variant: Literal["error", "primary"] = "error" if self.word else "primary"
                yield Button(self.asked, id="yes", variant=variant, compact=True, disabled=bool(self.word))

    def on_mount(self) -> None:
        """What is asked for is typed at once; else doing nothing is the nearest answer."""
        self.set_focus(self.query_one("#typed" if self.word else "#cancel"))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes").disabled = event.value.strip() != self.word

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip() == self.word:
            self.dismiss(True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_dialog(self, verb: str) -> None:
        """`esc` is no; tab goes round."""
        if verb == "close":
            self.dismiss(False)
        elif verb == "pane":
            self.focus_next()
        else:
            self.focus_previous()
