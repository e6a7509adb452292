"""The bridge between the threads: questions go one way, answers the other, and nobody waits."""

import asyncio
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from engine.errors import Fault, FleetError
from fleet_tui.app import FleetApp
from fleet_tui.bridge import Bridge
from screens.desk import Engine, Reach
from tests.screens.control_room import asked, press, settle  # noqa: F401 - `asked` documents what is asserted below
from tests.screens.golden import NOW, SMALL, plan
from tests.screens.scripted import Scripted


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """A real loop on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Bridge(Scripted(SMALL), loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def answer(bridge: Bridge, question: Any) -> tuple[Any, FleetError | None]:
    heard: Queue[tuple[Any, FleetError | None]] = Queue()
    bridge.ask(question, lambda value, error: heard.put((value, error)))
    return heard.get(timeout=20)


def test_an_answer_and_an_error(bridge: Bridge) -> None:
    """What was answered arrives as it is; what was refused arrives as the error it was."""
    value, error = answer(bridge, lambda engine: engine.invite())
    assert value.code
    assert error is None

    async def whom(engine: Engine) -> list[Reach]:
        return engine.preview("nobody")

    value, error = answer(bridge, whom)
    assert value is None
    assert error is not None
    assert error.code == "peer.unknown"


def test_a_bug_is_told_as_ours(bridge: Bridge) -> None:
    """Whatever else is raised is told in the same five parts, as our fault."""

    async def broken(engine: object) -> None:
        raise ZeroDivisionError("by nothing")

    _, error = answer(bridge, broken)
    assert error is not None
    assert (error.fault, "by nothing" in error.detail) == (Fault.OURS, True)


def test_a_closed_loop_is_told(bridge: Bridge) -> None:
    """A node that is stopping answers at once that it cannot."""
    loop = asyncio.new_event_loop()
    loop.close()
    _, error = answer(Bridge(Scripted(SMALL), loop), lambda engine: engine.invite())
    assert error is not None


async def test_the_screen_hears_the_other_thread(bridge: Bridge) -> None:
    """An answer from the engine's thread reaches the screen as a message, on the screen's thread."""
    app = FleetApp(bridge, clock=lambda: NOW, plan=lambda peer: plan(SMALL, peer))
    threads: list[str] = []
    done = asyncio.Event()

    def heard(_: object) -> None:
        threads.append(threading.current_thread().name)
        done.set()

    async with app.run_test() as pilot:
        await settle(pilot)
        here = threading.current_thread().name
        app.ask(app, lambda engine: engine.invite(), heard)
        await asyncio.wait_for(done.wait(), 20)
        assert threads == [here]
