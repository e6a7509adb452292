"""`q`: detach, or stop the node. Staying has the focus; stopping asks for the node's name."""

from typing import cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from screens.confirm import Confirm
from screens.desk import Desk
from screens.format import count
from screens.keymap import LEAVING, bindings
from screens.sheet import Plain

DETACHED = "detached"
STOP = "stop"


class Leaving(ModalScreen[str], inherit_bindings=False):
    """Answers with `detached`, `stop`, or nothing."""

    BINDINGS = bindings("leaving", LEAVING, "dialog")

    @property
    def desk(self) -> Desk:
        """The program around us."""
        return cast(Desk, self.app)

    def compose(self) -> ComposeResult:
        name = self.desk.fleet.me.name
        with Vertical(classes="dialog") as box:
            box.border_title = " leave the control room "
            yield Plain(f"Detach: the terminal comes back, {name} goes on working; `fleet` brings you here again.")
            stop = f"Stop: the node of {name} ends. {self._in_flight()}"
            kept = f"This control room is read-only: it does not stop {name}. `fleet down` does."
            yield Plain(kept if self.desk.readonly else stop, classes="said")
            with Horizontal(classes="buttons"):
                yield Button("Stay (esc)", id="stay", compact=True)
                yield Button("Detach (d)", id="detach", variant="primary", compact=True)
                if not self.desk.readonly:
                    yield Button("Stop (s)", id="stop", variant="error", compact=True)

    def _in_flight(self) -> str:
        waiting = self.desk.fleet.mail.waiting
        if not waiting:
            return "Nothing waits in its outbox; what others send waits with them."
        wait = "waits" if waiting == 1 else "wait"
        return f"{count(waiting, 'message')} in its outbox {wait} until it is started again."

    def on_mount(self) -> None:
        """Doing nothing is the nearest answer."""
        self.set_focus(self.query_one("#stay"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_dialog(event.button.id or "stay")

    def action_dialog(self, verb: str) -> None:
        """The three answers; tab goes round."""
        if verb == "pane":
            self.focus_next()
        elif verb == "pane_back":
            self.focus_previous()
        elif verb == "stop" and not self.desk.readonly:
            name = self.desk.fleet.me.name
            self.app.push_screen(Confirm(f"stop {name}", f"{name} stops. {self._in_flight()}", name), self._stop)
        elif verb != "stop":
            self.dismiss(DETACHED if verb == "detach" else "")

    def _stop(self, really: bool | None) -> None:
        if really:
            self.dismiss(STOP)
