"""Where time and fresh ids come from (edge).

Everything else receives a `Moment` and ids as arguments, so that a simulated week replays in seconds. Durations are
always taken from the monotonic clock: a wall clock that jumps must not expire, suspect or retry anything.
"""

import os
import time

from ulid import ULID

from engine.model.moment import Moment


class SystemClock:
    """The machine's two clocks and its source of ids."""

    def __init__(self) -> None:
        self._latest_ms = 0

    def now(self) -> Moment:
        """This moment: wall milliseconds since the epoch and monotonic seconds."""
        return Moment(time.time_ns() // 1_000_000, time.monotonic())

    def new_id(self, now: Moment) -> str:
        """A ULID for `now`: 26 characters, ordered by time as databases like it. A wall clock that is set back does not
        set the order back: until it has caught up, ids bear the latest time there was."""
        self._latest_ms = max(self._latest_ms, now.wall_ms)
        return str(ULID.from_bytes(self._latest_ms.to_bytes(6, "big") + os.urandom(10)))
