"""T20: from a key to its effect on the terminal, while the engine works off two thousand signals a second.

The second screen shows a hundred peers whose latencies change all the time. `down` and `up` move the cursor; that was
painted when its bar is in another row. Keys come at random moments, so that they hit every phase of the refresh. The
control is the same screen over an engine that rests.
"""

import random
import re
from collections.abc import Iterable
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
# So many rows down, and up again: the list does not scroll.
WALK = 12
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
    app = program("-m", "bench.busy", str(a_second))
    seen = bytearray()
    row = _until(app, seen, None)
    _read_on(app, SETTLE_S)
    samples = []
    for at in range(keys):
        down = at // WALK % 2 == 0
        row += 1 if down else -1
        _read_on(app, chance.uniform(*PAUSE_S))
        began = perf_counter()
        app.send("\x1b[B" if down else "\x1b[A")
        seen.clear()
        _until(app, seen, row)
        samples.append((perf_counter() - began) * 1000)
    app.send("\x1a")
    ended(app)
    return samples


def _until(app: pexpect.spawn, seen: bytearray, wanted: int | None) -> int:
    """The row in which the cursor's bar was painted, once it is the wanted one (None: any)."""
    while True:
        seen += app.read_nonblocking(1 << 16, LIMIT_S)
        for found in PAINTED.finditer(seen):
            row = int(found[1])
            if BAR in found[2] and wanted in (None, row):
                return row


def _read_on(app: pexpect.spawn, seconds: float) -> None:
    """Let the terminal take what is painted meanwhile."""
    ends = perf_counter() + seconds
    while (left := ends - perf_counter()) > 0:
        try:
            app.read_nonblocking(1 << 16, left)
        except pexpect.TIMEOUT:
            return
