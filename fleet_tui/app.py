"""The control room: one app that shows one frozen value and asks one engine.

It holds the newest `Fleet` and pulls the next one ten times a second (twice when nobody looks), so that a thousand
events a second cost one repaint, and no change costs none. Rooms are modes, built when they are first entered. It
ends with a reason, `detached` or `stop`; whoever started it does what the reason says.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from operator import attrgetter
from os import environ
from pathlib import Path, PurePath
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from rich.console import RenderableType
from textual import events, on
from textual.app import App
from textual.binding import BindingType
from textual.driver import Driver
from textual.filter import LineFilter, NoColor
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, TextArea

from engine.clock import SystemClock
from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.moment import Moment
from engine.state import Fleet
from fleet_tui import memory
from fleet_tui.actions import Actions
from fleet_tui.ascii import Ascii, Harmless
from fleet_tui.bridge import Bridge
from fleet_tui.clipboard import in_tmux, load_buffer
from fleet_tui.themes import FALLBACK, NAMES, PLAIN, THEMES
from screens.desk import Engine
from screens.keymap import ALWAYS, EVERYWHERE, TABS, bindings
from screens.leaving import DETACHED
from screens.roll import Plan, no_plan
from screens.room import Room
from styles import SHEETS

Answer = TypeVar("Answer")

PULL_S = 0.1
WIDTHS = [(0, "-tiny"), (70, "-narrow"), (100, "-normal"), (140, "-wide")]
# Of the pulls while the terminal has no focus, one in so many: 2 Hz.
BLURRED = 5
NOTE_S = 6.0
# Two presses of ctrl+c within so long leave the control room.
TWICE_S = 2.0
# The event of a screen being there; what Textual says of its type is wrong.
MOUNTED = attrgetter("_mounted_event")
NO_ENGINE = FleetError("node.absent", "No engine behind this picture", "", "start a node: fleet up", Fault.WORLD)


def _peers() -> Screen[None]:
    from screens.peers import Peers

    return Peers()


def _channels() -> Screen[None]:
    from screens.channels import Channels

    return Channels()


def _messages() -> Screen[None]:
    from screens.messages import Messages

    return Messages()


def _doctor() -> Screen[None]:
    from screens.doctor import Doctor

    return Doctor()


@runtime_checkable
class HasPeers(Protocol):
    """A room whose cursor can be put on a peer."""

    def put(self, node_id: str) -> None: ...


@runtime_checkable
class HasChannels(Protocol):
    """A room whose cursor can be put on a channel."""

    def turn(self, channel: Channel) -> None: ...


class Answered(Message):
    """An answer of the engine, on its way to who asked."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver


