"""T24: how much faster than real time a simulated fleet runs, with the full logic of every node.

Every node is the product's own core: gossip, heartbeats, probes of every pair, sealing and opening of each frame,
mail, a store in memory, an interpreter set as a node's is. What is simulated is the network, the disk's delay and time
itself. A message from every node each ten seconds keeps the mail busy. The first probes of every pair are over before
the clock is read: a fleet boots once. The figure is virtual seconds over seconds of processor time.

Heartbeats are the cost: everybody sends one to everybody each ten seconds, so it grows with the square of the fleet. A
thousand nodes would exchange a hundred thousand a second, and are not run here.
"""

import asyncio
from collections.abc import Iterable
from time import process_time

from bench.effort import Effort
from bench.figures import Line, Target, p50_at_least
from fleet_tui import interpreter
from tests.sim.world import World

NUMBERS = ("T24",)
SETTLED_S = 20.0
CHUNK_S = 5.0


async def measure(effort: Effort) -> Iterable[Line]:
    """One line a size of fleet."""
    return [await asyncio.to_thread(_line, nodes, effort) for nodes in ((10,) if effort.quick else (10, 30, 100))]


def _line(nodes: int, effort: Effort) -> Line:
    target = p50_at_least(100, "x") if nodes == 100 else Target("as it is", lambda line: 0.0)
    line = Line("T24", f"simulated fleet of {nodes}, full logic", "x real time", target)
    for seed in range(effort.of(2, 1) if nodes < 100 else 1):
        line.ours.append(_speeds(nodes, seed, effort.of(6, 2)))
    return line


def _speeds(nodes: int, seed: int, chunks: int) -> list[float]:
    """Virtual seconds for each second of processor time, chunk by chunk."""
    found: list[float] = []

    async def story(world: World) -> None:
        interpreter.tuned()
        await asyncio.sleep(SETTLED_S)
        interpreter.settled()
        sending = world.loop.create_task(world.traffic(int(nodes * chunks * CHUNK_S / 10), chunks * CHUNK_S))
        for _ in range(chunks):
            began = process_time()
            await asyncio.sleep(CHUNK_S)
            found.append(CHUNK_S / (process_time() - began))
        await sending
        await world.calm()

    World(seed, nodes).run(story)
    return found


def main() -> None:
    """Print the speeds of three fleets."""
    for line in asyncio.run(measure(Effort())):
        speeds = sorted(speed for one in line.ours for speed in one)
        print(f"{line.what}: {speeds[len(speeds) // 2]:.1f} times real time ({speeds[0]:.1f} to {speeds[-1]:.1f})")


if __name__ == "__main__":
    main()
