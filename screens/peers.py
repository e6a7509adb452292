"""Room 1, home: the fleet as a map, or the same peers as a table."""

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from engine.model.peer import Peer, Standing
from engine.model.repair import Repair
from engine.model.wayside import Woken
from engine.state import Fleet
from screens import peer_lines
from screens.chart import FOLD, Drawing, Seen, alone, cards, shown_members
from screens.chart_groups import folded
from screens.confirm import Confirm
from screens.doctor_lines import ticks
from screens.fuzzy import matching
from screens.keymap import ROOMS, bindings
from screens.peer_rows import SORTS, PeerRows, words
from screens.repair_lines import unrepairable
from screens.roll import condition
from screens.room import Room
from screens.sheet import Sheet
from screens.spans import Spans
from screens.widgets.chart_view import ChartView
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import TextLines


class Peers(Room):
    """The map, the table, and the panel of the peer under the cursor."""

    BINDINGS = bindings("peers", ROOMS["peers"])
    name_of_room = "peers"

    def __init__(self) -> None:
        super().__init__()
        self.table = False
        self.sort = SORTS[0]
        self.wanted = ""

    def body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield ChartView(id="map")
            yield LineGrid(id="table")
        yield TextLines(id="panel")

    def main(self) -> Widget:
        return self.grid if self.table else self.map

    @property
    def map(self) -> ChartView:
        """The map."""
        return self.query_one("#map", ChartView)

    @property
    def grid(self) -> LineGrid:
        """The table."""
        return self.query_one("#table", LineGrid)

    def refresh_body(self) -> None:
        self.set_class(self.table, "-table")
        if self.table:
            self.grid.marks = self.marks
            self.grid.show(PeerRows(self.fleet, self.desk.moment(), self.query_text, self.sort, self.desk.plan))
            if self.wanted and self.grid.put(self.wanted):
                self.wanted = ""
        else:
            self._draw_map()

    def _draw_map(self) -> None:
        """Draw it; where the cursor's peer is gone, the cursor goes to the first."""
        drawing = self._drawing()
        known = {spot.id for spot in drawing.spots}
        here = self.wanted if self.wanted in known else self.map.here
        if here not in known and drawing.spots:
            here = drawing.spots[0].id
        if here != self.map.here:
            self.map.here = here
            drawing = self._drawing()
        self.wanted = ""
        self.map.show(drawing)

    def _drawing(self) -> Drawing:
        fleet, size = self.fleet, max(12, self.map.inner.width)
        seen = Seen(fleet, self.desk.moment(), self.desk.plan, self.map.here, self.marks)
        everyone = shown_members(fleet)
        shown = matching(self.query_text, everyone, lambda one: words(fleet, one))
        # A node that was put out stands in its own roster no more: one other may be all that is left.
        if fleet.alone:
            return alone(seen, size)
        return cards(seen, shown, size) if len(shown) <= FOLD else folded(seen, shown, size)

    def peer(self) -> str:
        return self.grid.key if self.table else self.map.here

    def put(self, node_id: str) -> None:
        """Move the cursor to a peer, now or as soon as it is shown."""
        if not (self.grid if self.table else self.map).put(node_id):
            self.wanted = node_id
        self.look()

    @on(LineGrid.Moved)
    def _redraw(self) -> None:
        """On the map the cursor is part of the drawing."""
        if not self.table:
            self._draw_map()

    def panel_lines(self, size: int) -> list[Spans]:
        return peer_lines.panel(self.fleet, self.peer(), self.desk.moment(), size, self.desk.plan, self.desk.zone)

    def why_lines(self, size: int) -> list[Spans]:
        return peer_lines.why(self.fleet, self.peer(), self.desk.moment(), size, self.desk.plan)

    def summary(self) -> Spans:
        peer = self.peer()
        if not peer:
            return ()
        how = condition(self.fleet, peer)
        said = peer_lines.state(how, self.desk.moment())
        return ((f"{how.look.glyph} ", how.look.ink), (self.fleet.name_of(peer), "strong"), (f"  {said}", "dim"))

    # --- verbs ------------------------------------------------------------------------------------------------------

    def refusal(self, verb: str) -> str:
        asked = super().refusal(verb)
        if asked or verb not in (
            "open",
            "probe",
            "onboard",
            "repair",
            "hold",
            "revoke",
            "wake",
            "why",
            "mark",
            "copy",
            "sort",
        ):
            return asked
        return _refused(self.fleet, self.peer(), verb, self.table)

    def do_view(self) -> None:
        """The map becomes a table, the table a map; the cursor stays on its peer."""
        peer = self.peer()
        self.table = not self.table
        self.refresh_body()
        self.main().focus()
        self.call_after_refresh(self.put, peer)

    def do_sort(self) -> None:
        """The next order of the table."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.desk.note(f"sorted by {self.sort}")
        self.look()

    def do_repair(self) -> None:
        """Repair the channel in the worst state; the ladder goes on by itself."""
        peer, name = self.peer(), self.title_of_item()

        def begun(repair: Repair) -> None:
            self.desk.note(f"the repair of {repair.channel} to {name} is at L{repair.level:d}", "heal")

        self.desk.ask(self, lambda engine: engine.repair(peer), begun)

    def do_hold(self) -> None:
        """Go where a channel can be held."""
        self.desk.show_peer("channels", self.peer())
        self.desk.note("choose a channel with ← →, then x holds it back")

    def do_onboard(self) -> None:
        """The ten checks of this machine and that one, ticked as they come."""
        peer, name = self.peer(), self.title_of_item()
        sheet = Sheet(f"onboarding {name}", lambda size: ticks(self.fleet.doctor.ticks.get(peer, ()), size))
        self.app.push_screen(sheet)
        self.desk.ask(sheet, lambda engine: engine.onboarded(peer), lambda _: sheet.look())

    def do_copy(self) -> None:
        """The peer's name and id."""
        peer = self.peer()
        self.desk.copy(f"{self.fleet.name_of(peer)} {peer}", "name and id")

    def do_wake(self) -> None:
        """Switch a machine on, after a second key; what came of it is said, and "sent" is not "awake"."""
        name = self.title_of_item()
        text = (
            f"Magic packets go to every network of this node, and whoever sits on {name}'s is asked to send them too. "
            "They switch a sleeping machine on; whether it came is said within a minute."
        )

        def done(answer: bool | None) -> None:
            if answer:
                self.desk.note(f"waking {name} …")
                self.desk.ask(self.app, lambda engine: engine.wake(name), self._woken)

        self.app.push_screen(Confirm(f"wake {name}", text), done)

    def _woken(self, one: Woken) -> None:
        self.desk.note(f"{one.name} is awake", "good")

    def do_revoke(self) -> None:
        """Put a machine out, after its name was typed."""
        name = self.title_of_item()
        text = (
            f"{name} is refused on every channel as soon as the others hear of it, and cannot come back without a "
            f"new invite. Messages that wait for {name} are given up. Work on {name} itself is not touched."
        )

        def done(answer: bool | None) -> None:
            if answer:
                told = f"{name} is revoked"
                self.desk.ask(self, lambda engine: engine.revoke(name), lambda _: self.desk.note(told, "warn"))

        self.app.push_screen(Confirm(f"revoke {name}", text, name), done)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "table": self.table, "sort": self.sort, "cursor": self.peer()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.table = state.get("table") is True
        self.sort = state["sort"] if state.get("sort") in SORTS else SORTS[0]
        self.wanted = str(state.get("cursor", ""))


