"""Writing a message: to whom, what for, the words, whom it reaches and how; and then its receipts, climbing.

Before sending, the engine is asked whom the address means and which channels it would take; after sending, every
recipient has a line that moves as the receipt does. Several recipients are one group: all of it is accepted or nothing.
Closing the dialog stops nothing: the outbox has it. Closed without sending, the words wait for the next message to the
same address.
"""

from typing import cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widgets import Button, Input, TextArea

from engine.errors import FleetError
from engine.model.envelope import FAILED, HEIGHT, TOP, Kind, Rung
from engine.model.roster import ALL
from engine.model.story import Story
from screens.confirm import Confirm
from screens.desk import Desk, Engine, Reach
from screens.format import count
from screens.keymap import COMPOSE, bindings
from screens.message_lines import copy
from screens.room import READONLY
from screens.sheet import Plain
from screens.spans import Spans, cell, wrap
from screens.widgets.choice import Choice
from screens.widgets.lines import TextLines

# How long the address rests before the engine is asked whom it means.
REST_S = 0.15
MANY = 10
# The most lines for whom it reaches; what the rest of the dialog takes, and takes in a terminal lower than LOW.
MOST_REACHED = 8
AROUND, AROUND_LOW, LOW = 19, 12, 24
WORTH = {
    Kind.CONTEXT: "something to know",
    Kind.TASK: "something to do",
    Kind.REPLY: "an answer",
    Kind.ALERT: "needs eyes now",
    Kind.BROADCAST: "to many at once",
    Kind.SYNC: "silent upkeep",
    Kind.REPAIR: "asks it to mend itself",
}


