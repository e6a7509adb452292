"""The frame around every room: header, tabs, banner and footer, as lines for a given width. Pure.

Each part that can be clicked carries a verb. What does not fit is left out whole, the least important first: nothing
is cut in the middle of a word.
"""

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from engine.model.finding import Finding, causes
from engine.model.moment import Moment
from engine.state import Fleet
from screens.format import clock, count
from screens.glyphs import BROKER, SEVERITY, Look
from screens.keymap import GENERAL, TABS, Key
from screens.spans import Span, Spans, cells, fit, sides, width

TINY = (40, 10)


class Framed(NamedTuple):
    """A line, and the verbs at its cells: (first cell, cell after the last, verb)."""

    spans: Spans
    targets: tuple[tuple[int, int, str], ...] = ()

    def at(self, x: int) -> str:
        """The verb at cell `x`."""
        return next((verb for start, end, verb in self.targets if start <= x < end), "")


class Part(NamedTuple):
    """A piece of the header; the highest `weight` is left out first."""

    spans: Spans
    weight: int
    verb: str = ""


def header(
    fleet: Fleet, counts: dict[str, int], need: int, now: Moment, size: int, zone: tzinfo | None = None
) -> Framed:
    """Who and where we are, how the fleet is, what waits, and the time."""
    time: Spans = ((f"{clock(now.wall_ms, zone)} ", "dim"),)
    parts = _parts(fleet, counts, need)
    while len(parts) > 1 and sum(width(part.spans) + 2 for part in parts) + width(time) > size:
        parts.remove(max(parts, key=lambda part: part.weight))
    spare = size - width(time) - 1 - sum(width(part.spans) for part in parts)
    gap = max(2, min(6, spare // max(1, len(parts))))
    spans: list[Span] = [(" ", "")]
    targets, at = [], 1
    for part in parts:
        end = at + width(part.spans)
        spans += (*part.spans, (" " * gap, ""))
        if part.verb:
            targets.append((at, end, part.verb))
        at = end + gap
    return Framed(sides(tuple(spans[:-1]), time, size), tuple(targets))


def _parts(fleet: Fleet, counts: dict[str, int], need: int) -> list[Part]:
    parts = [
        Part((("fleet ▸ ", "dim"), (fleet.roster.fleet_name, "title")), 3),
        Part(((fleet.me.name, "strong"), _standing(fleet)), 5),
        Part(_counted(counts), 1, "peers"),
    ]
    if need:
        parts.append(Part(((f" {need} need{'s' if need == 1 else ''} you ", "need"),), 2, "next"))
    mail: list[Span] = [("outbox ", "dim"), (str(fleet.mail.waiting), "strong" if fleet.mail.waiting else "")]
    if fleet.mail.dead:
        mail += [("  ", ""), (f"{fleet.mail.dead} dead", "bad")]
    parts.append(Part(tuple(mail), 4, "messages"))
    look = BROKER.get(fleet.broker.state, Look("·", fleet.broker.state, "dim"))
    parts.append(Part((("nats ", "dim"), (look.glyph, look.ink), (f" {look.word}", "dim")), 6))
    return parts


def _standing(fleet: Fleet) -> Span:
    """What this node is in its fleet."""
    if fleet.revoked:
        return " revoked", "bad"
    return f" {fleet.mine.role if fleet.mine else 'alone'}", "dim"


def _counted(counts: dict[str, int]) -> Spans:
    inks = {"●": "good", "◐": "warn", "○": "bad", "·": "dim"}
    shown = [(glyph, ink) for glyph, ink in inks.items() if counts.get(glyph) or glyph == "●"]
    spans: list[Span] = []
    for glyph, ink in shown:
        spans += [(" ", "")] if spans else []
        spans += [(glyph, ink), (str(counts.get(glyph, 0)), "")]
    return tuple(spans)


def tabs(room: str, size: int) -> Framed:
    """The rooms there are, by their numbers; the one we are in is lit."""
    spans: list[Span] = [(" ", "")]
    targets, at = [], 1
    for name, key in TABS.items():
        text = f" {key.shown} {key.label} "
        spans += [(text, "tab" if name == room else "dim"), (" ", "")]
        targets.append((at, at + cells(text), name))
        at += cells(text) + 1
    return Framed(fit(tuple(spans), size), tuple(targets))


def rule(size: int, said: Spans = (), right: Spans = ()) -> Framed:
    """A line that parts, with words let into it."""
    if not said and not right:
        return Framed((("─" * size, "rule"),))
    left: Spans = (("── ", "rule"), *said, (" ", "")) if said else ()
    end: Spans = ((" ", ""), *right, (" ──", "rule")) if right else ()
    if width(left) + width(end) > size:
        end = ()
    if width(left) > size:
        return Framed(fit(left, size))
    return Framed((*left, ("─" * (size - width(left) - width(end)), "rule"), *end))


def banner(findings: Sequence[Finding], size: int) -> Framed:
    """The gravest finding with its next step, or a plain rule when there is none."""
    if not findings:
        return rule(size)
    first, *others = causes(findings)
    look = SEVERITY[first.severity]
    end: Spans = ((f"{len(others)} more  " if others else "", "dim"), ("F", "key"), (" findings", "dim"))
    room = size - width(end) - 8
    said: list[Span] = [(f" {look.glyph} {look.word} ", look.ink), (f" {first.title}", "strong")]
    for text in (first.detail, first.next_step):
        if text and width(tuple(said)) + cells(text) + 3 <= room:
            said.append((" · " + text, "dim"))
    return Framed(rule(size, tuple(said), end).spans, ((0, size, "findings"),))


def footer(keys: Sequence[Key], size: int) -> tuple[Framed, list[Key]]:
    """As many keys as fit whole, the most useful first, and help always; with the keys that are shown."""
    ends = [key for key in keys if key.verb == "help"]
    middle = [key for key in keys if key.verb != "help"]
    used = 1 + sum(_room(key) for key in ends)
    shown = []
    for key in middle:
        if used + _room(key) > size:
            continue
        used += _room(key)
        shown.append(key)
    shown.sort(key=lambda key: key.verb in GENERAL)
    spans: list[Span] = [(" ", "")]
    targets, at = [], 1
    for key in (*shown, *ends):
        spans += [(key.shown, "key"), (f" {key.label}", "dim"), ("   ", "")]
        targets.append((at, at + _room(key) - 3, key.verb))
        at += _room(key)
    return Framed(fit(tuple(spans), size), tuple(targets)), [*shown, *ends]


def _room(key: Key) -> int:
    return cells(key.shown) + 1 + cells(key.label) + 3


def status(fleet: Fleet, counts: dict[str, int], need: int, size: int) -> Framed:
    """All that a terminal too small for a room can say: one line."""
    spans: list[Span] = [(" ", ""), (fleet.me.name, "strong"), ("  ", ""), *_counted(counts)]
    if need:
        spans += [("  ", ""), (f"{need} need{'s' if need == 1 else ''} you", "need")]
    if fleet.mail.waiting:
        spans += [("  ", ""), (count(fleet.mail.waiting, "waiting", "waiting"), "dim")]
    return Framed(fit(tuple(spans), size))
