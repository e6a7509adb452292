"""The verbs of the whole program: going from room to room, writing, inviting, themes, help, leaving.

A key reaches `perform`, which asks the room whether the verb can work now and says why if not; then the room's own
`do_<verb>` is called, or the one here.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from textual.screen import Screen

from engine.model.story import Left
from fleet_tui.palette import Command, Palette
from fleet_tui.themes import following
from screens import peer_lines
from screens.compose import Compose
from screens.confirm import Confirm
from screens.desk import Desk
from screens.format import count
from screens.invite import InviteCard, Prompt
from screens.keymap import ALWAYS, EVERYWHERE, MOVES, ROOMS, TABS, UNBOUND, Key, key_for
from screens.leaving import DETACHED, STOP, Leaving
from screens.needs import needs
from screens.room import Room
from screens.sheet import Sheet
from screens.spans import Spans, cell, wrap

Answer = TypeVar("Answer")

HELP_LABEL = 13


class Program(Desk, Protocol):
    """The app, as far as its verbs need it."""

    theme: str

    @property
    def no_color(self) -> bool: ...

    @property
    def room(self) -> Room | None: ...

    def go(self, room: str) -> None: ...

    def push_screen(
        self, screen: Screen[Answer], callback: Callable[[Answer | None], None] | None = None
    ) -> object: ...

    def exit(self, result: str | None = None) -> None: ...


class Actions:
    """What the app does for its rooms."""

    def __init__(self, app: Program) -> None:
        self.app = app
        self.visited = -1

    def perform(self, verb: str) -> None:
        """Do what a key stands for, or say why it cannot be done."""
        room = self.app.room
        if room is None:
            return
        reason = room.refusal(verb)
        if reason:
            key = key_for(room.name_of_room, verb)
            self.app.note(f"{key.shown} {key.label}: {reason}" if key else reason, "warn")
            return
        if verb in TABS:
            self.app.go(verb)
            return
        found: Callable[[], None] | None = getattr(room, f"do_{verb}", None) or getattr(self, f"do_{verb}", None)
        if found is None:
            self.app.note(f"{verb} does nothing here")
        else:
            found()

    # --- doing ------------------------------------------------------------------------------------------------------

    def do_next(self) -> None:
        """The oldest thing that needs a person, then the one after it."""
        found = needs(self.app.fleet)
        self.visited = (self.visited + 1) % len(found)
        need = found[self.visited]
        if need.peer:
            self.app.show_peer(need.room, need.peer, need.channel)
        else:
            self.app.go(need.room)
        place = f"{self.visited + 1} of {len(found)}: " if len(found) > 1 else ""
        self.app.note(f"{place}{need.title}{f' · {need.next_step}' if need.next_step else ''}", "warn")

    def do_message(self) -> None:
        """Write to the marked ones, or to the one under the cursor."""
        room, fleet = self.app.room, self.app.fleet
        ids = sorted(room.marks) if room and room.marks else [room.peer()] if room else []
        names = [fleet.name_of(one) for one in ids if one and one != fleet.me.id]
        self.app.push_screen(Compose(", ".join(names)))

    def do_invite(self) -> None:
        """Print a code for another machine."""
        self.app.push_screen(InviteCard())

    def do_join(self) -> None:
        """Join the fleet that a code belongs to."""

        def done(code: str | None) -> None:
            if code:
                joined = "joined; the others appear as they are heard"
                self.app.ask(self.app, lambda engine: engine.join(code), lambda _: self.app.note(joined, "good"))

        self.app.push_screen(Prompt("join a fleet", "The code that the other machine's invite printed:"), done)

    def do_leave(self) -> None:
        """Take this node out of its fleet, after its name was typed."""
        name, fleet = self.app.fleet.me.name, self.app.fleet.roster.fleet_name
        text = (
            f"{name} leaves {fleet}: the others no longer send to it and no longer listen to it. It goes on as a fleet "
            "of its own; coming back takes a new invite."
        )
        if waiting := self.app.fleet.mail.waiting:
            text += f" {count(waiting, 'message')} waiting in the outbox will be given up."

        def done(really: bool | None) -> None:
            if really:
                self.app.ask(self.app, lambda engine: engine.leave(), gone)

        def gone(left: Left) -> None:
            self.app.note(f"{left.name} has left {left.fleet}", "warn")
            if left.given_up or left.untold:
                self.app.push_screen(Sheet(f"{left.name} has left {left.fleet}", lambda size: wrap(left.story, size)))

        self.app.push_screen(Confirm(f"leave {fleet}", text, name), done)

    # --- the control room itself ------------------------------------------------------------------------------------

    def do_findings(self) -> None:
        """All that is wrong."""
        self.app.push_screen(Sheet("findings", lambda size: peer_lines.findings(self.app.fleet, size)))

    def do_theme(self) -> None:
        """The next theme."""
        if self.app.no_color:
            self.app.note("NO_COLOR is set: there is one theme, without colour", "warn")
            return
        self.app.theme = following(self.app.theme)
        self.app.note(f"theme {self.app.theme}")

    def do_help(self) -> None:
        """The keys of this room."""
        room = self.app.room
        if room is not None:
            self.app.push_screen(Sheet(f"keys of {TABS[room.name_of_room].label}", lambda size: help_lines(room, size)))

    def do_palette(self) -> None:
        """The verbs of this room and every peer."""

        def done(chosen: Command | None) -> None:
            if chosen is not None:
                chosen.run()

        self.app.push_screen(Palette(self._commands()), done)

    def do_detach(self) -> None:
        """Leave; the node goes on."""
        self.app.exit(DETACHED)

    def do_quit(self) -> None:
        """Ask what leaving means."""

        def done(answer: str | None) -> None:
            if answer in (DETACHED, STOP):
                self.app.exit(answer)

        self.app.push_screen(Leaving(), done)

    def _commands(self) -> list[Command]:
        room = self.app.room
        if room is None:
            return []
        own = {key.verb: key for key in (*ROOMS[room.name_of_room], *EVERYWHERE)}
        shown = (*(key for key in own.values() if key.verb not in ("palette", "back")), *UNBOUND)
        found = [self._command(key, room) for key in shown]
        fleet = self.app.fleet
        return found + [self._visit(one.name, one.id, one.role) for one in fleet.roster.members if one.present]

    def _command(self, key: Key, room: Room) -> Command:
        return Command(key.label, key.tooltip, key.shown, lambda: self.perform(key.verb), room.refusal(key.verb))

    def _visit(self, name: str, node_id: str, role: str) -> Command:
        return Command(name, f"go to this {role}", "", lambda: self.app.show_peer("peers", node_id))


def help_lines(room: Room, size: int) -> list[Spans]:
    """The keys of a room, from the one table."""
    sections = (
        (TABS[room.name_of_room].label, ROOMS[room.name_of_room]),
        ("everywhere", (*EVERYWHERE, *ALWAYS)),
        ("moving", MOVES),
    )
    lines: list[Spans] = []
    for title, keys in sections:
        lines += [((title, "title"),)]
        for key in keys:
            refused = room.refusal(key.verb)
            shown: Spans = ((f"  {cell(key.shown, 11)}", "key"), (cell(key.label, HELP_LABEL), "strong"))
            said = wrap(key.tooltip + (f" (not now: {refused})" if refused else ""), size - 26, "dim")
            lines += [(*shown, *said[0]), *(((" " * 26, ""), *line) for line in said[1:])]
        lines.append(())
    return lines[:-1]
