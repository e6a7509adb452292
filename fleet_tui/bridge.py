"""The bridge between two threads (edge): the engine's, with its loop, and the screen's.

Towards the screen go frozen values, which any thread may read, and answers, which arrive as messages. Towards the
engine go questions: they are asked and awaited on the engine's loop. Nothing waits on either side, so a slow
screen never delays the node, and a busy engine never freezes the screen.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from engine.errors import Fault, FleetError
from engine.state import Fleet
from screens.desk import Engine

Answer = TypeVar("Answer")
# Called once, on the engine's thread, with the answer or with the error.
Done = Callable[[Any, FleetError | None], None]


class Bridge:
    """An engine and the loop it lives on."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.loop = loop

    @property
    def fleet(self) -> Fleet:
        """The newest durable value."""
        return self.engine.fleet

    def ask(self, question: Callable[[Engine], Awaitable[Answer]], done: Done) -> None:
        """Ask; `done` is called on the engine's thread and must only hand on."""

        async def answer() -> Answer:
            return await question(self.engine)

        asked = answer()
        try:
            future = asyncio.run_coroutine_threadsafe(asked, self.loop)
        except RuntimeError as error:
            # The node is stopping and its loop is closed.
            asked.close()
            done(None, as_error(error))
            return
        future.add_done_callback(lambda ended: _settle(ended, done))


def _settle(ended: "Future[Any]", done: Done) -> None:
    try:
        done(ended.result(), None)
    except FleetError as error:
        done(None, error)
    except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever it is, the person who asked is told
        done(None, as_error(error))


def as_error(error: BaseException) -> FleetError:
    """Anything that was raised, in the five parts that screens show."""
    if isinstance(error, FleetError):
        return error
    return FleetError(
        "node.verb",
        "The node could not do it",
        f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
        "the node's log says more: fleet log",
        Fault.OURS,
    )
