"""The bus: nobody who publishes waits, nobody who reads holds anything up, and what was missed shows."""

import asyncio
from collections.abc import AsyncIterator

from engine.bus import KEPT, Bus, Numbered
from engine.model.event import BrokerMoved
from tests.engine.parts import settle, virtual


def event(number: int) -> BrokerMoved:
    return BrokerMoved(str(number))


async def read(feed: AsyncIterator[Numbered], count: int) -> list[int]:
    return [(await anext(feed))[0] for _ in range(count)]


def test_every_reader_gets_every_event_in_order() -> None:
    """Two readers, three events: the same three, in the order they were published."""

    async def story() -> None:
        bus = Bus()
        async with bus.subscribe() as one, bus.subscribe() as two:
            for number in range(3):
                bus.publish(event(number))
            assert await read(one, 3) == await read(two, 3) == [1, 2, 3]

    virtual(story)


def test_from_now_on_or_from_where_it_was() -> None:
    """A reader begins with what comes, or after the number it saw last."""

    async def story() -> None:
        bus = Bus()
        for number in range(5):
            bus.publish(event(number))
        async with bus.subscribe() as new, bus.subscribe(after=2) as back:
            assert await read(back, 3) == [3, 4, 5]
            bus.publish(event(9))
            assert await read(new, 1) == [6]

    virtual(story)


def test_a_waiting_reader_is_woken() -> None:
    """What is published while a reader waits reaches it at once."""

    async def story() -> None:
        bus = Bus()
        async with bus.subscribe() as feed:
            waiting = asyncio.ensure_future(anext(feed))
            await settle()
            assert not waiting.done()
            bus.publish(event(1))
            assert (await waiting) == (1, event(1))

    virtual(story)


def test_a_slow_reader_sees_how_many_it_missed() -> None:
    """It goes on with the oldest that are kept; the gap in the numbers is what it missed, and nobody waited for it."""

    async def story() -> None:
        bus = Bus()
        async with bus.subscribe() as feed:
            for number in range(KEPT + 100):
                bus.publish(event(number))
            first, told = await anext(feed)
            assert first == 101, "a hundred were missed"
            assert told == event(100)
            assert await read(feed, KEPT - 1) == list(range(102, KEPT + 101))

    virtual(story)


def test_what_is_kept_is_bounded() -> None:
    """However much is published, and whether anybody reads or not."""
    bus = Bus()
    for number in range(3 * KEPT):
        bus.publish(event(number))
    assert len(list(bus.replay(0))) == KEPT
    assert list(bus.replay(bus.last)) == list(bus.replay(bus.last + 7)) == []


def test_a_reader_that_went_away_costs_nothing() -> None:
    """After its block a feed is forgotten."""

    async def story() -> None:
        bus = Bus()
        for _ in range(3):
            async with bus.subscribe():
                assert len(bus._feeds) == 1
        assert not bus._feeds

    virtual(story)
