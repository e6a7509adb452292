"""The promises over every channel that carries a frame: storing ones, slow ones, and a choice among them."""

import asyncio

import pytest

from engine.model.channel import Channel, ChannelState
from tests.sim.net import Weather
from tests.sim.world import EVERY, World

LADDER = (Channel.NATS, Channel.HTTP, Channel.RELAY, Channel.SEED, Channel.SSH, Channel.GIT)
SAME = {Channel.SEED, Channel.SSH}
ROUGH = Weather(loss=0.1, duplicate=0.1, delay_s=(0.0005, 0.05))


@pytest.mark.parametrize("cut", range(len(LADDER)), ids=lambda cut: f"{cut} cut")
def test_the_first_live_channel_carries_it(cut: int) -> None:
    """With the first channels cut, one after another, a message that may go any way arrives by the next, once; its
    receipt finds a way back, the story names the channel, and then everything is HEALTHY again."""

    async def story(world: World) -> None:
        one, two = world.nodes[:2]
        await asyncio.sleep(15)
        for channel in LADDER[:cut]:
            if channel is not Channel.RELAY:
                world.net.cut_both(one.id, two.id, channel)
                continue
            for near in (one, two):
                world.net.cut_both(near.id, world.nodes[2].id)
        if cut:
            world.net.cut_both(one.id, two.id, "udp")
        await asyncio.sleep(20)
        msg_id = await world.send(one, two, widened=True)
        await asyncio.sleep(40)
        told = await one.desk.story(msg_id)
        assert told.rung == "on_host"
        # Of one class the faster may go first.
        assert told.channel in {LADDER[cut], *(SAME if LADDER[cut] in SAME else ())}
        world.net.heal()
        await world.converged(45)

    world = World(cut, 3, channels=EVERY).run(story)
    assert not cut or world.seen["cut"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_promises_over_every_channel(seed: int) -> None:
    """Loss, duplicates, cuts of single channels, and crashes at every instant, with mail that may go any way."""

    async def story(world: World) -> None:
        await asyncio.sleep(8)
        world.net.weather = ROUGH
        pairs = [world.random.sample(world.nodes, 2) for _ in range(80)]
        storm = asyncio.ensure_future(world.storm(8, 60))
        cuts = asyncio.ensure_future(_cuts(world))
        for src, dst in pairs:
            await world.send(src, dst, widened=True)
            await asyncio.sleep(0.7)
        await asyncio.gather(storm, cuts)
        await world.calm(300)

    seen = World(seed, 3, channels=EVERY).run(story).seen
    assert seen["put by seed"] or seen["put by git"]


async def _cuts(world: World) -> None:
    for _ in range(12):
        src, dst = world.random.sample(world.nodes, 2)
        for channel in world.random.sample(EVERY, world.random.randint(1, 5)):
            world.net.cut_both(src.id, dst.id, channel)
        await asyncio.sleep(5)
        world.net.heal()


def test_nothing_is_pushed_while_all_is_well() -> None:
    """A fleet at rest with working hot channels keeps out of cold places but for a rare look."""

    async def story(world: World) -> None:
        await asyncio.sleep(60)
        await world.traffic(200, 20)
        await asyncio.sleep(30)
        assert not world.sick()

    seen = World(1, 3, channels=EVERY).run(story).seen
    assert seen["put by git"] <= 6 * 2
    assert seen["put by seed"] <= 6 * 6


def test_a_hub_alone_is_enough() -> None:
    """With nothing but the hub between two machines, both directions work, receipts too."""

    async def story(world: World) -> None:
        one, two = world.nodes
        await asyncio.sleep(10)
        for channel in (*LADDER[:5], "udp"):
            world.net.cut_both(one.id, two.id, channel)
        await asyncio.sleep(30)
        sent = [await world.send(src, dst, widened=True) for src, dst in ((one, two), (two, one)) for _ in range(20)]
        await asyncio.sleep(60)
        assert {(await one.desk.story(msg_id)).rung for msg_id in sent[:20]} == {"on_host"}
        assert {(await two.desk.story(msg_id)).rung for msg_id in sent[20:]} == {"on_host"}
        assert one.core.loop.fleet.health(two.id, Channel.GIT).state is ChannelState.HEALTHY
        world.net.heal()

    World(3, 2, channels=EVERY).run(story)
