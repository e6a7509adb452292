"""One member floods another: the rest of the fleet is served as always, and nothing of the flood is lost."""

import asyncio

import pytest

from engine.config import Config, LimitsConfig
from engine.mail.flood import FLOODS
from tests.sim.world import World


@pytest.mark.slow
def test_everybody_else_is_served_while_one_floods() -> None:
    """Ten times what is taken in a minute: others' mail comes within two seconds, all of the flood in the end."""
    world = World(11, config=Config(limits=LimitsConfig(flood=60)))
    flooder, quiet, victim = world.nodes

    async def story(world: World) -> None:
        await asyncio.sleep(10)
        flood = [world.loop.create_task(world.send(flooder, victim)) for _ in range(300)]
        sent = []
        for _ in range(40):
            await asyncio.sleep(0.5)
            sent.append(await world.send(quiet, victim))
        await asyncio.gather(*flood)
        await asyncio.sleep(2)
        late = [one for one in sent if world.came_s.get(one, float("inf")) - world.at_s[one] > 2.0]
        assert not late, f"{len(late)} of {len(sent)} waited for the flood"
        assert flooder.fleet.mail.waiting > 100
        assert (FLOODS, flooder.id) in victim.fleet.findings
        assert not [key for key in victim.fleet.findings if key[1] == quiet.id]
        assert not world.sick(), "a full peer is no broken channel"
        await world.calm(limit_s=900)
        await asyncio.sleep(90)
        assert (FLOODS, flooder.id) not in victim.fleet.findings

    world.run(story)
    told = [line for line in world.log if f"{victim.name} Noticed" in line and FLOODS in line]
    assert len(told) == 2, told
