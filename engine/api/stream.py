"""Sending, one message or a stream of them (edge).

A stream is lines of JSON in and lines of JSON out over one request: each line a message, each answer on the line of
the same number. At most `WINDOW` are under way at once, so that the engine commits many in one transaction while
neither side holds more than it can chew; the order of acceptance is the order of the lines.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from engine.api import asks
from engine.api.views import Trouble
from engine.errors import ErrorFacts, Fault, FleetError
from engine.model.envelope import FAILED, Rung
from engine.model.story import Story

if TYPE_CHECKING:
    from engine.engine import Engine

# Enough to fill one group commit; a caller that waits for receipts has as many in flight.
WINDOW = 256


class Unreached(Story, frozen=True, kw_only=True):
    """A message that was accepted and is not on the rung that was asked for; `error` says why."""

    error: ErrorFacts


async def sent(engine: "Engine", ask: asks.MessageAsk) -> list[Story]:
    """Accept one message for each recipient; they are durable when this returns. Raises `FleetError`."""
    return await engine.send(
        ask.to,
        ask.payload.body,
        kind=ask.type,
        via=ask.via,
        widened=ask.any,
        ttl_s=ask.ttl,
        urgency=ask.urgency,
        thread=ask.thread,
        session=ask.session,
    )


async def awaited(engine: "Engine", story: Story, rung: Rung, timeout_s: float) -> Story:
    """The story once it is on `rung`, or as far as it came, with the reason."""
    try:
        reached = await engine.wait(story.id, rung, timeout_s)
    except FleetError as error:
        return _unreached(await engine.story(story.id), error)
    if reached.rung in FAILED:
        why = f"it is {reached.rung}" + (f": {reached.reason}" if reached.reason else "")
        return _unreached(reached, FleetError("ended.rung", "It was not delivered", why, f"fleet why {story.id}"))
    return reached


def _unreached(story: Story, error: FleetError) -> Story:
    return Unreached(**msgspec.structs.asdict(story), error=error.facts())


async def lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Chunks cut at line ends; empty lines are dropped. Raises `FleetError` `size.request` for an endless line."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > limit:
            raise FleetError("size.request", "The line is too long", f"at most {limit} bytes", "split it", Fault.THEIRS)
    if rest.strip():
        yield rest


async def answers(engine: "Engine", asked: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """One line of JSON for each line asked, in order, each as soon as it and all before it are known."""
    flying: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(WINDOW)
    reader = asyncio.create_task(_read(engine, asked, flying))
    try:
        while (task := await flying.get()) is not None:
            yield await task
        await reader
    except FleetError as error:
        yield _line(Trouble(error.facts()))
    finally:
        reader.cancel()
        while not flying.empty():
            if left := flying.get_nowait():
                left.cancel()


async def _read(
    engine: "Engine", asked: AsyncIterator[bytes], flying: "asyncio.Queue[asyncio.Task[bytes] | None]"
) -> None:
    try:
        async for line in asked:
            await flying.put(asyncio.create_task(_answer(engine, line)))
    finally:
        await flying.put(None)


async def _answer(engine: "Engine", line: bytes) -> bytes:
    try:
        ask = asks.message(line)
        stories = await sent(engine, ask)
        if ask.wait is not None:
            stories = [await awaited(engine, story, ask.wait, ask.timeout) for story in stories]
    except FleetError as error:
        return _line(Trouble(error.facts()))
    return b"".join(map(_line, stories))


def _line(what: Trouble | Story) -> bytes:
    return msgspec.json.encode(what) + b"\n"
