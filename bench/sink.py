"""A terminal that takes everything at once and remembers when, so that only our own work is measured (edge).

Time is processor time of this process: a frame that waits for the next tick of 60 Hz costs nothing meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import process_time
from typing import Any

from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver

SIZE = (160, 48)
# Silence of this length means that the last frame was painted.
STILL_S = 0.08
# Nothing takes as long; what is not painted by then will not be.
LIMIT_S = 30


class Sink(HeadlessDriver):
    """Counts frames; `painted` is the processor time at the last one."""

    frames = 0
    painted = 0.0

    @property
    def is_headless(self) -> bool:
        """No: what goes to a terminal has to be rendered."""
        return False

    def flush(self) -> None:
        """A frame was given to the terminal."""
        self.frames += 1
        self.painted = process_time()


@asynccontextmanager
async def shown(app: App[Any]) -> AsyncIterator[Sink]:
    """An app made with `driver_class=Sink`, running at 160x48."""
    async with app.run_test(headless=False, size=SIZE) as pilot:
        await pilot.pause()
        sink = app._driver
        assert isinstance(sink, Sink)
        await still(sink)
        yield sink


async def cost_ms(sink: Sink, act: Callable[[], object]) -> float:
    """Processor milliseconds from `act` to the end of the last frame that follows from it.

    Raises `TimeoutError` when none does.
    """
    before, began = sink.frames, process_time()
    act()
    async with asyncio.timeout(LIMIT_S):
        while sink.frames == before:
            await asyncio.sleep(0.001)
    await still(sink)
    return (sink.painted - began) * 1000


async def still(sink: Sink) -> None:
    """Return once nothing is painted any more."""
    frames = -1
    while frames != sink.frames:
        frames = sink.frames
        await asyncio.sleep(STILL_S)
