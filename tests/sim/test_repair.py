"""Repairs in the simulated fleet: a broken broker is mended by whoever should, and a flapping channel wakes nobody."""

import asyncio
from collections.abc import Callable

import pytest

from engine.config import Config, HealthConfig, RepairConfig
from engine.model.channel import Channel
from engine.model.repair import Action
from tests.sim.node import SimNode
from tests.sim.world import World

HOUR_S = 3_600.0


def world(**repair: object) -> World:
    quiet = HealthConfig(probe_s=15.0)
    return World(11, 3, Config(repair=RepairConfig(**repair), health=quiet))  # type: ignore[arg-type]


def cut_off(world: World, node: SimNode) -> Callable[[], None]:
    """P1 to this node breaks in both directions, to everybody; what is returned puts it right."""
    for other in world.nodes:
        if other is not node:
            world.net.cut_both(node.id, other.id, "nats")
    return world.net.heal


async def healthy(world: World, limit_s: float = 60.0) -> None:
    """Return once everything that broke is healthy again."""
    async with asyncio.timeout(limit_s):
        while not world.sick():
            await asyncio.sleep(0.1)
        while world.sick():
            await asyncio.sleep(0.1)


def test_a_broken_broker_is_restarted_without_anybody() -> None:
    """P1 broken at one node: it restarts its own broker, once, although all the others ask for it too."""
    sim = world()

    async def story(world: World) -> None:
        await asyncio.sleep(8)
        ill = world.nodes[1]
        heal = cut_off(world, ill)
        ill.cure = lambda action: heal() if action is Action.RESTART_NATS else None
        await healthy(world)

    sim.run(story)
    assert [node.undertaken[Action.RESTART_NATS] for node in sim.nodes] == [0, 1, 0]
    assert not any(node.core.loop.fleet.repairs for node in sim.nodes)


def test_a_peer_asks_where_the_node_itself_may_not() -> None:
    """With its own ladder switched off, the broken node is mended because a peer asks for it."""
    sim = world()

    async def story(world: World) -> None:
        await asyncio.sleep(8)
        asker, ill = world.nodes[:2]
        heal = cut_off(world, ill)
        ill.cure = lambda action: heal() if action is Action.RESTART_NATS else None
        await healthy(world)
        changes = asker.core.loop.fleet.health(ill.id, Channel.NATS).changes
        assert any(one.reason.startswith("healed by L2") for one in changes)

    sim.nodes[1]._config = Config(repair=RepairConfig(levels=(1,)))
    sim.run(story)
    assert sim.nodes[1].undertaken[Action.RESTART_NATS] == 1


@pytest.mark.slow
def test_a_flapping_channel_keeps_to_three_an_hour() -> None:
    """P1 between two that breaks every two minutes, longer than the first rung waits, and comes back by itself: within
    any hour nobody escalates more than three times about one peer, and mail is not held up."""
    sim = world(levels=(1, 2, 3))

    async def story(world: World) -> None:
        one, two = world.nodes[:2]
        await asyncio.sleep(8)
        for _ in range(34):
            world.net.cut_both(one.id, two.id, "nats")
            await asyncio.sleep(40)
            await world.send(one, two)
            world.net.heal()
            await asyncio.sleep(80)
        assert not world.sick()

    sim.run(story)
    by_asker: dict[str, list[float]] = {}
    for line in sim.log:
        at, name = line.split()[:2]
        if "RepairMoved" in line and " to restart" in line:
            by_asker.setdefault(name, []).append(float(at))
        elif "level=2, what='refused: " in line:
            by_asker[name].pop()  # what the other did nothing for does not count
    assert sum(map(len, by_asker.values())) >= 6, "it escalates, and does so again in the next hour"
    for times in by_asker.values():
        # An event is told once it is durable, some milliseconds after its moment.
        assert all(later - earlier >= HOUR_S - 0.02 for earlier, later in zip(times, times[3:], strict=False)), times
    assert max(node.undertaken[Action.RESTART_NATS] for node in sim.nodes) <= 6
