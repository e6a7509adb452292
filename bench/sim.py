"""T24: how much faster than life a simulated fleet runs, with the product's whole logic on.

Engine, seals, gossip, heartbeats, probes and mail are the product's own (`tests/sim`); only time, network and disk are
not. The figure is virtual seconds over seconds of this machine, once the fleet has found itself.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, Target, p
from tests.sim.world import World

NUMBERS = ("T24",)
SETTLE_S = 5.0


async def measure(effort: Effort) -> Iterable[Line]:
    """One line: thirty nodes, of the hundred that are wanted (a taste: ten)."""
    size, virtual_s = effort.of(30, 10), effort.of(10, 5)
    target = Target("≥ 100x", lambda line: p(0.5, line.ours), least=100)
    line = Line("T24", f"{size} simulated nodes, full logic: times real time", "x", target)
    for seed in effort.rounds(2):
        line.ours.append([await asyncio.to_thread(_ratio, seed, size, float(virtual_s))])
    return [line]


def _ratio(seed: int, size: int, virtual_s: float) -> float:
    took: list[float] = []

    async def story(world: World) -> None:
        await asyncio.sleep(SETTLE_S)
        began = perf_counter()
        await world.traffic(size, virtual_s)
        took.append(perf_counter() - began)

    World(seed, size).run(story)
    return virtual_s / took[0]
