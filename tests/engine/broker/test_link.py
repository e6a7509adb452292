"""What the node is told of its broker: a process that runs and does not answer is silent."""

import asyncio

import pytest

from engine.broker import link as module
from engine.broker.link import Link
from engine.model.broker import RUNS, BrokerState
from engine.signals import BrokerChanged
from tests.engine.parts import virtual

UP = BrokerChanged(BrokerState.UP, 7, "nats://x")


@pytest.mark.parametrize("state", RUNS)
def test_a_broker_that_does_not_answer_is_silent(state: BrokerState) -> None:
    """Not for a moment without a link, which each of its lives begins with; after three seconds it is, with its reason;
    reached again, it is what it was."""

    async def story() -> None:
        told: list[BrokerChanged] = []
        link = Link(told.append)
        link.tell(BrokerChanged(state, 7, "nats://x"))
        await asyncio.sleep(module.SILENT_S - 0.1)
        link.turned(True)
        await asyncio.sleep(60)
        assert [one.state for one in told] == [state, state]
        link.turned(False)
        await asyncio.sleep(module.SILENT_S + 0.1)
        assert (told[-1].state, told[-1].pid, told[-1].url) == ("silent", 7, "nats://x")
        assert "has not answered" in told[-1].note
        assert link.said.state == state, "whose it is, is still known"
        link.turned(True)
        assert told[-1] == link.said

    virtual(story)


def test_what_is_down_is_not_silent() -> None:
    """A process that died, or has not begun, is called what it is; and after the end nothing is told."""

    async def story() -> None:
        told: list[BrokerChanged] = []
        link = Link(told.append)
        link.tell(UP)
        link.tell(BrokerChanged(BrokerState.DOWN, note="exit 1"))
        await asyncio.sleep(60)
        link.tell(UP)
        link.stop()
        await asyncio.sleep(60)
        assert [one.state for one in told] == ["up", "down", "up"]

    virtual(story)


def test_a_new_life_answers_when_it_has_let_the_client_in() -> None:
    """What the last life was reached by proves nothing; who waits is told as soon as there is a link, or that there is
    none."""

    async def story() -> None:
        link, clock = Link(lambda changed: None), asyncio.get_running_loop().time
        link.turned(True)
        link.tell(BrokerChanged(BrokerState.STARTING))
        link.tell(UP)
        asyncio.get_running_loop().call_later(0.05, link.turned, True)
        began = clock()
        assert await link.answers()
        assert clock() - began < module.SILENT_S
        link.turned(False)
        began = clock()
        assert not await link.answers()
        assert clock() - began == pytest.approx(module.ANSWER_S)
        link.stop()

    virtual(story)
