"""The loop: one turn after another, effects to the hands in the same order, sockets never starved."""

import asyncio
import itertools
from typing import Any

import pytest

from engine import loop as module
from engine.effects import Effect, Publish
from engine.loop import QUEUE_LIMIT, SLICE, Loop
from engine.model.broker import BrokerState
from engine.model.event import BrokerMoved
from engine.signals import BrokerChanged, Rang
from engine.state import Fleet
from tests.engine.parts import settle, virtual
from tests.engine.script import fleet, moment


class Taken:
    """Hands that only note what they were given."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fleets: list[Fleet] = []

    def perform(self, effects: list[Effect], value: Fleet) -> None:
        told = [effect.event for effect in effects if isinstance(effect, Publish)]
        self.events += [event.note for event in told if isinstance(event, BrokerMoved)]
        self.fleets.append(value)


def changed(number: int) -> BrokerChanged:
    return BrokerChanged(BrokerState.DOWN, note=str(number))


def test_signals_are_turns_in_their_order() -> None:
    """What is posted first is heard first; the hands get a slice's effects together, with the value of its last."""

    async def story() -> None:
        hands = Taken()
        loop = Loop(fleet("A", "B"), hands, lambda: moment(1.0))
        runner = asyncio.ensure_future(loop.run())
        for number in range(200):
            loop.post(changed(number))
        await settle()
        assert hands.events == [str(number) for number in range(200)]
        assert [value.broker.note for value in hands.fleets] == ["63", "127", "191", "199"]
        assert loop.fleet is hands.fleets[-1]
        runner.cancel()

    virtual(story)


def test_a_burst_does_not_starve_the_sockets() -> None:
    """Others get their turn after a slice of turns, however much waits."""

    async def story() -> None:
        hands = Taken()
        loop = Loop(fleet("A", "B"), hands, lambda: moment(1.0))
        for number in range(10 * SLICE):
            loop.post(changed(number))
        runner = asyncio.ensure_future(loop.run())
        seen = []
        for _ in range(12):
            await asyncio.sleep(0)
            seen.append(len(hands.events))
        assert seen[0] <= SLICE
        assert max(later - before for before, later in itertools.pairwise(seen)) <= SLICE
        runner.cancel()

    virtual(story)


def test_busy_is_said_before_it_is_too_late() -> None:
    """Beyond 20,000 waiting signals no new mail is taken; the node's own signals still get in."""
    loop = Loop(fleet("A", "B"), Taken(), lambda: moment(1.0))
    for _ in range(QUEUE_LIMIT - 1):
        loop.post(Rang("x"))
    assert not loop.busy
    loop.post(Rang("x"))
    assert loop.busy
    loop.post(Rang("x"))
    assert len(loop._queue) == QUEUE_LIMIT + 1


def test_a_step_that_fails_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a turn is not swallowed: nothing is done on a value that nobody vouches for."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    async def story() -> None:
        monkeypatch.setattr(module, "turn", broken)
        hands = Taken()
        loop = Loop(fleet("A", "B"), hands, lambda: moment(1.0))
        loop.post(Rang("x"))
        with pytest.raises(ZeroDivisionError):
            await loop.run()
        assert hands.fleets == []

    virtual(story)
