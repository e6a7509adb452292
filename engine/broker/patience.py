"""How long to wait before the broker is started again.

A broker that died once is back at once: its absence costs every peer a hedge. One that keeps dying is held back longer
each time, so that a broken disk or a hostile neighbour makes no storm of processes; a minute of health forgives all.
"""

WINDOW_S = 60.0
AT_ONCE = 5
FIRST_S = 0.25
LONGEST_S = 30.0


def recent(deaths: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The deaths (monotonic seconds) that still count."""
    return tuple(at for at in deaths if now - at < WINDOW_S)


def pause_s(deaths: int) -> float:
    """Seconds to wait after so many deaths within `WINDOW_S`: none up to five, then doubling from 0.25 to 30."""
    return 0.0 if deaths <= AT_ONCE else min(LONGEST_S, FIRST_S * 2.0 ** min(deaths - AT_ONCE - 1, 16))
