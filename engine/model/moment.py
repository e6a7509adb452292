"""A moment, on both clocks. Wall time is for people and for records; monotonic time is for every duration."""

import msgspec

MINUTE_S = 60.0
DAY_MS = 86_400_000


class Moment(msgspec.Struct, frozen=True):
    """`wall_ms`: milliseconds since 1970. `mono`: seconds on this process's monotonic clock."""

    wall_ms: int
    mono: float
