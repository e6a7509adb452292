"""T17: what a node and its broker cost while nothing happens: heartbeats, gossip and probes with one peer."""

import time
from collections.abc import Iterable

from bench.effort import Effort
from bench.figures import Line, p50_at_most
from bench.nodes import folder, joined, remote
from bench.process import bare, cpu_s

NUMBERS = ("T17",)
SETTLE_S = 12.0


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines: node and broker together, and the node alone."""
    window_s = effort.of(20, 2)
    both = Line("T17", "idle CPU of node and broker", "%", p50_at_most(0.5, "% of a core"), "bare asyncio process")
    node = Line("T17", "of it the node", "%", p50_at_most(0.5, "% of a core"), "bare asyncio process")
    with folder() as place, remote(place / "a", "aa") as one, remote(place / "b", "bb") as other:
        joined(one, other)
        process = bare()
        time.sleep(SETTLE_S if not effort.quick else 1.0)
        pids = (one.pid, one.client.get("/status")["broker"]["pid"], process.pid)
        for _ in effort.rounds():
            before = [cpu_s(pid) for pid in pids]
            time.sleep(window_s)
            ours, broker, raw = ((cpu_s(pid) - old) / window_s * 100 for pid, old in zip(pids, before, strict=True))
            both.ours.append([ours + broker])
            node.ours.append([ours])
            both.raw.append([raw])
            node.raw.append([raw])
        process.kill()
        process.wait()
    return [both, node]
