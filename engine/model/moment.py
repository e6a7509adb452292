"""A moment, on both clocks. Wall time is for people and for records; monotonic time is for every duration."""

import msgspec


class Moment(msgspec.Struct, frozen=True):
    """`wall_ms`: milliseconds since 1970. `mono`: seconds on this process's monotonic clock."""

    wall_ms: int
    mono: float
