"""A long outage, and what comes after it: all that waited arrives once, the urgent first, without a storm of tries."""

import asyncio
from collections import Counter

import pytest

from engine.model.channel import DIRECT, Channel
from engine.model.envelope import OPEN_LIMIT, RESERVED, Urgency
from tests.sim.world import EVERY, World

OUTAGE_S = 600.0


async def queued(world: World, count: int) -> dict[str, Urgency]:
    """So many messages from the first to the second while nothing passes, of three urgencies in turn."""
    one, two = world.nodes[:2]
    urgencies = (Urgency.LOW, Urgency.NORMAL, Urgency.URGENT)
    found: dict[str, Urgency] = {}
    for number in range(count):
        urgency = urgencies[number % 3]
        found[await world.send(one, two, urgency=urgency)] = urgency
    return found


def placed(world: World, urgency: dict[str, Urgency]) -> list[Urgency]:
    """The urgencies in the order in which the messages came."""
    return [urgency[one] for one in sorted(urgency, key=lambda one: world.came_s[one])]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [DIRECT, EVERY], ids=["two channels", "six channels"])
def test_ten_minutes_without_any_channel(channels: tuple[Channel, ...]) -> None:
    """Five thousand messages wait ten minutes; then each arrives once, at most 1.3 sends a message, urgent first: of
    the others only those leave before them that had a number already."""

    async def story(world: World) -> None:
        one, two = world.nodes
        await asyncio.sleep(2)
        world.net.cut_both(one.id, two.id)
        await asyncio.sleep(20)
        urgency = await queued(world, 5_000)
        await asyncio.sleep(OUTAGE_S)
        sent = Counter(world.net.sent)
        await world.calm()
        sends = world.net.sent["context"] - sent["context"]
        assert sends <= 1.3 * len(urgency), f"{sends} sends for {len(urgency)} messages"
        order = placed(world, urgency)
        last = max(place for place, one in enumerate(order) if one is Urgency.URGENT)
        bulk = [one for one in order[:last] if one is not Urgency.URGENT]
        assert len(bulk) < OPEN_LIMIT - RESERVED, "of those that waited in the store the urgent came first"
        later = order[last:]
        normal = max(place for place, one in enumerate(later) if one is Urgency.NORMAL)
        assert later[:normal].count(Urgency.LOW) < OPEN_LIMIT // 2, "and the least urgent last"
        await world.converged()

    World(34, size=2, channels=channels).run(story)


@pytest.mark.slow
def test_a_channel_that_flaps_while_a_thousand_wait() -> None:
    """P1 goes and comes every two seconds under a thousand queued messages: 1.3 sends a message at most."""

    async def story(world: World) -> None:
        one, two = world.nodes
        await asyncio.sleep(8)
        world.net.cut_both(one.id, two.id)
        await asyncio.sleep(10)
        await queued(world, 1_000)
        before = world.net.sent["context"]
        for _ in range(10):
            world.net.heal()
            await asyncio.sleep(2)
            world.net.cut_both(one.id, two.id, "nats")
            await asyncio.sleep(2)
        await world.calm()
        assert world.net.seen["cut"]
        assert world.net.sent["context"] - before <= 1_300

    World(62, size=2).run(story)


@pytest.mark.slow
def test_extra_sends_while_all_is_well() -> None:
    """With six healthy channels, fewer than one message in twenty is sent twice, and none over a colder channel."""

    async def story(world: World) -> None:
        await asyncio.sleep(20)
        before, put = world.net.sent["context"], world.net.seen["put by seed"] + world.net.seen["put by git"]
        await world.traffic(1_000, 100.0)
        assert world.net.sent["context"] - before <= 1_050
        world.seen["put meanwhile"] = world.net.seen["put by seed"] + world.net.seen["put by git"] - put
        await world.calm()

    World(5, size=3, channels=EVERY).run(story)
