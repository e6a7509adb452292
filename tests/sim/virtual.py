"""Virtual time: an asyncio loop whose clock jumps to the next timer instead of waiting for it.

Everything that runs on it is the product's own asynchronous code. No thread and no socket may wake it: when nothing is
ready and no timer is set, the simulation is over, and waiting any longer is a bug that is raised.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

from engine.model.moment import Moment

START_MS = 1_795_000_000_000
# The monotonic clock of a machine that has been up for a while: code that takes 0 for "never" must not be believed.
START_MONO = 10_000.0
ROUNDING_S = 1e-9


class _Jump(selectors.BaseSelector):
    """A selector with nothing to select: to wait is to let the time pass."""

    def __init__(self) -> None:
        self.now = START_MONO
        self.loop: Any = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again in this simulation")
        self.now += max(timeout, 0.0)
        # The sum may fall a rounding short of the timer it was meant for, which would then ring before its own moment.
        timers = self.loop._scheduled
        if timers and 0.0 < timers[0].when() - self.now < ROUNDING_S:
            self.now = timers[0].when()
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> Any:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_map(self) -> Mapping[Any, Any]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs as fast as the machine can; `time()` is virtual seconds."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = ROUNDING_S
        self._jump.loop = self

    def time(self) -> float:
        return self._jump.now


class VirtualClock:
    """One machine's clocks on the virtual loop: the wall may be wrong by `skew_ms`, the monotonic never is."""

    def __init__(self, loop: VirtualLoop, node: int):
        self._loop, self._node = loop, node
        self._ids = 0
        self.skew_ms = 0

    def now(self) -> Moment:
        """This machine's moment."""
        passed = self._loop.time() - START_MONO
        return Moment(START_MS + int(passed * 1000) + self.skew_ms, self._loop.time())

    def new_id(self, now: Moment) -> str:
        """An id as the product's: ordered by time, unique, and the same in every replay."""
        self._ids += 1
        return f"{now.wall_ms:013d}N{self._node:03d}I{self._ids:08d}"
