"""What a benchmark says: samples of ours and of its raw control, taken in turn, and whether a target is met.

Rounds matter more than samples: the two are measured one after the other in every round, and the ratio is the median
over the rounds of the ratio of their medians, so that a minute in which the machine was busy spoils one round of both
and not one of them. Nothing here measures; nothing here is an assertion.
"""

from collections.abc import Callable, Sequence
from math import ceil
from statistics import median
from typing import Any

import msgspec

Samples = list[float]
Rounds = list[Samples]


class Target(msgspec.Struct, frozen=True):
    """What is wanted. `of` takes the figure out of a `Line`; `most` or `least` is its limit."""

    text: str
    of: "Callable[[Line], float]"
    most: float | None = None
    least: float | None = None

    def met(self, line: "Line") -> bool:
        """Whether the line reaches it."""
        value = self.of(line)
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)


class Line(msgspec.Struct):
    """One measured thing. `number`: its row in `docs/speed.md`. `ours`, `raw`: samples by round. `control`: what
    `raw` is; empty where there is none."""

    number: str
    what: str
    unit: str
    target: Target
    control: str = ""
    ours: Rounds = []
    raw: Rounds = []
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target.met(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; not-a-number without values."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def together(rounds: Rounds) -> Samples:
    """The samples of every round."""
    return [value for one in rounds for value in one]


def p(share: float, rounds: Rounds) -> float:
    """A percentile over all rounds."""
    return percentile(together(rounds), share)


def ratio(line: Line) -> float:
    """Ours over the control: the median over the rounds of the ratio of the rounds' medians."""
    pairs = [(median(one), median(other)) for one, other in zip(line.ours, line.raw, strict=True) if one and other]
    shares = [ours / raw for ours, raw in pairs if raw]
    return median(shares) if shares else float("nan")


def ratio_at_most(limit: float, text: str = "") -> Target:
    """Ours takes at most so many times the control."""
    return Target(text or f"≤ {limit:g}x", ratio, most=limit)


def ratio_at_least(limit: float) -> Target:
    """Ours does at least so many times what the control does."""
    return Target(f"≥ {limit:g}x", ratio, least=limit)


def p50_at_most(limit: float, unit: str) -> Target:
    """Half of ours are at most so much."""
    return Target(f"p50 ≤ {limit:g} {unit}", lambda line: p(0.5, line.ours), most=limit)


def p50_at_least(limit: float, unit: str) -> Target:
    """Half of ours are at least so much."""
    return Target(f"p50 ≥ {limit:g}{unit}", lambda line: p(0.5, line.ours), least=limit)


def tail_at_most(share: float, limit: float, unit: str) -> Target:
    """All but the worst few of ours are at most so much."""
    return Target(f"p{share * 100:g} ≤ {limit:g} {unit}", lambda line: p(share, line.ours), most=limit)


def worst_at_most(limit: float, unit: str) -> Target:
    """Every one of ours is at most so much."""
    return Target(f"worst ≤ {limit:g} {unit}", lambda line: max(together(line.ours), default=float("nan")), most=limit)


def row(line: Line) -> dict[str, Any]:
    """A line as history keeps it: figures, not samples."""
    figures = {"p50": p(0.5, line.ours), "p99": p(0.99, line.ours), "worst": max(together(line.ours), default=0.0)}
    raw = {"p50": p(0.5, line.raw), "p99": p(0.99, line.raw)} if line.raw else None
    return {
        "number": line.number,
        "what": line.what,
        "unit": line.unit,
        "ours": {**figures, "n": len(together(line.ours)), "rounds": len(line.ours)},
        "control": {"name": line.control, **raw} if raw else None,
        "ratio": ratio(line) if line.raw else None,
        "target": line.target.text,
        "met": line.met,
        "note": line.note,
    }