class Compose(ModalScreen[None], inherit_bindings=False):
    """The dialog. `to` is what the address starts with: names parted by commas, `role:worker` or `all`."""

    BINDINGS = bindings("compose", COMPOSE, "dialog")

    def __init__(self, to: str) -> None:
        super().__init__()
        self.to = to
        self.reaches: list[Reach] = []
        self.stories: dict[str, Story] = {}
        self.failure: FleetError | None = None
        self.sent_to: list[str] = []
        self.revision = -1
        self.rest: Timer | None = None
        # What is wrong with the address, and why the last try to send was refused.
        self.wrong = ""
        self.blocked = ""

    @property
    def desk(self) -> Desk:
        """The program around us."""
        return cast(Desk, self.app)

    def compose(self) -> ComposeResult:
        fleet = self.desk.fleet
        names = [one.name for one in fleet.others()]
        with Vertical(classes="dialog", id="compose") as box:
            box.border_title = " message "
            box.border_subtitle = " ctrl+s sends   esc closes "
            with Horizontal(classes="field"):
                yield Plain("to", classes="label")
                yield Input(self.to, id="to", compact=True, suggester=SuggestFromList([*names, ALL]))
            with Horizontal(classes="field"):
                yield Plain("kind", classes="label")
                yield Choice([(kind, WORTH[kind]) for kind in WORTH], id="kind")
            yield TextArea(id="text", compact=True, placeholder="the words", tab_behavior="focus")
            yield TextLines(id="reach")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Send", id="send", variant="primary", compact=True)

    def on_mount(self) -> None:
        """The words are what is missing, unless nobody is named yet; what was left unsent is there again."""
        self.set_focus(self.query_one("#text" if self.to else "#to"))
        if draft := self.desk.drafts.pop(self._address_now(), None):
            kind, words = draft
            self.query_one(Choice).choose(kind)
            text = self.query_one("#text", TextArea)
            text.text = words
            text.move_cursor(text.document.end)
        self._ask_reach()

    @on(TextLines.Resized)
    def _resized(self) -> None:
        """Wrap for another width."""
        self.look()

    def on_resize(self, event: events.Resize) -> None:
        """In a low terminal the words and the recipients have fewer lines: what sends stays in sight."""
        low = event.size.height < LOW
        self.set_class(low, "-low")
        rest = event.size.height - (AROUND_LOW if low else AROUND)
        self.query_one("#reach").styles.max_height = max(3, min(MOST_REACHED, rest))

    # --- whom it reaches --------------------------------------------------------------------------------------------

    @on(TextArea.Changed)
    def _worded(self) -> None:
        if self.blocked:
            self.blocked = ""
            self.look()

    @on(Choice.Changed)
    def _meant(self) -> None:
        """A kind decides which channels may carry it."""
        self._ask_reach()

    @on(Input.Changed, "#to")
    def _address(self) -> None:
        if self.rest:
            self.rest.stop()
        self.rest = self.set_timer(REST_S, self._ask_reach)

    @on(Input.Submitted, "#to")
    def _addressed(self) -> None:
        self.query_one("#text").focus()

    def _ask_reach(self) -> None:
        names = self._names()
        self.reaches, self.wrong = [], "" if names else "name a peer, several with commas, or all"
        for name in names:
            self._ask_one(name)
        self.look()

    def _ask_one(self, name: str) -> None:
        kind = self._kind()

        async def whom(engine: Engine) -> list[Reach]:
            return engine.preview(name, kind)

        self.desk.ask(self, whom, self._reached, self._unknown)

    def _kind(self) -> Kind:
        return Kind(self.query_one(Choice).value)

    def _names(self) -> list[str]:
        return [name.strip() for name in self.query_one("#to", Input).value.split(",") if name.strip()]

    def _address_now(self) -> str:
        return ",".join(sorted(self._names()))

    def _reached(self, reaches: list[Reach]) -> None:
        known = {name for name, _, _ in self.reaches}
        self.reaches += [reach for reach in reaches if reach[0] not in known]
        self.look()

    def _unknown(self, error: FleetError) -> None:
        self.wrong = f"{error.title}: {error.detail}" if error.detail else error.title
        self.look()

    # --- sending ----------------------------------------------------------------------------------------------------

    def _refusal(self) -> str:
        if self.sent_to:
            return "it is sent; esc closes"
        if self.desk.readonly:
            return READONLY
        if self.wrong or not self.reaches:
            return self.wrong or "nobody is named"
        return "" if self.query_one("#text", TextArea).text.strip() else "there are no words to send"

    def send(self) -> None:
        """Send to everyone it reaches; ten or more are counted first."""
        self.blocked = self._refusal()
        if self.blocked:
            self.look()
        elif len(self.reaches) < MANY:
            self._send(True)
        else:
            number = str(len(self.reaches))
            text = f"This message goes to {number} peers: {', '.join(name for name, _, _ in self.reaches[:6])}, …"
            self.app.push_screen(Confirm(f"send to {number}", text, number), self._send)

    def _send(self, really: bool | None) -> None:
        if not really:
            return
        kind, body = self._kind(), self.query_one("#text", TextArea).text
        self.sent_to = [name for name, _, _ in self.reaches]
        to = ",".join(self.sent_to)
        self.desk.ask(self, lambda engine: engine.send(to, body, kind=kind), self._sent, self._refused)
        for field in ("#to", "#kind", "#text"):
            self.query_one(field).disabled = True
        self.query_one("#send").display = False
        self.query_one("#cancel", Button).label = "Close"
        self.query_one("#cancel").focus()
        self.look()

    def _sent(self, stories: list[Story]) -> None:
        for story in stories:
            self._moved(story.to, story)

    def _follow_one(self, name: str, msg_id: str) -> None:
        self.desk.ask(self, lambda engine: engine.story(msg_id), lambda story: self._moved(name, story))

    def _moved(self, name: str, story: Story) -> None:
        self.stories[name] = story
        self.look()

    def _refused(self, error: FleetError) -> None:
        """All of it was, whoever was named."""
        self.failure = error
        self.look()

    def look(self) -> None:
        """Show the newest; ask again for the stories that may have moved."""
        if not self.is_mounted:
            return
        revision = self.desk.fleet.mail.revision
        if revision != self.revision:
            self.revision = revision
            for name, story in self.stories.items():
                if story.rung not in FAILED and HEIGHT[story.rung] < TOP:
                    self._follow_one(name, story.id)
        if self.sent_to:
            goes_on = "; it goes on without you" if self._under_way() else ""
            self.query_one("#compose", Vertical).border_subtitle = f" esc closes{goes_on} "
        reach = self.query_one("#reach", TextLines)
        reach.show(self._lines(max(20, reach.inner.width)))

    def _under_way(self) -> bool:
        """Whether a copy is neither on its host nor given up."""
        if self.failure or len(self.stories) < len(self.sent_to):
            return not self.failure
        there = HEIGHT[Rung.ON_HOST]
        return any(one.rung not in FAILED and HEIGHT[one.rung] < there for one in self.stories.values())

    def _lines(self, size: int) -> list[Spans]:
        if self.sent_to:
            return [*self._together(), *(self._receipt(name) for name in self.sent_to)]
        lines = [
            line for said in dict.fromkeys((self.blocked, self.wrong)) if said for line in wrap(said, size, "warn")
        ]
        if self.reaches:
            lines.append(((f"reaches {count(len(self.reaches), 'peer')}", "dim"),))
        for name, order, reason in self.reaches:
            way = " → ".join(order) or "waits in the outbox"
            lines.append(((cell(name, 14), "strong"), (way, "" if order else "warn")))
            lines += wrap(reason, size, "dim", " " * 14) if reason else []
        return lines

    def _together(self) -> list[Spans]:
        """How far a group is."""
        if len(self.sent_to) < 2 or self.failure:
            return []
        there = sum(HEIGHT.get(story.rung, 0) >= HEIGHT[Rung.ON_HOST] for story in self.stories.values())
        return [((f"{there} of {len(self.sent_to)} on host", "strong" if there else "dim"),)]

    def _receipt(self, name: str) -> Spans:
        if error := self.failure:
            return (("✗ ", "bad"), (cell(name, 14), "strong"), (f"{error.title}  ", "bad"), (error.next_step, "dim"))
        story = self.stories.get(name)
        if story is None:
            return (("· ", "dim"), (cell(name, 14), "strong"), ("being written down …", "dim"))
        return copy(story)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.send() if event.button.id == "send" else self._close()

    def _close(self) -> None:
        """What was not sent is kept for the next time."""
        to, words = self._address_now(), self.query_one("#text", TextArea).text
        if words.strip() and (self.failure or not self.sent_to):
            self.desk.drafts[to] = (self._kind(), words)
            self.desk.note(f"kept, not sent; m to {to.replace(',', ', ') or 'nobody'} goes on with it")
        self.dismiss(None)

    def action_dialog(self, verb: str) -> None:
        """`ctrl+s` sends, `esc` closes, tab goes round."""
        if verb == "send":
            self.send()
        elif verb == "close":
            self._close()
        else:
            self.focus_next() if verb == "pane" else self.focus_previous()
