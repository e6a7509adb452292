"""T19: `fleet` typed into a terminal, until the first useful screen is painted.

cold        an empty home: keys are made, a broker is started, the screens are imported
re-attach   the node runs and was looked at before
control     the least Textual app, started on the same terminal
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, p50_at_most
from bench.nodes import folder
from bench.pane import ended, fleet, program
from bench.trivial import PAINTED
from engine.daemon import lock

NUMBERS = ("T19",)
USEFUL = "add a machine"
STOP_S = 30


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    control = "trivial Textual app"
    cold = Line("T19", "`fleet` to the first useful screen, cold", "ms", p50_at_most(1200, "ms"), control)
    again = Line("T19", "the same, re-attach", "ms", p50_at_most(300, "ms"), control)
    for _ in effort.rounds(10):
        with folder() as place:
            raw_ms = _trivial_ms()
            cold.ours.append([_opened_ms(place)])
            _opened_ms(place)
            again.ours.append([_opened_ms(place)])
            cold.raw.append([raw_ms])
            again.raw.append([raw_ms])
            _stop(place)
    return [cold, again]


def _trivial_ms() -> float:
    began = perf_counter()
    app = program("-m", "bench.trivial")
    app.expect(PAINTED)
    took_ms = (perf_counter() - began) * 1000
    app.send("q")
    ended(app)
    return took_ms


def _opened_ms(home: Path) -> float:
    began = perf_counter()
    stub = fleet(home)
    stub.expect(USEFUL)
    took_ms = (perf_counter() - began) * 1000
    stub.sendcontrol("z")
    ended(stub)
    return took_ms


def _stop(home: Path) -> None:
    pid = lock.holder(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        lock.await_end(pid, STOP_S)
