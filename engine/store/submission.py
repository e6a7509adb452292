"""What waits for the disk, and how those who wait are told (edge).

Futures of one transaction are resolved by one call into their loop: a thread that wakes a loop once for each of a
thousand futures costs more than the transaction.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from engine.errors import FleetError
from engine.model.records import AddInbox, AddOutbox, Record

Promise = asyncio.Future[Any] | concurrent.futures.Future[Any]


class Submission(msgspec.Struct):
    """Records that are kept together. `then`: done on the store's thread once they are, before anyone is told."""

    records: Sequence[Record]
    promise: Promise
    then: Callable[[], None] | None = None

    def size(self) -> int:
        """Bytes of the bodies in it."""
        return sum(len(one.envelope.body) for one in self.records if isinstance(one, (AddOutbox, AddInbox)))


class Pruning(msgspec.Struct):
    """A wish to forget what was settled before `before_ms`. `gone`: messages forgotten so far."""

    before_ms: int
    promise: Promise
    gone: int = 0


def tell(promises: Sequence[Promise], value: object = None, error: FleetError | None = None) -> None:
    """Resolve these, in order; who no longer waits is passed over."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[Any]]] = {}
    for promise in promises:
        if isinstance(promise, asyncio.Future):
            by_loop.setdefault(promise.get_loop(), []).append(promise)
        elif not promise.done():
            _settle(promise, value, error)
    for loop, futures in by_loop.items():
        # A loop that was closed meanwhile has nobody left to tell.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_all, futures, value, error)


def _settle_all(futures: Sequence[asyncio.Future[Any]], value: object, error: FleetError | None) -> None:
    for future in futures:
        if not future.done():
            _settle(future, value, error)


def _settle(promise: Promise, value: object, error: FleetError | None) -> None:
    if error is None:
        promise.set_result(value)
    else:
        promise.set_exception(error)
