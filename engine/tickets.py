"""Tickets: a number that goes into a signal, and the future that is settled by its `Resolve` (edge)."""

import asyncio
from itertools import count

from engine.effects import Resolve
from engine.errors import ErrorFacts, FleetError


class Tickets:
    """Who waits for an answer of the loop's."""

    def __init__(self) -> None:
        self._serial = count(1)
        self._waiting: dict[int, tuple[asyncio.Future[str], str]] = {}

    def new(self, about: str = "") -> tuple[int, "asyncio.Future[str]"]:
        """A number, and the future its `Resolve` will settle. `about`: the message that is waited for; then whoever
        waits may be told that nobody knows yet."""
        number, future = next(self._serial), asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, about)
        return number, future

    def settle(self, effect: Resolve) -> None:
        """The answer is there; who no longer waits is passed over."""
        future, _ = self._waiting.pop(effect.ticket, (None, ""))
        if future is None or future.done():
            return
        if effect.error is not None:
            future.set_exception(effect.error.raised())
        else:
            future.set_result(effect.value)

    def unknown(self, why: FleetError) -> None:
        """Nobody knows when these will be answered: whoever waits for a message is told so, and what may still be found
        out under which id. What was begun goes on."""
        for future, about in self._waiting.values():
            if about and not future.done():
                step = (
                    f"{why.next_step}; then `fleet why {about}` tells, and knows nothing of it if it was not accepted"
                )
                _fail(future, FleetError(why.code, why.title, why.detail, step, why.fault))

    def end(self, why: ErrorFacts) -> None:
        """Nothing is answered any more."""
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(why.raised())


def _fail(future: "asyncio.Future[str]", error: FleetError) -> None:
    """Of a group the first is asked and the others are not: that is no exception that nobody has looked at."""
    future.set_exception(error)
    future.exception()
