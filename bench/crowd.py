"""T11 and T12: how soon a hundred nodes know of a death, and how often they are wrong about one.

Every node runs the product's own steps of membership, gossip alone, on a network of virtual time whose packets are
lost, delayed and held up from one seed; so these seconds are the protocol's, and no machine is faster than another.

    T11   six deaths a seed, at no loss, ten and twenty per cent
    T12   forty stalls of one to six seconds a seed; the control is the same gossip over UDP alone, on the same seeds
"""

import asyncio
from collections.abc import Iterable

from bench.effort import Effort
from bench.figures import Line, Target, p50_at_most, together, worst_at_most
from tests.engine.membership.crowd import deaths, falsely_lost

NUMBERS = ("T11", "T12")
LOSSES = (0.0, 0.1, 0.2)
CONTROL = "the same gossip over UDP alone, same seeds"


async def measure(effort: Effort) -> Iterable[Line]:
    """Three lines of T11, and one of T12 for each loss."""
    return await asyncio.to_thread(lambda: [*_deaths(effort), *_wrong(effort)])


def _deaths(effort: Effort) -> list[Line]:
    what = "100 nodes, ≤ 20 % loss, a death"
    lines = [
        Line("T11", f"{what}: SUSPECT", "s", p50_at_most(2.5, "s")),
        Line("T11", "the same: UNREACHABLE", "s", worst_at_most(12.0, "s")),
        Line("T11", "the same: 99 % know", "s", worst_at_most(15.0, "s")),
    ]
    wronged = 0
    for seed in range(1, effort.of(2, 1) + 1):
        for loss in LOSSES[: effort.of(len(LOSSES), 1)]:
            noticed, wrong = deaths(loss, seed, effort.of(6, 1))
            wronged += len(wrong)
            for line, samples in zip(lines, zip(*noticed, strict=True), strict=True):
                line.ours.append(list(samples))
    lines[0].note = f"virtual seconds; {wronged} others were called unreachable meanwhile"
    return lines


def _wrong(effort: Effort) -> list[Line]:
    return [_falsely(loss, effort) for loss in (0.0, 0.05, 0.1, 0.2, 0.3)[: effort.of(5, 1)]]


def _falsely(loss: float, effort: Effort) -> Line:
    what = f"100 nodes, stalls ≤ 6 s, {loss:.0%} loss: called UNREACHABLE falsely"
    line = Line("T12", what, "times", worst_at_most(0, "times") if loss <= 0.1 else _quarter(), CONTROL)
    for seed in range(1, effort.of(3, 1) + 1):
        stalls = effort.of(40, 3)
        line.ours.append([float(falsely_lost(loss, seed, stalls=stalls))])
        line.raw.append([float(falsely_lost(loss, seed, stalls=stalls, tcp=False))])
    line.note = f"{len(line.ours)} seeds of {effort.of(40, 3)} stalls"
    return line


def _quarter() -> Target:
    """At most a quarter of all that the control got wrong: counts are too small to compare seed by seed."""

    def share(line: Line) -> float:
        wrong = sum(together(line.raw))
        return sum(together(line.ours)) / wrong if wrong else float("nan")

    return Target("≤ 1/4 of the control's", share, most=0.25)
