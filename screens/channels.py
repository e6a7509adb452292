"""Room 2: every channel to every peer, and why the cell under the cursor is as it is."""

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from engine.model.channel import CHANNELS, Channel, ChannelState
from engine.model.repair import Ran, Repair, digest
from engine.model.story import Page, Query
from screens import channel_lines
from screens import format as say
from screens.channel_rows import SORTS, ChannelRows
from screens.confirm import Confirm
from screens.keymap import ROOMS, bindings
from screens.message_rows import brief
from screens.repair_lines import ILL, outputs, plan_text, repair_of, steps, unaskable
from screens.room import Room
from screens.rungs import Rungs
from screens.sheet import Sheet
from screens.spans import Spans
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import TextLines

NAMES = tuple(CHANNELS)
# Why what is not ill has nothing to repair.
UNILL = {
    ChannelState.HEALTHY: "{channel} to it is healthy: there is nothing to repair",
    ChannelState.UNKNOWN: "{channel} to it is not known to be broken: there is nothing to repair",
    ChannelState.ABSENT: "{channel} cannot be used to it, which no repair changes: {why}",
}
FOR_A_PEER = ("open", "probe", "hold", "repair", "rung", "approve", "why", "mark", "copy", "message")
# Nobody is woken, billed or typed at by a look.
UNPROBED = {
    Channel.CLOUD: "a try would pull the trigger: only a message does",
    Channel.WOL: "a try would switch the machine on: W in 1 does, and asks first",
    Channel.TEXT: "a try would type into a session: only a message does",
}


