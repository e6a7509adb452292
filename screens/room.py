"""A room: one screen of the control room, with the frame around it.

The base of every room. It draws the frame, keeps filter and marks, and performs the verbs that every room has. What a
room says of itself: its body, its panel, which verbs cannot work now and why (`refusal`), and what to do with those
that can (`do_<verb>`). Nothing here awaits: an answer from the engine comes as a call.
"""

from typing import Any, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from engine.model.channel import Channel
from engine.model.finding import Finding, lasted
from engine.state import Fleet
from screens import frame
from screens.census import Census
from screens.channel_lines import answered
from screens.desk import Desk
from screens.keymap import CHANGING, PANES, Key, bindings, footer
from screens.memo import Memo
from screens.needs import Need, needs, told
from screens.sheet import Sheet
from screens.spans import Spans
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import Lines, TextLines
from screens.widgets.one_line import OneLine

# From this width on the panel stands beside the body; below it opens with enter.
PANEL_FROM = 100
READONLY = "this control room is read-only; start it without --readonly"


class Room(Screen[None], inherit_bindings=False):
    """One screen with its frame."""

    BINDINGS = bindings("panes", PANES, "pane")
    name_of_room = ""

    def __init__(self) -> None:
        super().__init__()
        self.ready = False
        self.query_text = ""
        self.marks: frozenset[str] = frozenset()
        self.said: Spans = ()
        self.keys_shown: list[Key] = []
        self.census = Census()
        self.troubles: Memo[list[Finding]] = Memo(told, "findings", "doctor")
        self.needs: Memo[list[Need]] = Memo(
            lambda fleet: needs(fleet, self.census.locked(fleet)),
            "roster",
            "peers",
            "channels",
            "findings",
            "repairs",
            "doctor",
            "mail",
        )

    @property
    def desk(self) -> Desk:
        """The program around us."""
        return cast(Desk, self.app)

    @property
    def fleet(self) -> Fleet:
        """The newest value."""
        return self.desk.fleet

    def compose(self) -> ComposeResult:
        yield OneLine(id="head")
        yield OneLine(id="tabs")
        yield OneLine(id="banner")
        with Horizontal(id="floor"):
            yield from self.body()
        yield Input(id="filter", placeholder=self.filter_hint, compact=True)
        yield OneLine(id="rule")
        yield OneLine(id="keys")

    # --- what a room says of itself ---------------------------------------------------------------------------------

    filter_hint = "filter: letters of a name, a role, a state; enter keeps it, esc shows all"

    def body(self) -> ComposeResult:
        """The widgets between the frame's lines."""
        raise NotImplementedError

    def main(self) -> Widget:
        """The widget that has the cursor."""
        raise NotImplementedError

    def refresh_body(self) -> None:
        """Show the newest value in the body."""
        raise NotImplementedError

    def peer(self) -> str:
        """The node id under the cursor, empty for none."""
        return ""

    def panel_lines(self, size: int) -> list[Spans]:
        """What the panel says of what is under the cursor, in `size` cells."""
        return []

    def summary(self) -> Spans:
        """The same in one line, for where the panel is folded."""
        return ()

    def refusal(self, verb: str) -> str:
        """Why a verb cannot work on what is under the cursor; empty when it can."""
        if verb in CHANGING and self.desk.readonly:
            return READONLY
        why = {
            "message": self._unaddressed,
            "invite": self._put_out,
            "leave": self._alone,
            "next": self._calm,
            "findings": self._well,
        }.get(verb)
        return why() if why else ""

    def _unaddressed(self) -> str:
        """Why nobody can be written to."""
        return self._put_out() or ("nobody to write to; i invites" if self.fleet.alone else "")

    def _put_out(self) -> str:
        """Why nothing of this node's is taken by anybody."""
        return "this node was revoked, and nobody takes anything from it" if self.fleet.revoked else ""

    def _alone(self) -> str:
        """Why there is no fleet to leave."""
        return "" if len(self.fleet.roster.members) > 1 else "this node is alone already"

    def _calm(self) -> str:
        """Why there is nothing to go to."""
        return "" if self.needs(self.fleet) else "nothing needs you"

    def _well(self) -> str:
        """Why there are no findings to show."""
        more = "n goes to what needs you" if self.needs(self.fleet) else "8 has what the doctor found"
        return "" if self.troubles(self.fleet) else f"this node has found nothing wrong by itself; {more}"

    def state(self) -> dict[str, Any]:
        """What comes back at the next start."""
        return {"filter": self.query_text, "marks": sorted(self.marks)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what was open last time; what makes no sense any more is ignored."""
        self.query_text = str(state.get("filter", ""))
        marks = state.get("marks", ())
        self.marks = frozenset(str(one) for one in marks) if isinstance(marks, list | tuple) else frozenset()

    # --- drawing ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """First paint."""
        self.ready = True
        self.restore(self.desk.kept.get(self.name_of_room, {}))
        self.query_one("#filter", Input).value = self.query_text
        self.set_focus(self.main())
        self.look()

    def on_screen_resume(self) -> None:
        """Something may have happened while another room was in front."""
        self.look()

    def on_screen_suspend(self) -> None:
        """Something lies over it, or it is left."""
        self.look()

    def on_resize(self, event: events.Resize) -> None:
        """Another size: fold the panel, or fall back to one line."""
        self._fold(event.size)
        self.call_after_refresh(self.look)

    def _fold(self, size: Size) -> None:
        self.set_class(size.width < frame.TINY[0] or size.height < frame.TINY[1], "-line")
        self.set_class(size.width < PANEL_FROM, "-folded")

    @property
    def folded(self) -> bool:
        """Whether the panel is hidden."""
        return self.has_class("-folded")

    def look(self) -> None:
        """Show the newest value; what says the same is not drawn again."""
        if not self.ready or not self.size.width:
            return
        self.refresh_body()
        self.draw_frame()

    def draw_frame(self) -> None:
        """The lines around the body, and the panel."""
        fleet, size = self.fleet, self.size.width
        counts, need = self.census.counts(fleet), len(self.needs(fleet))
        if self.has_class("-line"):
            self._line("head").show(frame.status(fleet, counts, need, size))
            return
        now = self.desk.moment()
        self._line("head").show(frame.header(fleet, counts, need, now, size, self.desk.zone))
        self._line("tabs").show(frame.tabs(self.name_of_room, size))
        shown = [one for one in self.troubles(fleet) if lasted(one, now.wall_ms)]
        self._line("banner").show(frame.banner(shown, size))
        self._line("rule").show(frame.rule(size, self.said or (self.summary() if self.folded else ()), self._kept()))
        # Under a dialog they do nothing: it names its own.
        here = footer(self.name_of_room) if self.app.screen is self else []
        keys = [key for key in here if not self.refusal(key.verb)]
        framed, self.keys_shown = frame.footer(keys, size)
        self._line("keys").show(framed)
        self.draw_panel()

    def draw_panel(self) -> None:
        """The panel, where it is not folded."""
        if not self.folded:
            panel = self.query_one("#panel", TextLines)
            panel.show(self.panel_lines(max(10, panel.inner.width)))

    def _kept(self) -> Spans:
        kept: list[tuple[str, str]] = []
        if self.query_text:
            kept.append((f"/ {self.query_text}", "accent"))
        if self.marks:
            kept.append((f"{'  ' if kept else ''}{len(self.marks)} marked", "accent"))
        return tuple(kept)

    def _line(self, name: str) -> OneLine:
        return self.query_one(f"#{name}", OneLine)

    def say(self, said: Spans) -> None:
        """Put one line to the person into the rule; nothing takes it away again."""
        self.said = said
        if self.ready:
            self.draw_frame()

    # --- verbs of every room ----------------------------------------------------------------------------------------

    @on(OneLine.Pressed)
    def _pressed(self, event: OneLine.Pressed) -> None:
        self.desk.perform(event.verb)

    @on(LineGrid.Moved)
    def _moved(self) -> None:
        self.draw_frame()

    @on(Lines.Resized)
    def _resized(self) -> None:
        """A pane has its size only after the frame was drawn: what was made for another width is made anew."""
        self.look()

    @on(LineGrid.Opened)
    def _opened(self) -> None:
        self.desk.perform("open")

    def action_pane(self, way: str) -> None:
        """The next pane, or the one before."""
        self.focus_next() if way == "pane" else self.focus_previous()

    def do_filter(self) -> None:
        """Open the line the filter is typed in."""
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        self.set_focus(field)

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self.query_text = event.value
        self.refilter()

    def refilter(self) -> None:
        """The filter is another one."""
        self.look()

    @on(Input.Submitted, "#filter")
    def _kept_filter(self) -> None:
        self.close_filter()

    def close_filter(self) -> None:
        """Back to the list; the filter stays."""
        self.query_one("#filter", Input).remove_class("-open")
        self.set_focus(self.main())

    def do_back(self) -> None:
        """One step back: the filter line, the filter, the marks, the panel."""
        field = self.query_one("#filter", Input)
        if field.has_class("-open") or self.query_text:
            field.value = ""
            self.close_filter()
        elif self.marks:
            self.marks = frozenset()
        self.set_focus(self.main())
        self.look()

    def do_mark(self) -> None:
        """Mark what is under the cursor, or take the mark away."""
        self.marks = self.marks ^ {self.peer()}
        self.look()

    def do_open(self) -> None:
        """All that is known of what is under the cursor, over the whole width."""
        self.app.push_screen(Sheet(self.title_of_item(), self.panel_lines))

    def do_why(self) -> None:
        """Why it is as it is."""
        self.app.push_screen(Sheet(f"why: {self.title_of_item()}", self.why_lines))

    def title_of_item(self) -> str:
        """The name of what is under the cursor."""
        return self.fleet.name_of(self.peer())

    def why_lines(self, size: int) -> list[Spans]:
        """The answer to `w`."""
        return []

    def do_probe(self) -> None:
        """Try every channel to the peer under the cursor, and say what came back."""
        self._probe(None)

    def _probe(self, channel: Channel | None) -> None:
        peer, name = self.peer(), self.fleet.name_of(self.peer())
        self.desk.note(f"probing {self.title_of_item()} …", "heal")
        self.desk.ask(
            self, lambda engine: engine.check(peer, channel), lambda came: self.desk.note(f"{name}: {answered(came)}")
        )
