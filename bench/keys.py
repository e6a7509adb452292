"""T20: from a key to its effect on the terminal, while the engine works off two thousand signals a second.

The second screen shows a hundred peers whose latencies change all the time. `down` moves the cursor; it has been
painted when the panel names the next peer. Keys come at random moments, so that they hit every phase of the refresh.
The control is the same screen over an engine that rests.
"""

import random
import time
from collections.abc import Iterable
from time import perf_counter

import pexpect

from bench.busy import A_SECOND, PEERS
from bench.effort import Effort
from bench.figures import Line, Samples, tail_at_most
from bench.pane import ended, program

NUMBERS = ("T20",)
PAUSE_S = (0.02, 0.15)
SEED = 20
SETTLE_S = 1.0


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
    app.expect_exact(_panel(0))
    time.sleep(SETTLE_S)
    samples = []
    for at in range(1, keys + 1):
        _read_on(app, chance.uniform(*PAUSE_S))
        began = perf_counter()
        app.send("\x1b[B")
        app.expect_exact(_panel(at))
        samples.append((perf_counter() - began) * 1000)
    app.send("\x1a")
    ended(app)
    return samples


def _panel(at: int) -> bytes:
    """What the panel says once the cursor is on this peer."""
    return f"p{at:03} · nats".encode()


def _read_on(app: pexpect.spawn, seconds: float) -> None:
    """Let the terminal take what is painted meanwhile."""
    ends = perf_counter() + seconds
    while (left := ends - perf_counter()) > 0:
        try:
            app.read_nonblocking(1 << 16, left)
        except pexpect.TIMEOUT:
            return