class Channels(Room):
    """The grid, and the panel of the cell under the cursor."""

    BINDINGS = bindings("channels", ROOMS["channels"])
    name_of_room = "channels"
    filter_hint = "filter: letters of a name, a role, a state; enter keeps it, esc shows all"

    def __init__(self) -> None:
        super().__init__()
        self.sort = SORTS[0]
        self.wanted = ""
        self.wanted_column = CHANNELS[Channel.NATS].number

    def body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield LineGrid(id="grid")
            yield TextLines(id="empty")
            yield TextLines(id="panel")

    def main(self) -> LineGrid:
        return self.query_one("#grid", LineGrid)

    def refresh_body(self) -> None:
        grid = self.main()
        grid.marks = self.marks
        grid.show(self._rows(grid.rows if isinstance(grid.rows, ChannelRows) else None))
        self.set_class(not len(grid.rows), "-empty")
        if not len(grid.rows):
            empty = self.query_one("#empty", TextLines)
            empty.show(channel_lines.nothing(self.query_text, max(20, empty.inner.width)))
        if self.wanted_column >= 0:
            column, self.wanted_column = self.wanted_column, -1
            grid.move_to(grid.cursor, column)
        if self.wanted and grid.put(self.wanted):
            self.wanted = ""

    def _rows(self, before: ChannelRows | None) -> ChannelRows:
        fleet, now, column = self.fleet, self.desk.moment(), self.wanted_column
        here = NAMES[column if column >= 0 else self.main().column]
        return ChannelRows(fleet, now, self.query_text, self.sort, self.desk.plan, self.census(fleet), before, here)

    def peer(self) -> str:
        return self.main().key

    @property
    def channel(self) -> Channel:
        """The channel under the cursor."""
        return NAMES[self.main().column]

    def put(self, node_id: str) -> None:
        """Move the cursor to a peer, now or as soon as it is shown."""
        if not self.main().put(node_id):
            self.wanted = node_id
        self.look()

    def turn(self, channel: Channel) -> None:
        """Move the cursor to a channel, now or as soon as the grid is shown."""
        self.wanted_column = NAMES.index(channel)
        self.look()

    def panel_lines(self, size: int) -> list[Spans]:
        return channel_lines.panel(self.fleet, self.peer(), self.channel, self.desk.moment(), size, self.desk.zone)

    def why_lines(self, size: int) -> list[Spans]:
        return channel_lines.why(self.fleet, self.peer(), self.channel, self.desk.moment(), size, self.desk.plan)

    def summary(self) -> Spans:
        peer = self.peer()
        if not peer:
            return ()
        return channel_lines.title(self.fleet, peer, self.channel, self.desk.moment(), self.size.width - 8)[:4]

    def title_of_item(self) -> str:
        return f"{super().title_of_item()} · {self.channel}"

    # --- verbs ------------------------------------------------------------------------------------------------------

    def refusal(self, verb: str) -> str:
        asked = super().refusal(verb)
        if asked or verb not in FOR_A_PEER:
            return asked
        if not self.peer():
            return "no peer matches; esc shows all again" if self.query_text else "no peers yet; i prints an invite"
        return {"probe": self._unprobed, "hold": self._unheld}.get(verb, lambda: self._unrepairable(verb))()

    def _unprobed(self) -> str:
        """Why a probe of the channel under the cursor would find nothing out, or do more than that."""
        health = self.fleet.health(self.peer(), self.channel)
        if health.state is ChannelState.ABSENT:
            return f"{self.channel} cannot be used to it: {health.reason}"
        return "" if CHANNELS[self.channel].probed else UNPROBED[self.channel]

    def _unheld(self) -> str:
        """Why the channel under the cursor cannot be held back."""
        known = (self.peer(), self.channel) in self.fleet.channels
        return "" if known else f"{self.channel} to it is not set up on this node yet"

    def _unrepairable(self, verb: str) -> str:
        """Why the channel under the cursor cannot be repaired, or has nothing to approve."""
        if verb == "approve":
            found = repair_of(self.fleet, self.peer(), self.channel)
            if found is not None and found.working:
                return "its commands run already"
            return "" if found is not None and found.plan else "no commands wait for you here"
        health = self.fleet.health(self.peer(), self.channel)
        if verb in ("repair", "rung") and health.state not in ILL:
            return UNILL[health.state].format(channel=self.channel, why=health.reason or "it is not set up")
        return unaskable(self.fleet, self.peer(), self.channel) if verb in ("repair", "rung") else ""

    def do_open(self) -> None:
        """The changes of the channel, and the last messages that tried it."""
        peer, channel = self.peer(), self.channel
        found: list[Spans] = [(("reading the log …", "dim"),)]

        def came(page: Page) -> None:
            told = [brief(line, self.desk.zone) for line in page.lines if _took(line.channel, line.path, channel)]
            found[:] = told or [(("no message among the last 200 took it", "dim"),)]
            sheet.look()

        def lines(size: int) -> list[Spans]:
            panel = channel_lines.panel(self.fleet, peer, channel, self.desk.moment(), size, self.desk.zone)
            repair = repair_of(self.fleet, peer, channel)
            done = [(), (("repair", "title"),), *steps(repair, size, self.desk.zone)] if repair else []
            return [*panel, *done, (), (("deliveries", "title"),), *found]

        sheet = Sheet(f"history: {self.title_of_item()}", lines)
        self.app.push_screen(sheet)
        self.desk.ask(sheet, lambda engine: engine.messages(Query(peer=peer, limit=200)), came)

    def do_probe(self) -> None:
        """Try the channel under the cursor now, and say what came back."""
        self._probe(self.channel)

    def do_repair(self) -> None:
        """Begin a repair at its first rung; it goes on by itself."""
        self._repair(1)

    def do_rung(self) -> None:
        """Begin it at the rung that is chosen."""
        self.app.push_screen(Rungs(self.peer(), self.channel), lambda level: self._repair(level) if level else None)

    def _repair(self, level: int) -> None:
        peer, channel, name = self.peer(), self.channel, self.title_of_item()

        def begun(repair: Repair) -> None:
            held = repair.held_until > self.desk.moment().mono
            told = "is held: the hour's limit is reached" if held else f"is at L{repair.level:d}"
            self.desk.note(f"the repair of {name} {told}", "warn" if held else "heal")

        self.desk.ask(self, lambda engine: engine.repair(peer, channel, level), begun)

    def do_approve(self) -> None:
        """Show the commands of the plan, ask, run them, and show what they said."""
        repair = repair_of(self.fleet, self.peer(), self.channel)
        if repair is None:
            return
        name = "this node" if repair.ours else self.fleet.name_of(repair.peer)
        question = Confirm(f"repair {name}", plan_text(self.fleet, repair))

        def done(answer: bool | None) -> None:
            if answer:
                self.desk.note(f"running {say.count(len(repair.plan), 'command')} …", "accent")
                shown = digest(repair.plan)
                self.desk.ask(self.app, lambda engine: engine.approve(repair.peer, repair.channel, shown), self._ran)

        self.app.push_screen(question, done)

    def _ran(self, ran: Sequence[Ran]) -> None:
        self.app.push_screen(Sheet("what the commands said", lambda size: outputs(ran, size)))

    def do_hold(self) -> None:
        """Hold the channel back, or let it in again."""
        peer, channel, name = self.peer(), self.channel, self.title_of_item()
        held = not self.fleet.health(peer, channel).held
        told = f"{name} is held back; x lets it in again" if held else f"{name} is back in the cascade"
        self.desk.ask(self, lambda engine: engine.hold(peer, channel, held), lambda _: self.desk.note(told, "warn"))

    def do_sort(self) -> None:
        """The next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.desk.note(f"sorted by {self.sort}")
        self.look()

    def do_copy(self) -> None:
        """The state in words."""
        lines = self.panel_lines(100)
        self.desk.copy("\n".join("".join(text for text, _ in line).rstrip() for line in lines), "the state in words")

    def state(self) -> dict[str, Any]:
        return {**super().state(), "sort": self.sort, "cursor": self.peer(), "column": self.main().column}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.sort = state["sort"] if state.get("sort") in SORTS else SORTS[0]
        self.wanted = str(state.get("cursor", ""))
        column = state.get("column")
        if isinstance(column, int) and 0 <= column < len(NAMES):
            self.wanted_column = column


def _took(by: Channel | None, path: tuple[Any, ...], channel: Channel) -> bool:
    return by is channel or any(one.channel is channel for one in path)