def _refused(fleet: Fleet, peer: str, verb: str, table: bool) -> str:
    """Why a verb cannot work on this peer."""
    own = peer == fleet.me.id
    if verb == "repair" and peer and not own:
        return unrepairable(fleet, peer)
    if verb == "sort":
        return "" if table else "the map has one order; v shows the table"
    if not peer:
        return "no peer matches; esc shows all again"
    reasons = {
        "probe": "this is the node you are on: it has no channel to itself",
        "onboard": "this is the node you are on; `fleet doctor`, or 8, looks at it",
        "repair": "this is the node you are on: `fleet repair --local` mends it",
        "hold": "this is the node you are on: it has no channel to itself",
        "wake": "this is the node you are on: it is awake",
        "revoke": "a node does not revoke itself; `fleet leave` takes it out",
        "mark": "this is the node you are on: nothing to send to it",
    }
    if verb == "wake" and not own:
        return _unwakable(fleet, peer)
    return reasons.get(verb, "") if own else ""


def _unwakable(fleet: Fleet, peer: str) -> str:
    """Why a machine cannot be woken."""
    if fleet.peers.get(peer, Peer(peer)).standing is Standing.ALIVE:
        return "it is awake: it was heard a moment ago"
    ways = fleet.ways_of(peer)
    known = ways.nics or (ways.ssh and ways.ssh.start)
    return "" if known else "it told of no network card"
