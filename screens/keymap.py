"""Every key of the control room, in one table. Bindings, the footer and the help are read from it; nobody else binds.

A key names a verb. Who performs it, and whether it can work on what is under the cursor, is asked of the room at the
moment it is pressed, so a key that cannot work is answered with the reason and never with silence. `rank` orders the
footer: the lowest stay longest when a line is short; 0 keeps a key out of the footer, in help only. `GENERAL` stand at
its end, whatever their rank.
"""

from functools import partial
from typing import NamedTuple

from textual.binding import Binding, BindingType


class Key(NamedTuple):
    """One key: the verb it asks for, the keys that ask it, how the footer and help name it."""

    verb: str
    keys: str
    shown: str
    label: str
    tooltip: str
    rank: int = 0
    priority: bool = False
    changes: bool = False


# A key whose verb changes something, here or on another machine: `--readonly` refuses it.
Act = partial(Key, changes=True)


EVERYWHERE = (
    Key("peers", "1", "1", "Peers", "the map of the fleet, or its table"),
    Key("channels", "2", "2", "Channels", "every channel to every peer"),
    Key("messages", "6", "6", "Messages", "the log of everything sent and received"),
    Key("doctor", "8", "8", "Doctor", "what is wrong here, why, and what mends it"),
    Act("message", "m", "m", "message", "write a message to this peer, to the marked ones, or to all", 20),
    Act("invite", "i", "i", "invite", "print a code that lets another machine join", 60),
    Key("next", "n", "n", "next need", "go to the oldest thing that needs you", 45),
    Key("findings", "F", "F", "findings", "what is wrong, why, and what to do", 46),
    Key("why", "w", "w", "why", "explain what is under the cursor", 40),
    Key("filter", "slash", "/", "filter", "show only what matches; esc shows all again", 70),
    Key("sort", "s", "s", "sort", "sort by the next column", 75),
    Key("mark", "space", "space", "mark", "mark this one; m then writes to all that are marked", 77),
    Key("copy", "y", "y", "copy", "copy what is under the cursor", 76),
    Key("palette", "colon,ctrl+p", ":", "command", "the verbs of this screen and every peer, by name", 36),
    Key("theme", "t", "t", "theme", "the next theme: dark, light, contrast, colour-blind safe"),
    Key("help", "question_mark", "?", "help", "the keys of this screen", 1),
    Key("back", "escape", "esc", "back", "one step back: closes, then clears the filter, then the marks"),
    Key("detach", "D", "D", "detach", "leave the control room; the node goes on", 38),
    Key("quit", "q", "q", "quit", "asks: detach, or stop the node", 37),
)

# Heard before any widget: also while a text is being typed.
ALWAYS = (
    Key("suspend", "ctrl+z", "ctrl+z", "detach", "leave the control room; the node goes on", priority=True),
    Key("interrupt", "ctrl+c", "ctrl+c ×2", "detach", "twice leaves the control room; the node goes on", priority=True),
)

PEERS = (
    Key("open", "enter", "enter", "open", "all that is known of this peer", 10),
    Key("view", "v", "v", "map/table", "the same peers as a map or as a table", 30),
    Key("probe", "p", "p", "probe", "try every channel to this peer now", 25),
    Act("repair", "r", "r", "repair", "repair this peer's worst channel", 22),
    Act("hold", "x", "x", "hold", "go to this peer's channels, to hold one back", 65),
    Act("onboard", "o", "o", "onboard", "ten checks of this machine and that one: keys, clock, channels, mail", 84),
    Act("wake", "W", "W", "wake", "switch this machine on over its network; asks first", 82),
    Act("revoke", "X", "X", "revoke", "put this machine out of the fleet; asks first", 85),
)
CHANNELS = (
    Key("open", "enter", "enter", "history", "the changes and the deliveries of this channel", 10),
    Act("repair", "r", "r", "repair", "repair this channel: note it, then ask its machine, then go on", 22),
    Act("rung", "R", "R", "rung", "choose the rung a repair begins at", 28),
    Act("approve", "A", "A", "approve", "run the commands that wait for you; shows them and asks first", 12),
    Key("probe", "p", "p", "probe", "try this channel now", 25),
    Act("hold", "x", "x", "hold", "keep this channel out of the cascade, or let it back in", 30),
)
MESSAGES = (
    Key("open", "enter", "enter", "timeline", "everything that happened to this message", 10),
    Key("follow", "f", "f", "follow", "stay at the newest, or hold the list still", 30),
    Act("resend", "R", "R", "resend", "try again now, under the same id: it never arrives twice", 35),
)
DOCTOR = (
    Key("open", "enter", "enter", "checks", "the checks behind this finding, and its cause", 10),
    Key("examine", "exclamation_mark", "!", "look now", "run every check now", 15),
    Act("fix", "f", "f", "fix", "mend this, where it is safe; asks first", 12),
)

