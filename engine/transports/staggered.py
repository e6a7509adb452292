"""Calling a peer at several places: the likeliest first, the next beside it when that one is slow (edge).

RFC 8305, "Happy Eyeballs", section 5. What a call is, how it proves whom it reached and how it is hung up is its
caller's; here is only which answer counts, and which failure is worth telling.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

# The next place is tried beside the last when that has not answered in this time.
STAGGER_S = 0.25

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Place = tuple[str, int]
T = TypeVar("T")


class Impostor(ConnectionError):
    """Whoever answers at `place` could not prove to be the peer."""

    def __init__(self, said: str, place: Place):
        super().__init__(said)
        self.place = place


async def first(
    places: Sequence[Place], call: Callable[[Place], Coroutine[Any, Any, T]], hang_up: Callable[[T], None]
) -> T:
    """What the first call that gets through gives. Raises `Impostor` if one met a wrong key and none the right one,
    else the first failure.

    A peer tells its loopback address too, for nodes beside it; anywhere else that leads back to ourselves. So a wrong
    key there is an alarm only where loopback is all we know of the peer.
    """
    calls: list[asyncio.Task[T]] = []
    through: asyncio.Task[T] | None = None
    try:
        for place in places:
            ringing = asyncio.create_task(call(place))
            calls.append(ringing)
            if through := await _through(calls, STAGGER_S):
                return through.result()
        while any(not one.done() for one in calls):
            if through := await _through(calls, None):
                return through.result()
    finally:
        await _forget(calls, through, hang_up)
    failures = [failure for one in calls if (failure := one.exception())]
    raise min(failures, key=lambda one: _gravity(one, places))


def _gravity(failure: BaseException, places: Sequence[Place]) -> int:
    """How early to tell a failure: an impostor, then anything else, then ourselves met on loopback."""
    if not isinstance(failure, Impostor):
        return 1
    beside_us = failure.place[0] in _LOOPBACK and any(host not in _LOOPBACK for host, _ in places)
    return 2 if beside_us else 0


async def _through(calls: list[asyncio.Task[T]], wait_s: float | None) -> asyncio.Task[T] | None:
    """The first call that is through, waiting for the next to end; None when it failed or nothing ended in time."""
    pending = [one for one in calls if not one.done()]
    await asyncio.wait(pending, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    return next((one for one in calls if one.done() and not one.exception()), None)


async def _forget(calls: list[asyncio.Task[T]], kept: asyncio.Task[T] | None, hang_up: Callable[[T], None]) -> None:
    """End what is still ringing, and hang up a second one that got through in the same moment."""
    for one in calls:
        one.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    for one in calls:
        if one is not kept and not one.cancelled() and not one.exception():
            hang_up(one.result())