class FleetApp(App[str], inherit_bindings=False):
    """The program around the rooms; `screens.desk.Desk` says what the rooms may ask of it.

    `fleet`: a bridge to a live engine, or a value to look at without one. `plan`: the order of the next message's
    channels. `memory_file`: where what was open is kept. `zone`: the time zone shown (None: this machine's).
    """

    TITLE = "fleet"
    CSS_PATH: ClassVar[list[str | PurePath]] = [*SHEETS]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app", EVERYWHERE), *bindings("always", ALWAYS)]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "peers": _peers,
        "channels": _channels,
        "messages": _messages,
        "doctor": _doctor,
    }
    DEFAULT_MODE = "peers"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS

    def __init__(
        self,
        fleet: Fleet | Bridge,
        *,
        readonly: bool = False,
        ascii: bool = False,
        clock: Callable[[], Moment] | None = None,
        zone: tzinfo | None = None,
        plan: Plan = no_plan,
        memory_file: Path | None = None,
        theme: str = "",
        driver_class: type[Driver] | None = None,
    ) -> None:
        loaded = memory.load(memory_file)
        self.kept: dict[str, Any] = {
            key: value for key, value in loaded.items() if key not in TABS or isinstance(value, dict)
        }
        self.drafts: dict[str, tuple[str, str]] = {}
        super().__init__(driver_class=driver_class)
        self.bridge = fleet if isinstance(fleet, Bridge) else None
        self.fleet: Fleet = fleet.fleet if isinstance(fleet, Bridge) else fleet
        self.readonly, self.zone, self._plan, self._memory_file = readonly, zone, plan, memory_file
        self._clock = clock or SystemClock().now
        self._filters_last: list[LineFilter] = [Harmless(), *([Ascii()] if ascii else [])]
        self._actions = Actions(self)
        self._pulls, self._second, self._blurred = 0, 0, False
        self._note_timer: Timer | None = None
        self._planned_for: Fleet | None = None
        self._planned: dict[str, tuple[Channel, ...]] = {}
        self._interrupted = -TWICE_S
        for one in THEMES:
            self.register_theme(one)
        self.theme = self._first_theme(theme)

    def _first_theme(self, configured: str) -> str:
        if self.no_color:
            return PLAIN
        for name in (self.kept.get("theme"), configured):
            if name in NAMES:
                return str(name)
        return NAMES[0]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What a theme that is not ours lacks."""
        return FALLBACK

    def get_line_filters(self) -> Sequence[LineFilter]:
        """NO_COLOR takes every colour; what no terminal may be sent, and ASCII, are the last words."""
        shown = [NoColor()] if self.no_color else super().get_line_filters()
        return [*shown, *self._filters_last]

    # --- life -------------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Pull while there is an engine, and enter the room that was open last."""
        if self.bridge:
            self.set_interval(PULL_S, self._pull)
        last = self.kept.get("room")
        if last in TABS and last != self.DEFAULT_MODE:
            self.switch_mode(last)

    def exit(self, result: str | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """End, with what is open now as what comes back next time."""
        self._remember()
        super().exit(result, return_code, message)

    def on_unmount(self) -> None:
        """Keep what was open; however this ended, it is at least what was open at the last change of room."""
        memory.save(self._memory_file, self.kept)

    def _remember(self) -> None:
        self.kept["theme"] = self.theme if self.theme in NAMES else self.kept.get("theme", "")
        if self.room:
            self.kept["room"] = self.room.name_of_room
        self.kept |= {room.name_of_room: room.state() for room in self._rooms() if room.ready}

    def _rooms(self) -> list[Room]:
        return [screen for stack in self._screen_stacks.values() for screen in stack if isinstance(screen, Room)]

    async def on_event(self, event: events.Event) -> None:
        """Do the keys of one read one by one: what the first opened is there, and has the focus, before the next is
        looked at. Left to Textual, all of them would go to what had it when the first came."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            await MOUNTED(self.screen).wait()
            if self.app_focus and not isinstance(self.focused, Input | TextArea):
                key = event.key
                if await self._check_bindings(key, priority=True) or await self._check_bindings(key):
                    return
        await super().on_event(event)

    def _pull(self) -> None:
        """Take the newest value; repaint only if it is another one, or a second has passed for the ages."""
        self._pulls += 1
        if self.bridge is None or (self._blurred and self._pulls % BLURRED):
            return
        fleet, second = self.bridge.fleet, int(self._clock().mono)
        if fleet is not self.fleet or second != self._second:
            self.fleet, self._second = fleet, second
            self.look()

    def look(self) -> None:
        """Show the newest value in everything that is in sight."""
        for screen in self.screen_stack:
            look = getattr(screen, "look", None)
            if look:
                look()

    @on(events.AppBlur)
    def _app_blurred(self) -> None:
        self._blurred = True

    @on(events.AppFocus)
    def _app_focused(self) -> None:
        self._blurred = False

    # --- what the rooms may ask (screens.desk.Desk) -----------------------------------------------------------------

    @property
    def room(self) -> Room | None:
        """The room in front, whatever lies over it."""
        return next((screen for screen in self.screen_stack if isinstance(screen, Room)), None)

    def moment(self) -> Moment:
        """This moment, on the clock we were given."""
        return self._clock()

    def plan(self, peer: str) -> tuple[Channel, ...]:
        """The order of the next message's channels; nothing for a peer that nobody can plan for."""
        if self.fleet is not self._planned_for:
            self._planned_for, self._planned = self.fleet, {}
        if peer not in self._planned:
            try:
                self._planned[peer] = () if self.fleet.revoked else self._plan(peer)
            except FleetError:
                self._planned[peer] = ()
        return self._planned[peer]

    def ask(
        self,
        owner: object,
        question: Callable[[Engine], Awaitable[Answer]],
        then: Callable[[Answer], None],
        failed: Callable[[FleetError], None] | None = None,
    ) -> None:
        """Ask the engine; the answer comes as a message, and is dropped if `owner` is gone by then."""

        def deliver(answer: Any, error: FleetError | None) -> None:
            if isinstance(owner, Widget) and not owner.is_attached:
                return
            if error is None:
                then(answer)
            else:
                (failed or self._failed)(error)

        if self.bridge is None:
            deliver(None, NO_ENGINE)
        else:
            self.bridge.ask(question, lambda answer, error: self._hand_over(lambda: deliver(answer, error)))

    def _hand_over(self, deliver: Callable[[], None]) -> None:
        self.post_message(Answered(deliver))

    @on(Answered)
    def _answered(self, event: Answered) -> None:
        event.deliver()

    def _failed(self, error: FleetError) -> None:
        self.note(" · ".join(part for part in (error.title, error.detail, error.next_step) if part), "bad")

    def note(self, text: str, ink: str = "dim") -> None:
        """Say one line, for a while."""
        if self._note_timer:
            self._note_timer.stop()
        room = self.room
        if room is not None:
            room.say(((text, ink),))
            self._note_timer = room.set_timer(NOTE_S, lambda: room.say(()))

    def perform(self, verb: str) -> None:
        """Do what a key stands for, or say why it cannot be done."""
        self._actions.perform(verb)

    def action_do(self, verb: str) -> None:
        """A key was pressed."""
        if verb in ("interrupt", "suspend"):
            self._leave(verb)
        else:
            self.perform(verb)

    def _leave(self, verb: str) -> None:
        """`ctrl+z` detaches; so does the second of two `ctrl+c`."""
        now = self._clock().mono
        if verb == "suspend" or now - self._interrupted < TWICE_S:
            self.exit(DETACHED)
        else:
            self._interrupted = now
            self.note("ctrl+c once more detaches; the node goes on", "warn")

    def go(self, room: str) -> None:
        """Enter a room."""
        if self._note_timer:
            self._note_timer.stop()
        for one in self._rooms():
            one.said = ()
        self.switch_mode(room)
        self._remember()

    def show_peer(self, room: str, peer: str, channel: Channel | None = None) -> None:
        """Enter a room with the cursor on a peer, and on a channel to it where the room has those."""
        self.go(room)
        # A room that was never entered takes the cursor up as if it had been there last time.
        self.kept[room] = {**self.kept.get(room, {}), "cursor": peer}
        if channel is not None:
            self.kept[room] |= {"column": list(Channel).index(channel)}
        for one in self._rooms():
            if one.name_of_room == room and one.ready and isinstance(one, HasPeers):
                one.put(peer)
                if channel is not None and isinstance(one, HasChannels):
                    one.turn(channel)

    def copy(self, text: str, what: str) -> None:
        """Put `text` on the clipboard by OSC 52, and through tmux where there is one."""
        self.copy_to_clipboard(text)
        if in_tmux(environ):
            self.run_worker(lambda: load_buffer(text, environ), thread=True, exit_on_error=False)
        self.note(f"copied: {what}", "good")