# Verbs too rare for a key: the palette has them.
UNBOUND = (
    Act("join", "", "", "join", "join the fleet that a code belongs to"),
    Act("leave", "", "", "leave", "take this node out of its fleet; asks first"),
)

MOVES = (
    Key("up", "up,k", "↑ k", "up", "one up"),
    Key("down", "down,j", "↓ j", "down", "one down"),
    Key("left", "left,h", "← h", "left", "one to the left"),
    Key("right", "right,l", "→ l", "right", "one to the right"),
    Key("page_up", "pageup,ctrl+b", "pgup", "page up", "a page up"),
    Key("page_down", "pagedown,ctrl+f", "pgdn", "page down", "a page down"),
    Key("first", "g,home", "g", "first", "to the first"),
    Key("last", "G,end", "G", "last", "to the last"),
)

PANES = (
    Key("pane", "tab", "tab", "next pane", "the next pane: list, panel"),
    Key("pane_back", "shift+tab", "shift+tab", "pane before", "the pane before"),
)
DIALOG = (Key("close", "escape", "esc", "cancel", "closes this question; nothing happens"), *PANES)
COMPOSE = (
    Key("send", "ctrl+s,ctrl+enter", "ctrl+s", "send", "sends to everyone it reaches", priority=True),
    Key("close", "escape", "esc", "close", "closes; what was sent goes on", priority=True),
    *PANES,
)
INVITE = (
    Key("copy", "y", "y", "copy", "copies the command for the other machine"),
    Key("up", "up,k", "↑ k", "up", "the machine above", priority=True),
    Key("down", "down,j", "↓ j", "down", "the machine below", priority=True),
    Key("close", "escape,q,enter", "esc", "close", "closes; the code stays good until it is used or over"),
)
RUNGS = (
    *(
        Key(f"level{level}", str(level), str(level), f"L{level}", f"begins the repair at rung {level}")
        for level in range(1, 5)
    ),
    Key("up", "up,k", "↑ k", "up", "the rung before", priority=True),
    Key("down", "down,j", "↓ j", "down", "the rung after", priority=True),
    Key("begin", "enter", "enter", "begin", "begins at the marked rung"),
    Key("close", "escape,q", "esc", "close", "closes; nothing happens"),
)
PROMPT = (Key("close", "escape", "esc", "cancel", "closes; nothing happens"),)
LEAVING = (
    Key("detach", "d", "d", "detach", "the terminal comes back, the node goes on"),
    Key("stop", "s", "s", "stop", "stops the node; its name has to be typed"),
    Key("stay", "escape", "esc", "stay", "closes this question"),
    *PANES,
)
CHOICE = (
    Key("left", "left,h,up", "←", "before", "the one before"),
    Key("right", "right,l,down,space", "→", "after", "the one after"),
)
PALETTE = (
    Key("up", "up", "↑", "up", "one up", priority=True),
    Key("down", "down", "↓", "down", "one down", priority=True),
    Key("close", "escape", "esc", "close", "closes; nothing happens", priority=True),
)
SHEET = (Key("close", "escape,q,enter", "esc", "close", "closes this sheet"),)

# What is done from anywhere and to nothing in particular.
GENERAL = frozenset({"palette", "quit", "detach"})
ROOMS = {"peers": PEERS, "channels": CHANNELS, "messages": MESSAGES, "doctor": DOCTOR}
CHANGING = frozenset(key.verb for keys in (EVERYWHERE, UNBOUND, *ROOMS.values()) for key in keys if key.changes)
TABS = {key.verb: key for key in EVERYWHERE[:4]}


def bindings(scope: str, keys: tuple[Key, ...], action: str = "app.do") -> list[BindingType]:
    """The table as Textual wants it; `fleet.<scope>.<verb>` is the id by which a key can be remapped."""
    return [
        Binding(
            key.keys, f"{action}('{key.verb}')", key.label, show=False, tooltip=key.tooltip, priority=key.priority,
            id=f"fleet.{scope}.{key.verb}",
        )
        for key in keys
    ]  # fmt: skip


def footer(room: str) -> list[Key]:
    """The keys a room's footer may show, the most useful first."""
    shown = [key for key in (*ROOMS[room], *EVERYWHERE) if key.rank]
    return sorted(shown, key=lambda key: key.rank)


def key_for(room: str, verb: str) -> Key | None:
    """How a verb is asked for in a room."""
    return next((key for key in (*ROOMS.get(room, ()), *EVERYWHERE, *MOVES) if key.verb == verb), None)
