"""T18: from the start of a node's process until its API answers, and until P1 to its peer is HEALTHY.

The home is an old one, as after a reboot: keys, roster and messages are there, and the peer is up.
"""

import subprocess
import sys
import time
from collections.abc import Iterable
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, p50_at_most
from bench.nodes import Remote, folder, joined, remote, until

NUMBERS = ("T18",)
CALM_S = 1.0


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    control = "python -c pass"
    answers = Line("T18", "process start to API answering", "ms", p50_at_most(500, "ms"), control)
    healthy = Line("T18", "process start to P1 HEALTHY", "ms", p50_at_most(800, "ms"), control)
    with folder() as place, remote(place / "a", "aa") as issuer, remote(place / "b", "bb") as node:
        joined(issuer, node)
        for _ in effort.rounds(10):
            until(lambda: _p1_healthy(node, issuer), "P1 to be healthy")
            time.sleep(CALM_S)
            node.close()
            raw_ms = _pass_ms()
            began = perf_counter()
            node.start()
            answers.ours.append([(perf_counter() - began) * 1000])
            until(lambda: _p1_healthy(node, issuer), "P1 to be healthy")
            healthy.ours.append([(perf_counter() - began) * 1000])
            answers.raw.append([raw_ms])
            healthy.raw.append([raw_ms])
    return [answers, healthy]


def _p1_healthy(node: Remote, peer: Remote) -> bool:
    channels = node.ask("/channels")
    return bool(channels) and channels.get(peer.name, {}).get("nats", {}).get("state") == "HEALTHY"


def _pass_ms() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (perf_counter() - began) * 1000
