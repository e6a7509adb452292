"""T20: from a key to its effect on the terminal, while the engine works off two thousand signals a second.

The second screen shows a hundred peers whose latencies change all the time. `up` and `down` move the cursor; that was
painted when its bar is in another row. Keys come at random moments, so that they hit every phase of the refresh. The
control is the same screen over an engine that rests.

Going up first and down again, the cursor moves from wherever the first keys, which a starting program takes all at
once, have left it; going on in one direction, the list would scroll under a cursor that stands still.
"""

import random
import re
from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter

import pexpect

from bench.busy import A_SECOND, PEERS
from bench.effort import Effort
from bench.figures import Line, Samples, tail_at_most
from bench.pane import LIMIT_S, ended, program

NUMBERS = ("T20",)
PAUSE_S = (0.02, 0.15)
SEED = 20
SETTLE_S = 1.0
UP, DOWN = "\x1b[A", "\x1b[B"
BAR = "▌".encode()
# A row of the screen, and what was painted there from it on: text and colours up to the next move.
PAINTED = re.compile(rb"\x1b\[(\d+);\d+H((?:[^\x1b]|\x1b\[[0-9;]*m)*)")


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    keys = effort.of(80, 10)
    line = Line(
        "T20",
        f"key to paint, {A_SECOND:,} engine events/s, {PEERS} peers",
        "ms",
        tail_at_most(0.95, 50, "ms"),
        "the same screen, engine at rest",
        note="sessions are not there yet",
    )
    chance = random.Random(SEED)
    for _ in effort.rounds():
        line.raw.append(_pressed(0, keys, chance))
        line.ours.append(_pressed(A_SECOND, keys, chance))
    return [line]


def _pressed(a_second: int, keys: int, chance: random.Random) -> Samples:
    eye = Eye(program("-m", "bench.busy", str(a_second)))
    while eye.row is None:
        eye.read(LIMIT_S)
    eye.watch(SETTLE_S)
    eye.wake()
    samples = []
    for at in range(keys):
        eye.watch(chance.uniform(*PAUSE_S))
        before, began = eye.row, perf_counter()
        eye.app.send(DOWN if at % 2 else UP)
        eye.until_other(before)
        samples.append((perf_counter() - began) * 1000)
    eye.app.send("\x1a")
    ended(eye.app)
    return samples


class Eye:
    """Reads what is painted, and keeps the row in which the cursor's bar was painted last."""

    def __init__(self, app: pexpect.spawn):
        self.app = app
        self.row: int | None = None
        self._unread = b""

    def read(self, limit_s: float) -> None:
        """The next bytes. Raises `pexpect.TIMEOUT` when nothing is painted for so long."""
        seen = self._unread + self.app.read_nonblocking(1 << 16, limit_s)
        begins = 0
        for found in PAINTED.finditer(seen):
            begins = found.start()
            if BAR in found[2]:
                self.row = int(found[1])
        # A read may end within a row: the last one is looked at again with the rest of it.
        self._unread = seen[begins:]

    def until_other(self, row: int | None) -> None:
        """Read until the bar is in another row. Raises `TimeoutError` when it does not get there."""
        ends = perf_counter() + LIMIT_S
        while self.row == row:
            if (left := ends - perf_counter()) <= 0:
                raise TimeoutError(f"the cursor stays in row {row}")
            with suppress(pexpect.TIMEOUT):
                self.read(left)

    def wake(self) -> None:
        """Press until the cursor moves: a screen that has only just been painted may not listen yet."""
        before, ends = self.row, perf_counter() + LIMIT_S
        while self.row == before and perf_counter() < ends:
            self.app.send(DOWN)
            self.watch(SETTLE_S)

    def watch(self, seconds: float) -> None:
        """Take what is painted meanwhile."""
        ends = perf_counter() + seconds
        while (left := ends - perf_counter()) > 0:
            try:
                self.read(left)
            except pexpect.TIMEOUT:
                return
