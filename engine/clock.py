"""Where time and fresh ids come from (edge).

Everything else receives a `Moment` and ids as arguments, so that a simulated week replays in seconds. Durations are
always taken from the monotonic clock: a wall clock that jumps must not expire, suspect or retry anything.
"""

import os
import time

from engine.model.moment import Moment

# Crockford's base 32, two letters for each ten bits: an id is made for every message, and so in 1.8 µs.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]


class SystemClock:
    """The machine's two clocks and its source of ids."""

    def now(self) -> Moment:
        """This moment: wall milliseconds since the epoch and monotonic seconds."""
        return Moment(time.time_ns() // 1_000_000, time.monotonic())

    def new_id(self, now: Moment) -> str:
        """A ULID (github.com/ulid/spec) for `now`: 26 characters, ordered by time as databases like it."""
        number = now.wall_ms << 80 | int.from_bytes(os.urandom(10), "big")
        return "".join([_PAIRS[number >> place & 1_023] for place in range(120, -1, -10)])
