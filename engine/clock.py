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
# A ULID is 48 bits of milliseconds and 80 of chance.
CHANCE_BITS = 80


class SystemClock:
    """The machine's two clocks and its source of ids."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> Moment:
        """This moment: wall milliseconds since the epoch and monotonic seconds."""
        return Moment(time.time_ns() // 1_000_000, time.monotonic())

    def new_id(self, now: Moment) -> str:
        """A ULID (github.com/ulid/spec) for `now`: 26 characters, each greater than the last, as databases like it.
        Within a millisecond, and while a wall clock that was set back has not caught up, the next number is taken."""
        if now.wall_ms > self._latest >> CHANCE_BITS:
            number = now.wall_ms << CHANCE_BITS | int.from_bytes(os.urandom(CHANCE_BITS // 8), "big")
        else:
            number = self._latest + 1
        self._latest = number
        return "".join([_PAIRS[number >> place & 1_023] for place in range(120, -1, -10)])
