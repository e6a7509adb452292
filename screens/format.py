"""Numbers as people read them: ages, latencies, clocks, counts, little curves. Pure, and the only place for it."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

BARS = "▁▂▃▄▅▆▇█"
NEVER = "never"


def age(seconds: float) -> str:
    """A duration in one unit: `4 s`, `3 min`, `2 h`, `5 d`. A moment in the future counts as now."""
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min"
    if seconds < 172_800:
        return f"{int(seconds // 3_600)} h"
    return f"{int(seconds // 86_400)} d"


def countdown(seconds: float) -> str:
    """Time left, as `0:41` or `14:59`; `0:00` when it is over."""
    left = max(0, int(seconds))
    return f"{left // 60}:{left % 60:02d}"


def latency(ms: float) -> str:
    """A round trip: `0.4 ms`, `18 ms`, `1.4 s`, `12 s`."""
    if ms < 0.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    return f"{ms / 1_000:.1f} s" if ms < 10_000 else f"{ms / 1_000:.0f} s"


def tight(ms: float) -> str:
    """A duration where every cell counts: `0.4ms`, `34ms`, `0.3s`."""
    return f"{ms / 1_000:.1f}s" if 300 <= ms < 999.5 else latency(ms).replace(" ", "")


def clock(wall_ms: int, zone: tzinfo | None = None) -> str:
    """The time of day to the minute, in `zone` (None: this machine's)."""
    return _local(wall_ms, zone).strftime("%H:%M")


def stamp(wall_ms: int, zone: tzinfo | None = None) -> str:
    """The time of day to the second."""
    return _local(wall_ms, zone).strftime("%H:%M:%S")


def day(wall_ms: int, zone: tzinfo | None = None) -> str:
    """Date and time, for what may be older than today."""
    return _local(wall_ms, zone).strftime("%Y-%m-%d %H:%M:%S")


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def when(wall_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """The time of day for what is of today, the date for what is older: never wider than eight cells."""
    then, today = _local(wall_ms, zone), _local(now_ms, zone).date()
    return then.strftime("%H:%M:%S") if then.date() == today else f"{then.day:2d} {MONTHS[then.month - 1]}"


def _local(wall_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(wall_ms / 1_000, zone)


def count(number: int, noun: str, nouns: str = "") -> str:
    """`1 peer`, `3 peers`, `12,400 rows`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def offset(ms: float) -> str:
    """How far another clock is from ours: `+0.2 s`, `-10 min`; `in step` within 50 ms."""
    if abs(ms) < 50:
        return "in step"
    sign = "+" if ms > 0 else "-"
    seconds = abs(ms) / 1_000
    return f"{sign}{seconds:.1f} s" if seconds < 60 else sign + age(seconds)


def trace(points: Sequence[tuple[int, float]], now_slot: int, slots: int, size: int) -> str:
    """The last `slots` slots as a curve of `size` cells, the newest at its end: of the slots behind one cell the
    highest; a gap where nothing was measured."""
    low = now_slot - slots + 1
    highest: dict[int, float] = {}
    for slot, value in points:
        if low <= slot <= now_slot:
            at = (slot - low) * size // slots
            highest[at] = max(value, highest.get(at, 0.0))
    signs = dict(zip(sorted(highest), spark([highest[at] for at in sorted(highest)], size), strict=True))
    return "".join(signs.get(at, " ") for at in range(size)).rstrip()


def spark(values: Sequence[float], size: int) -> str:
    """The last `size` values as a curve, lowest at the bottom line. All alike are a flat line."""
    last = list(values)[-size:]
    if not last:
        return ""
    low, high = min(last), max(last)
    # A curve of noise would shout: what varies by less than a third of its size is flat.
    span = max(high - low, high / 3, 1.0)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in last)
