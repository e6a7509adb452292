"""The grid of channels: rows peers, columns P0 to P8. Pure.

A cell is a glyph with a latency, an age or a countdown. The channel the next message would take is underlined; on the
row under the cursor every cell carries its place in the cascade. Where the line is short, columns that nobody has and
nobody repairs are left out and counted in the heading.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from engine.model.channel import CHANNELS, HOT, Channel, ChannelHealth, ChannelState
from engine.model.moment import Moment
from engine.state import Fleet
from screens import format as say
from screens.census import Census
from screens.fuzzy import matching
from screens.glyphs import CHANNEL, small
from screens.repair_lines import level_of
from screens.roll import (
    ALIVE,
    NINE,
    WORST,
    Condition,
    Plan,
    best,
    members,
    natural,
    no_plan,
)
from screens.spans import Span, Spans, cell, cells, clip, fit
from screens.widgets.line_grid import Rows

SORTS = ("name", "worst")
NAME = 15
NEXT = 20
# From this width on all nine columns are shown, and what goes next in words.
FULL = 108
LEAST, MOST = 6, 11
HELD = "held"


# What a row says: the peer's condition and its nine pairs, for which width, column under the cursor, the rung there,
# order and second.
Facts = tuple[Condition, tuple[ChannelHealth | None, ...], int, int, int, tuple[Channel, ...], int, tuple[Channel, ...]]


class Drawn(NamedTuple):
    """A row as it was said, and of what."""

    facts: Facts
    spans: Spans


class ChannelRows(Rows):
    """The rows of one fleet at one moment. `before`: the rows shown until now; what still holds is taken over. `here`:
    the channel under the cursor, which has its column in any case."""

    def __init__(
        self,
        fleet: Fleet,
        now: Moment,
        query: str,
        sort: str,
        plan: Plan = no_plan,
        census: Mapping[str, Condition] | None = None,
        before: "ChannelRows | None" = None,
        here: Channel | None = None,
    ) -> None:
        self.fleet, self.now, self.plan, self.here = fleet, now, plan, here
        self.census = Census()(fleet) if census is None else census
        self.columns = len(CHANNELS)
        self.asked = (query, sort)
        like = before if before and _alike(before.fleet, fleet) else None
        self.drawn: dict[str, Drawn] = like.drawn if like else {}
        self.keys = like.keys if like and self._same_order(like) else self._order(query, sort)

    def _same_order(self, before: "ChannelRows") -> bool:
        """Names do not change places; conditions do, where the filter or the sorting asks for them."""
        query, sort = self.asked
        calm = sort != "worst" and not query.strip()
        return before.asked == self.asked and (calm or before.census is self.census)

    def _order(self, query: str, sort: str) -> list[str]:
        others = [one for one in members(self.fleet) if one.id != self.fleet.me.id]
        how = self.census
        found = matching(query, others, lambda one: f"{one.name} {one.role} {how[one.id].look.word}")
        if sort == "worst":
            found.sort(key=lambda one: (WORST.get(how[one.id].look.glyph, 9), natural(one.name)))
        else:
            found.sort(key=lambda one: natural(one.name))
        return [one.id for one in found]

    @cached_property
    def used(self) -> tuple[Channel, ...]:
        """The channels that someone has, or has to do with."""
        wanted = {*used(self.fleet), self.here}
        return tuple(one for one in CHANNELS if one in wanted)

    def shown(self, size: int) -> tuple[Channel, ...]:
        """The channels there is a column for."""
        return NINE if size >= FULL else self.used

    def _wide(self, size: int) -> tuple[int, int, int]:
        """The widths of the name, of a cell with its gap, and of the words at the end."""
        after = NEXT if size >= FULL else 0
        columns = len(self.shown(size))
        name = NAME if size >= 60 else 10
        rest = after or (cells(self._left_out(size)) if size >= 60 else 0)
        each = min(MOST, max(LEAST, (size - name - rest) // columns))
        return min(size - each * columns - rest, NAME + 10), each, after

    def _left_out(self, size: int) -> str:
        """How many columns there are not."""
        missing = len(CHANNELS) - len(self.shown(size))
        return f"+{missing} not set up" if missing else ""

    def heading(self, size: int) -> Spans:
        name, each, after = self._wide(size)
        shown = self.shown(size)
        parts: list[Span] = [(cell("  peer", name), "dim")]
        parts += [(cell(f"P{CHANNELS[one].number} {one}" if each > 8 else str(one), each), "dim") for one in shown]
        parts.append(("next goes by" if after else self._left_out(size), "faint"))
        return fit(parts, size)

    def row(self, index: int, size: int, column: int) -> Spans:
        peer = self.keys[index]
        how, order = self.census[peer], self.plan(peer)
        # Where all is well nothing on the row counts seconds.
        second = 0 if how.look is ALIVE else int(self.now.mono)
        known = self.fleet.channels.get
        pairs = tuple([known((peer, channel)) for channel in NINE])
        rung = level_of(self.fleet, peer, NINE[column]) if column >= 0 else 0
        drawn, facts = self.drawn.get(peer), (how, pairs, size, column, rung, order, second, self.shown(size))
        if drawn is None or drawn.facts != facts:
            drawn = self.drawn[peer] = Drawn(facts, self._row(peer, how, order, size, column))
        return drawn.spans

    def _row(self, peer: str, how: Condition, order: tuple[Channel, ...], size: int, column: int) -> Spans:
        name, each, after = self._wide(size)
        spans: list[Span] = [(f"{how.look.glyph} ", how.look.ink)]
        spans.append((cell(self.fleet.name_of(peer), name - 2), "strong" if column >= 0 else ""))
        for channel in self.shown(size):
            spans += self._cell(peer, channel, each, order, column)
        return (*spans, *self._next(peer, order, after)) if after else tuple(spans)

    def _cell(self, peer: str, channel: Channel, wide: int, order: tuple[Channel, ...], column: int) -> Spans:
        glyph, value, ink = self.says(peer, channel, wide)
        lit = "cell " if column == CHANNELS[channel].number else ""
        place = small(order.index(channel) + 1) if column >= 0 and channel in order else ""
        rung = level_of(self.fleet, peer, channel) if lit else 0
        if rung:
            # The age is in the panel; the rung is what one cell can add.
            value = f"{value} L{rung}" if wide > 10 else f" L{rung}"
        room = wide - 1 - cells(glyph) - cells(place)
        if place and cells(value) >= room:
            value = value.replace(" ms", "ms")
        # First the gap goes, then the order: a number without its unit is no latency.
        if cells(value) > room:
            value = value.lstrip()
        if cells(value) > room:
            room, place = room + cells(place), ""
        text = clip(value, room)
        under = " under" if channel in order[:1] else ""
        pad = " " * (room - cells(text))
        return (
            (glyph, f"{lit}{ink}"),
            (" " if text.startswith(" ") else "", lit),
            (text.lstrip(), f"{lit}{_tone(ink)}{under}"),
            (place + pad, f"{lit}accent"),
            (" ", ""),
        )

    def says(self, peer: str, channel: Channel, wide: int) -> tuple[str, str, str]:
        """Glyph, value and ink of a cell `wide` cells wide."""
        health = self.fleet.health(peer, channel)
        look = CHANNEL[health.shown]
        if health.held:
            return "–", f" {HELD}", "dim"
        ms = health.latency_ms
        gap = " " if wide > 7 else ""
        value = ""
        if health.state in (ChannelState.HEALTHY, ChannelState.DEGRADED) and ms is not None:
            value = say.latency(ms) if wide > 8 else say.tight(ms)
        elif health.shown is ChannelState.HEALING:
            value = say.countdown(health.retry_at - self.now.mono) if health.retry_at > self.now.mono else "probing"
        elif health.shown in (ChannelState.BROKEN, ChannelState.QUARANTINED) and health.since_ms:
            value = say.age((self.now.wall_ms - (health.broke_ms or health.since_ms)) / 1_000)
        return look.glyph, f"{gap}{value}" if value else "", look.ink

    def _next(self, peer: str, order: tuple[Channel, ...], wide: int) -> Spans:
        if self.fleet.revoked:
            return fit((("nothing goes", "warn"),), wide)
        if order:
            return fit(((", then ".join(order[:2]), "dim"),), wide)
        link = best(self.fleet, peer)
        return fit(((link.channel, "dim") if link else ("waits", "warn"),), wide)

    def across(self, column: int, steps: int, size: int) -> int:
        shown = [CHANNELS[one].number for one in self.shown(size)]
        at = shown.index(column) if column in shown else 0
        return shown[max(0, min(at + steps, len(shown) - 1))]

    def column_at(self, x: int, size: int) -> int:
        name, each, _ = self._wide(size)
        shown = self.shown(size)
        at = (x - name) // each
        return CHANNELS[shown[at]].number if x >= name and at < len(shown) else -1


def _alike(old: Fleet, new: Fleet) -> bool:
    """Whether the same peers have the same pairs, whatever became of them."""
    return old.roster is new.roster and old.me.id == new.me.id and len(old.channels) == len(new.channels)


def used(fleet: Fleet) -> list[Channel]:
    """The channels that someone has, tried or not, or that are under repair; those that are hot always."""
    set_up = {channel for (_, channel), health in fleet.channels.items() if health.state is not ChannelState.ABSENT}
    set_up |= {channel for _, channel in fleet.repairs}
    return [one for one in CHANNELS if one in set_up or one in HOT]


def _tone(ink: str) -> str:
    """The ink of a value: quiet where all is well, so that trouble stands out."""
    return "" if ink == "good" else ink
