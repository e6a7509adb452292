"""The log as rows, the path of a message as a few glyphs, and the filter as a question to the store. Pure."""

from datetime import tzinfo
from itertools import pairwise

from msgspec.structs import replace

from engine.model.channel import CHANNELS
from engine.model.envelope import FAILED, Kind, Rung
from engine.model.moment import Moment
from engine.model.story import Line, Query, TryLine, beside, proving
from engine.state import Fleet
from screens import format as say
from screens.glyphs import OUTCOME, RUNG, Look
from screens.pages import Pages
from screens.spans import Span, Spans, cell, fit, width
from screens.widgets.line_grid import Rows

# Name, width, and the width of the log from which the column is shown. The path takes what is left.
COLUMNS = (("time", 8, 0), ("peer", 14, 0), ("kind", 9, 70), ("receipt", 11, 0), ("path", 0, 44), ("id", 8, 112))
MOST_TRIES = 4
UNSURE = Look("·", "unknown", "dim")


class MessageRows(Rows):
    """The rows of the pages at hand; a row that is not at hand yet is a faint line."""

    def __init__(self, pages: Pages, now: Moment, zone: tzinfo | None = None) -> None:
        self.pages, self.now, self.zone = pages, now, zone

    def __len__(self) -> int:
        return self.pages.total

    def key(self, index: int) -> str:
        line = self.pages.line(index)
        return line.id if line else ""

    def index(self, key: str) -> int:
        return self.pages.index(key)

    def heading(self, size: int) -> Spans:
        spans: list[Span] = []
        for name, wide in _columns(size):
            spans += [(cell(name, wide), "dim"), ("  ", "")]
        return tuple(spans[:-1])

    def row(self, index: int, size: int, column: int) -> Spans:
        line = self.pages.line(index)
        if line is None:
            return (("┄" * min(size, 24), "faint"),)
        spans: list[Span] = []
        for name, wide in _columns(size):
            spans += [*fit(_cell(name, line, wide, self.now, self.zone), wide), ("  ", "")]
        return tuple(spans[:-1])


def _columns(size: int) -> list[tuple[str, int]]:
    shown = [(name, wide) for name, wide, least in COLUMNS if size >= least]
    left = size - sum(wide + 2 for _, wide in shown) + 2
    return [(name, wide or max(8, left)) for name, wide in shown]


def _cell(name: str, line: Line, wide: int, now: Moment, zone: tzinfo | None) -> Spans:
    look = RUNG[line.rung]
    if name == "time":
        return ((say.when(line.at, now.wall_ms, zone), "dim"),)
    if name == "peer":
        return (("→ " if line.dir == "out" else "← ", "accent" if line.dir == "out" else "heal"), (line.peer, "strong"))
    if name == "kind":
        return ((line.kind, ""),)
    if name == "receipt":
        return ((f"{look.glyph} {look.word}", look.ink),)
    if name == "id":
        return ((line.id[-8:], "faint"),)
    way = path_within(line, wide)
    rest = wide - width(way) - 2
    return (*way, (f"  {line.reason}", "dim")) if line.reason and rest > 8 and _is_open(line) else way


def _is_open(line: Line) -> bool:
    return line.rung in FAILED or line.rung in (Rung.ACCEPTED, Rung.HELD)


def path(line: Line) -> Spans:
    """The way a message took: `P1 ✗ 0.3s → P2 ● 34ms`, with a `+` between tries that were under way together, and a `✓`
    at the one that proved it where several were answered. Of many tries the first and the last are told."""
    if not line.path:
        return ((f"P{CHANNELS[line.channel].number} {line.channel}", "dim"),) if line.channel else (("–", "faint"),)
    tries, proof = list(line.path), proving(line.path, line.channel)
    spans: list[Span] = list(hop(tries[0], proof))
    shown = list(pairwise(tries))
    if len(tries) > MOST_TRIES:
        spans += [(f" → {len(tries) - 3} more", "dim"), (" → ", "faint"), *hop(tries[-2], proof)]
        shown = shown[-1:]
    for before, one in shown:
        spans += [(" + " if beside(before, one) else " → ", "faint"), *hop(one, proof)]
    return tuple(spans)


def path_within(line: Line, wide: int) -> Spans:
    """The way, or where its column is too narrow its beginning and its end: the last try is the one that decided."""
    way, tries = path(line), line.path
    if width(way) <= wide or len(tries) < 2:
        return way
    between = " → … → " if len(tries) > 2 else " + " if beside(*tries) else " → "
    first = replace(tries[0], ms=0.0)
    return (*hop(first), (between, "faint"), *hop(tries[-1], proving(tries, line.channel)))


def hop(one: TryLine, proof: TryLine | None = None) -> Spans:
    """One try: `P2 ● 34ms`; `P2 ●✓ 34ms` is the one that proved it."""
    look = OUTCOME.get(one.outcome, UNSURE)
    took = f" {say.tight(one.ms)}" if one.ms else ""
    sign = f"{look.glyph}✓" if one is proof else look.glyph
    return ((f"P{CHANNELS[one.channel].number} ", ""), (sign, look.ink), (took, "dim"))


def brief(line: Line, zone: tzinfo | None = None) -> Spans:
    """A line of the log for a list beside the log."""
    look = RUNG[line.rung]
    way = "→" if line.dir == "out" else "←"
    head: Spans = ((f"{say.stamp(line.at, zone)}  ", "dim"), (f"{way} {cell(line.peer, 12)} {cell(line.kind, 10)}", ""))
    return (*head, (cell(f"{look.glyph} {look.word}", 13), look.ink), *path(line))


WORDS = {"dir": ("out", "in"), "kind": tuple(Kind), "rung": tuple(Rung)}


def question(fleet: Fleet, text: str) -> tuple[Query, str]:
    """The filter as a query, and what is wrong with it. `peer:mac2 kind:task dir:out rung:dead`, the rest is text."""
    found: dict[str, str] = {}
    free: list[str] = []
    wrong = ""
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon or name not in ("peer", *WORDS):
            free.append(word)
        elif name == "peer":
            member = fleet.roster.named(value)
            found["peer"] = member.id if member else value
            wrong = wrong or ("" if member or not value else f"no peer is called {value}")
        elif value in WORDS[name]:
            found[name] = value
        elif value:
            wrong = wrong or f"{name}: is one of {' '.join(WORDS[name])}"
    return Query(text=" ".join(free), **found), wrong  # type: ignore[arg-type]
