"""The drill at a terminal (edge): the demo's channels as a live grid, faults on keys, and what came of each.

A plain program and not a screen of the control room: the grid of every node at once is nobody's in a fleet, and here
one person owns them all. It redraws what changed, four times a second; `q` takes everything back and leaves.
"""

import os
import select
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import FleetError
from engine.model.channel import CHANNELS, ChannelState
from fleet_tui import plain
from fleet_tui.call import Call
from fleet_tui.drill import Drill, Fault, rows
from fleet_tui.drill_course import told
from fleet_tui.drill_lines import laid
from screens.spans import cells

TICK_S = 0.25
# A message a second, so that the grid has something to carry.
MAIL_S = 1.0
TOLD = 10
# Every channel is tried within this time, by mail or a probe: what has not failed by now did not fail for anybody.
ENOUGH_S = 10.0
# Mail that a fault holds up is worth no more than the drill.
WORTH_S = 120
CLEAR, HIDE, SHOW = "\x1b[H\x1b[J", "\x1b[?25l", "\x1b[?25h"


class Room:
    """The grid, the keys, and what was told."""

    def __init__(self, call: Call, drill: Drill) -> None:
        self._call, self._drill = call, drill
        self._faults = {fault.key: fault for fault in drill.faults()}
        self._told: deque[str] = deque(maxlen=TOLD)
        self._waiting: tuple[str, float] | None = None
        self._mail, self._posted_at = "", 0.0
        self._drawn: tuple[tuple[int, int], str] | None = None
        self._grid: list[tuple[str, str, dict[str, str]]] = []

    def run(self) -> None:
        """Until `q` or the end of the terminal."""
        with _raw():
            while True:
                key = _key(TICK_S)
                if key in ("q", "Q", "\x03", "\x04", ""):
                    return
                try:
                    self._act(key)
                    self._look()
                except FleetError as error:
                    # A node that is just being stopped or started cannot be asked; it is asked again at once.
                    self._mail = f"{error.title}: {error.detail}"
                self._draw()

    def _act(self, key: str) -> None:
        if key == "h":
            if self._drill.struck():
                self._begin("taken back")
            self._tell(f"h  {self._drill.heal()}")
        elif key in self._faults:
            self._strike(self._faults[key])

    def _strike(self, fault: Fault) -> None:
        self._tell(f"{fault.key}  {fault.does} …")
        self._draw()
        self._begin(fault.does)
        saw = fault.strike()
        self._send()  # at once: a broker is back before the next second's mail could miss it
        self._tell(f"   {saw}; {'h takes it back' if fault.lasts else 'it needs no taking back'}")
        self._tell(f"   what Fleet does: {fault.then}")

    def _begin(self, what: str) -> None:
        self._drill.begin()
        self._waiting = what, time.monotonic()

    def _look(self) -> None:
        if self._waiting is not None:
            what, began = self._waiting
            found = self._drill.course()
            if found.took_s is not None or (not found.open and time.monotonic() - began > ENOUGH_S):
                self._tell(f"   {what}: {told(found)}")
                self._waiting = None
        if time.monotonic() - self._posted_at > MAIL_S:
            self._send()

    def _send(self) -> None:
        self._posted_at = time.monotonic()
        to = self._drill.second
        story = self._drill.send(to, "drill", wait="on_host", timeout=0.2, ttl=WORTH_S)
        way = story["channel"] if story.get("rung") == "on_host" else "nothing yet: it waits, safe on disk"
        self._mail = f"{self._drill.first.name} → {to.name}, a message each second; the last one took {way}"

    def _tell(self, line: str) -> None:
        self._told.append(f"{time.strftime('%H:%M:%S')}  {line}")

    # ------------------------------------------------------------------------------------------------------- to draw

    def _draw(self) -> None:
        size = _size()
        text = "\r\n".join(self._lines(*size))
        if (size, text) != self._drawn:
            self._drawn = size, text
            # No line end behind the last row: it would push the first out of sight.
            sys.stdout.write(CLEAR + text)
            sys.stdout.flush()

    def _lines(self, columns: int, high: int) -> list[str]:
        try:
            self._grid = list(rows(self._drill))
        except FleetError as error:
            self._mail = f"{error.title}: {error.detail}"
        top = [f"The drill: {len(self._drill.demo.nodes)} real nodes in {self._drill.demo.root}", ""]
        grid = self._fitting(columns)
        faults = [f"  {fault.key}  {fault.does}" for fault in self._faults.values()]
        keys = ["", self._mail, "", *faults, "  h  heal: take back what was done      q  leave", ""]
        top, grid, keys, told = ([self._call.drawn(line) for line in part] for part in (top, grid, keys, self._told))
        return laid(top, grid, keys, told, columns, high)

    def _fitting(self, columns: int) -> list[str]:
        """The grid in words, or in signs where words are too wide."""
        grid = list(_table(self._grid, words=True))
        wide = max((cells(self._call.drawn(line)) for line in grid), default=0)
        return grid if wide <= columns else list(_table(self._grid, words=False))


def _table(found: list[tuple[str, str, dict[str, str]]], *, words: bool) -> Iterator[str]:
    """The channels that somebody has, a row for each pair."""
    used = [on for on in CHANNELS if any(states.get(on, _ABSENT) != _ABSENT for _, _, states in found)]
    head = (f"P{CHANNELS[on].number} {on}" if words else f"P{CHANNELS[on].number}" for on in used)
    said = (
        (f"{node} → {peer}", *(_cell(states.get(on, _ABSENT), words) for on in used)) for node, peer, states in found
    )
    yield from plain.table(said, ("", *head))


_ABSENT = str(ChannelState.ABSENT)


def _cell(state: str, words: bool) -> str:
    said = plain.state(state)
    return said if words else said.partition(" ")[0]


def _size() -> tuple[int, int]:
    """Columns and rows, now."""
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.columns or 80, size.lines or 24


@contextmanager
def _raw() -> Iterator[None]:
    """The terminal gives every key at once, and is itself again afterwards."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    sys.stdout.write(HIDE)
    try:
        tty.setraw(number)
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        sys.stdout.write(SHOW + "\n")
        sys.stdout.flush()


def _key(wait_s: float) -> str:
    """The next key, a space when none came in time, nothing at the end of the terminal."""
    ready, _, _ = select.select([sys.stdin.fileno()], [], [], wait_s)
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else " "
