"""Adding a machine: a code that is good once, the one command for the other side, and how long it is good.

Machines nearby that are no members yet are offered with the same command over ssh; they are suggestions, and whoever
brings the code is let in, whatever it is called.
"""

from typing import cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from engine.errors import FleetError
from engine.model.story import Invite
from engine.model.suggestion import Suggestion
from screens.desk import Desk
from screens.format import countdown
from screens.keymap import INVITE, PROMPT, bindings
from screens.sheet import Plain
from screens.spans import Spans, cell, fit, wrap
from screens.widgets.lines import TextLines

# More than these crowd out the command.
OFFERED = 6


class InviteCard(ModalScreen[None], inherit_bindings=False):
    """Asks for an invite and shows it until it is used, over, or closed."""

    BINDINGS = bindings("invite", INVITE, "dialog")

    def __init__(self) -> None:
        super().__init__()
        self.invite: Invite | None = None
        self.error: FleetError | None = None
        self.known = 0
        self.user = ""
        self.nearby: list[Suggestion] | None = None
        self.chosen = 0

    @property
    def desk(self) -> Desk:
        """The program around us."""
        return cast(Desk, self.app)

    @property
    def command(self) -> str:
        """What the other side types; or, for a machine that was chosen, what is typed here."""
        if not self.invite:
            return ""
        return "".join(self._parts(self.invite.code))

    def _parts(self, code: str) -> tuple[str, str, str]:
        """The command as what stands before the code, the code, and what stands behind it."""
        # By standard input: whoever lists the processes of a machine reads their arguments.
        there = f"ssh {self.machine.host} " if self.machine else ""
        return "echo '", code, f"' | {there}fleet join -"

    @property
    def machine(self) -> Suggestion | None:
        """The machine nearby that was chosen."""
        return self.nearby[self.chosen - 1] if self.nearby and self.chosen else None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="invite") as box:
            box.border_title = " add a machine "
            yield TextLines(id="told")

    def on_mount(self) -> None:
        """Ask at once: the dialog has nothing to choose."""
        self.known = len(self.desk.fleet.roster.members)
        self.desk.ask(self, lambda engine: engine.invite(), self._came, self._failed)
        self.desk.ask(self, lambda engine: engine.discover(), self._found, lambda _: self._found([]))
        self.call_after_refresh(self.look)

    @on(TextLines.Resized)
    def _resized(self) -> None:
        """Wrap for another width."""
        self.look()

    def _came(self, invite: Invite) -> None:
        self.invite = invite
        self.look()

    def _found(self, nearby: list[Suggestion]) -> None:
        self.nearby = [one for one in nearby if not one.known_member][:OFFERED]
        self.look()

    def _used(self, user: str) -> None:
        if user:
            self.user = user
            self.look()

    def _failed(self, error: FleetError) -> None:
        self.error = error
        self.look()

    def look(self) -> None:
        """Count down, and see who came: whether by this code only the engine knows, for there may be others."""
        if self.is_mounted:
            if self.invite and not self.user and self._newcomers():
                code = self.invite.code
                self.desk.ask(self, lambda engine: engine.invited(code), self._used)
            copies = "" if self.error else "y copies the command   "
            self.query_one("#invite", Vertical).border_subtitle = f" {copies}esc closes "
            told = self.query_one(TextLines)
            lines = self._lines(max(20, told.inner.width))
            told.styles.height = min(len(lines), max(3, self.size.height - 4))
            told.show(lines)

    def _lines(self, size: int) -> list[Spans]:
        if self.error:
            said = [*wrap(self.error.title, size, "bad"), *wrap(self.error.detail, size)]
            return [*said, *wrap(f"→ {self.error.next_step}", size, "accent")] if self.error.next_step else said
        if not self.invite:
            return [(("asking this node for a code …", "dim"),)]
        left = (self.invite.expires_at - self.desk.moment().wall_ms) / 1_000
        where = "From here, once:" if self.machine else "On the other machine, once:"
        lines = [*wrap(where, size, "dim"), (), *folded(*self._parts(self.invite.code), size), ()]
        if self.user:
            lines += wrap(f"used by {self.user}; esc, then i makes another", size, "warn")
        elif left > 0:
            lines.append((("good once, for another ", "dim"), (countdown(left), "strong")))
        else:
            lines += wrap("This code is over. esc, then i prints another.", size, "warn")
        return [*lines, *self._newcomers(), *self._offers(size)]

    def _offers(self, size: int) -> list[Spans]:
        """Machines nearby, the chosen one marked."""
        if self.nearby is None:
            return [(), (("looking for machines nearby …", "dim"),)]
        if not self.nearby:
            return []
        lines: list[Spans] = [(), *wrap("Or over ssh, to a machine nearby; ↑ ↓ chooses:", size, "dim")]
        for number, one in enumerate(self.nearby, 1):
            here = number == self.chosen
            said = f"{one.source}{f' · {one.note}' if one.note else ''}"
            mark: Spans = (("▸ " if here else "  ", "accent"), (f"{cell(one.name, 20)} ", "strong" if here else ""))
            lines.append(fit((*mark, (said, "dim")), size))
        return lines

    def _newcomers(self) -> list[Spans]:
        members = self.desk.fleet.roster.members
        new = members[self.known :] if len(members) > self.known else ()
        return [(("● ", "good"), (one.name, "strong"), (" has joined", "good")) for one in new]

    def action_dialog(self, verb: str) -> None:
        """`y` copies, arrows choose, `esc` closes."""
        if verb == "close":
            self.dismiss(None)
        elif verb in ("up", "down"):
            self.chosen = (self.chosen + (1 if verb == "down" else -1)) % (len(self.nearby or ()) + 1)
            self.look()
        elif self.command:
            self.desk.copy(self.command, "the command")


def folded(before: str, code: str, behind: str, size: int) -> list[Spans]:
    """A command in lines that a shell reads as one, pasted: it is parted within the quotes only, where `join -` passes
    over the line breaks, or behind the bar."""
    text = before + code
    lines = [text[at : at + size] for at in range(0, len(text), size)]
    if len(lines[-1]) + len(behind) <= size:
        lines[-1] += behind
    elif len(behind) <= size:
        lines.append(behind)
    else:
        start, bar, rest = behind.partition(" | ")
        lines += [start + bar.rstrip(), rest]
    return [((line, "title"),) for line in lines]


class Prompt(ModalScreen[str], inherit_bindings=False):
    """One line asked of the person; answers with it, or with nothing."""

    BINDINGS = bindings("prompt", PROMPT, "dialog")

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.asked, self.text = title, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = f" {self.asked} "
            box.border_subtitle = " enter goes on   esc cancels "
            yield Plain(self.text, classes="said")
            yield Input(id="typed", compact=True)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_dialog(self, verb: str) -> None:
        """`esc` answers with nothing."""
        self.dismiss("")
