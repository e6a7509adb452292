"""P8, text: the last hop into a terminal, which only the machine itself can go (edge).

Mail for a session comes over any channel that carries frames and is on its host then. Typing it is that host's deed
(`typist`), decided by its own rules and its owner's consent; so this transport tells whether a peer has such sessions,
and carries nothing there. It also makes the terminals of this machine by the kind their owner named.
"""

from collections.abc import Callable

from engine.model.channel import Channel, Outcome, Verdict
from engine.model.hop import Allowed
from engine.transports.base import Arrivals, Target
from engine.transports.text.osascript import Tab
from engine.transports.text.terminal import Terminal
from engine.transports.text.tmux import Pane

ONLY_THERE = Outcome(Verdict.BARRED, "only the machine itself types", hard=True)


class Text:
    """Channel P8, as seen from another machine."""

    channel = Channel.TEXT

    def ready(self, target: Target) -> str | None:
        """Why not: nobody there has opted in."""
        return None if target.ways.seats else "no session opted in"

    async def listen(self, arrived: Arrivals) -> None:
        """Nothing comes this way."""

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Never: a frame is nothing to be typed, and no machine types into another."""
        return ONLY_THERE

    async def close(self) -> None:
        """Nothing is kept."""


# Kinds of terminals, by the word in the list of those that were opted in.
TERMINALS: dict[str, Callable[[Allowed], Terminal]] = {
    "tmux": lambda seat: Pane(seat.socket, seat.pane, seat.stamp),
    "terminal": lambda seat: Tab("Terminal", seat.pane),
    "iterm2": lambda seat: Tab("iTerm2", seat.pane),
}
