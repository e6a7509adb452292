"""What the channels say of themselves since a fault: which turned, which are not well, when the last one was. Pure.

    HEALTHY since before the fault  nothing happened to it
    HEALTHY since later             it turned, and this is when it was well again
    anything else, or nothing said  it is not well

The moments are the nodes' own: what breaks and heals between two looks is not missed, and its seconds are not ours.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Pair = tuple[str, str, str]
WELL = "HEALTHY"


class Seen(NamedTuple):
    """A channel's state, and since when by its node's clock (wall milliseconds)."""

    state: str
    since_ms: int


class Course(NamedTuple):
    """`turned`: what is well again; `open`: what is not well; `took_s`: from the fault to the last that is well again,
    None while something is open or nothing turned."""

    turned: frozenset[Pair]
    open: frozenset[Pair]
    took_s: float | None


def course(well: Iterable[Pair], now: Mapping[Pair, Seen], missed: Iterable[Pair], struck_ms: int) -> Course:
    """Of what was well at `struck_ms`. `missed`: what else is not well, though no channel of its own says so."""
    watched = set(well)
    back = {pair: now[pair].since_ms for pair in watched if pair in now and _back(now[pair], struck_ms)}
    open_ = {pair for pair in watched if pair not in now or now[pair].state != WELL} | set(missed)
    took = (max(back.values()) - struck_ms) / 1_000 if back and not open_ else None
    return Course(frozenset(back), frozenset(open_), took)


def _back(seen: Seen, struck_ms: int) -> bool:
    return seen.state == WELL and seen.since_ms >= struck_ms


def told(found: Course) -> str:
    """What came of it, when nothing is open any more."""
    if found.took_s is None:
        return "all HEALTHY, and no channel failed"
    counted = Counter(channel for _, _, channel in sorted(found.turned))
    which = ", ".join(f"{channel} {times}" for channel, times in counted.items())
    return f"all HEALTHY again after {found.took_s:.1f} s; failed meanwhile: {which}"
