"""A fleet nobody uses is quiet: what travels is counted, and it is only what was asked for."""

import asyncio

from tests.sim.world import World


def test_an_idle_fleet_says_little() -> None:
    """Three idle nodes exchange their probes, heartbeats and answers, and nothing feeds on itself."""
    world = World(7)
    counted: list[int] = []

    async def story(world: World) -> None:
        await asyncio.sleep(20)
        before = sum(world.net.sent.values())
        await asyncio.sleep(60)
        counted.append(sum(world.net.sent.values()) - before)

    world.run(story)
    # Six pairs, three channels, a probe each five seconds; a relayed probe and its receipt are two requests each; and
    # a heartbeat every ten seconds. Twice that is a generous limit: a circle makes tens of thousands.
    asked = 6 * 60 / 5 * (2 + 4) + 6 * 60 / 10
    assert 0 < counted[0] < 2 * asked
