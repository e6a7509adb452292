"""Room 8: what is wrong with this machine and this node, why, and the command or key that mends it."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from engine.model.finding import Placed
from screens import doctor_lines
from screens.confirm import Confirm
from screens.doctor_lines import FindingRows
from screens.keymap import ROOMS, bindings
from screens.needs import subject_peer
from screens.room import Room
from screens.sheet import Sheet
from screens.spans import Spans
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import TextLines

# Entering the room looks again only if nobody has for so long.
OLD_S = 60.0
ON_A_FINDING = ("fix", "copy", "why")
NEVER = {"sort": "causes come before symptoms, the gravest first", "mark": "findings are not marked; peers are"}


class Doctor(Room):
    """The findings, and the panel of the one under the cursor."""

    BINDINGS = bindings("doctor", ROOMS["doctor"])
    name_of_room = "doctor"
    filter_hint = "filter: words of a finding, its code, a name; enter keeps it, esc shows all"

    def __init__(self) -> None:
        super().__init__()
        self.looking = False

    def body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield LineGrid(id="findings")
            yield TextLines(id="well")
        yield TextLines(id="panel")

    def main(self) -> Widget:
        """What stands there: the findings, or all that was looked at where there is none."""
        return self.well if self.has_class("-well") else self.grid

    @property
    def grid(self) -> LineGrid:
        """The findings."""
        return self.query_one("#findings", LineGrid)

    @property
    def well(self) -> TextLines:
        """What was looked at."""
        return self.query_one("#well", TextLines)

    def on_mount(self) -> None:
        """First paint, and a look at the machine where nobody has looked lately."""
        super().on_mount()
        self._freshen()

    def on_screen_resume(self) -> None:
        """The same when the room is entered again."""
        super().on_screen_resume()
        self._freshen()

    def _freshen(self) -> None:
        age_s = (self.desk.moment().wall_ms - self.fleet.doctor.checked_ms) / 1_000
        if self.ready and age_s > OLD_S:
            self._look_now(quietly=True)

    def refresh_body(self) -> None:
        found = doctor_lines.placed(self.fleet, self.desk.moment())
        rows = FindingRows(found, self.fleet.name_of, self.query_text)
        self.grid.show(rows)
        had = self.main().has_focus
        self.set_class(not len(rows), "-well")
        if had:
            self.main().focus()
        if not len(rows):
            size = max(20, self.well.inner.width)
            self.well.show(doctor_lines.nothing(self.fleet, self.desk.moment(), size, self.query_text))

    def item(self) -> Placed | None:
        """The finding under the cursor."""
        rows, at = self.grid.rows, self.grid.cursor
        return rows.found[at] if isinstance(rows, FindingRows) and at < len(rows) else None

    def peer(self) -> str:
        one = self.item()
        return subject_peer(self.fleet, one.finding.subject) if one else ""

    def title_of_item(self) -> str:
        one = self.item()
        return one.finding.title if one else "the checks"

    def panel_lines(self, size: int) -> list[Spans]:
        return doctor_lines.panel(self.fleet, self.item(), self.desk.moment(), size)

    def why_lines(self, size: int) -> list[Spans]:
        return doctor_lines.behind(self.fleet, self.item(), self.desk.moment(), size)

    def summary(self) -> Spans:
        one = self.item()
        if one is None:
            return ((doctor_lines.checked(self.fleet, self.desk.moment()), "dim"),)
        return ((one.finding.next_step, "accent"),)

    # --- verbs ------------------------------------------------------------------------------------------------------

    def refusal(self, verb: str) -> str:
        asked = super().refusal(verb)
        if asked or verb in NEVER:
            return asked or NEVER[verb]
        one = self.item()
        if verb in ON_A_FINDING and one is None:
            return "nothing is wrong"
        idle = doctor_lines.idle(one.finding) if one is not None else ""
        if verb == "copy" and idle:
            return idle
        if verb == "fix" and one is not None and not one.finding.fixable:
            return f"Fleet does not mend that itself; {idle or 'y copies what does'}"
        return "looking already" if verb == "examine" and self.looking else ""

    def do_open(self) -> None:
        """The checks behind what is found."""
        self.app.push_screen(Sheet(self.title_of_item(), self.why_lines))

    def do_examine(self) -> None:
        """Run every check now."""
        self._look_now(quietly=False)

    def _look_now(self, *, quietly: bool) -> None:
        if self.looking:
            return
        self.looking = True
        if not quietly:
            self.desk.note("looking at everything …", "heal")

        def looked(_: object) -> None:
            self.looking = False
            if not quietly:
                self.desk.note(*doctor_lines.verdict(self.fleet, self.desk.moment()))
            self.look()

        def failed(error: Exception) -> None:
            self.looking = False
            if not quietly:
                self.desk.note(str(error), "bad")

        size = self.app.size.width, self.app.size.height
        self.desk.ask(self, lambda engine: engine.examine(size), looked, failed)

    def do_fix(self) -> None:
        """Mend what is under the cursor, after a question."""
        one = self.item()
        if one is None:
            return
        finding = one.finding
        about = f"{finding.subject}: " if finding.subject else ""
        text = f"{about}{finding.detail}. By hand it would be: {finding.next_step}"

        def done(answer: bool | None) -> None:
            if answer:
                self.desk.ask(
                    self,
                    lambda engine: engine.fix(finding.code, finding.subject),
                    lambda did: self.desk.note(*doctor_lines.mended(did)),
                )

        self.app.push_screen(Confirm("mend it", text, "fix"), done)

    def do_copy(self) -> None:
        """The exact next step."""
        one = self.item()
        if one is not None:
            self.desk.copy(one.finding.next_step, "the next step")
