"""T8 between machines: P1 dropped between two network namespaces while twenty messages a second are sent.

Three nodes as processes, each in a namespace, on one bridge; nft at their doors. What is timed is a caller's
`POST /message` until the peer's receipt, over the control socket, with P1 cut and, as control, with nothing cut: the
difference is what the cut costs a message. Needs root.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from bench.effort import Effort
from bench.figures import Line, Samples, worst_at_most
from tests.e2e.node import Node
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab

A_SECOND, CALLERS = 20, 32
LATE_MS = 100.0
CONTROL = "the same with nothing cut"


def lines(effort: Effort) -> Iterable[Line]:
    """How many were late, and how long they took."""
    late = Line("T8", "P1 dropped between machines, 20/s: over 100 ms late", "late", worst_at_most(0, "late"), CONTROL)
    took = Line("T8", "the same: accepted to receipt, at the caller", "ms", worst_at_most(50, "ms"), CONTROL)
    lab = Lab(Bridge())
    try:
        lab.build()
        here, there, _ = lab.nodes
        for _ in effort.rounds():
            lab.together()
            for _ in range(4):  # the first call, with its handshake, is nobody's median
                here.api.post("/check", {"name": there.name})
            calm = _paced(here, there, effort.of(80, 8))
            with lab.fabric.cut(lab.p1(here, there)):
                cut = _paced(here, there, effort.of(80, 8))
            took.ours.append(cut)
            took.raw.append(calm)
            for line, samples in ((late.ours, cut), (late.raw, calm)):
                line.append([float(sum(ms > LATE_MS for ms in samples))])
    finally:
        lab.clear()
    late.note = f"of {len(took.ours[0])} messages a round"
    return late, took


def _paced(here: Node, there: Node, count: int) -> Samples:
    """One every 50 ms, whatever became of those before; milliseconds of each."""

    def one(at: int) -> float:
        time.sleep(max(0.0, began + at / A_SECOND - time.perf_counter()))
        started = time.perf_counter()
        here.post(there.name, "x" * 1024, wait="on_host", timeout=60)
        return (time.perf_counter() - started) * 1000

    with ThreadPoolExecutor(CALLERS) as callers:
        began = time.perf_counter()
        return list(callers.map(one, range(count)))
