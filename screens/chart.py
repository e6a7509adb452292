"""The map: cards on a bus, drawn into lines. Pure; a drawing is the same value for the same fleet and width.

The chief stands on top. Under it runs a bus: what this node reaches. Every card hangs on it by the best channel that
works from here, with its latency; a card that nothing reaches hangs on a dashed line that names the rung that failed.
Only what this node has measured is drawn: that a relay takes mail for a peer that is not there is the relay's word, and
its edge is dashed and unproved. Above `FOLD` peers the cards fold into groups (`screens.chart_groups`).
"""

from typing import NamedTuple

from engine.model.channel import CHANNELS
from engine.model.moment import Moment
from engine.model.peer import THERE
from engine.model.roster import Member, Role
from engine.state import Fleet
from screens import format as say
from screens.canvas import Canvas
from screens.roll import WORKS, Link, Plan, best, condition, failed, links, members, no_plan, peer_of, said
from screens.spans import Spans, cell, cells, clip

FOLD = 30
NARROW, CARD = 20, 25
GAP = 2
TALL = 4
# What a bus that goes down at the left needs before the first card.
TRUNK = 3


class Spot(NamedTuple):
    """Where a peer is drawn: its id and its rectangle in cells."""

    id: str
    x: int
    y: int
    wide: int
    tall: int

    @property
    def middle(self) -> tuple[float, float]:
        """The centre, for finding a neighbour."""
        return self.x + self.wide / 2, self.y + self.tall / 2


class Drawing(NamedTuple):
    """The lines, and who is where in them."""

    lines: tuple[Spans, ...] = ()
    spots: tuple[Spot, ...] = ()


class Seen(NamedTuple):
    """What a drawing is made of: the fleet, the moment, the plan, whose card is lit, and who is marked."""

    fleet: Fleet
    now: Moment
    plan: Plan = no_plan
    here: str = ""
    marks: frozenset[str] = frozenset()


def cards(seen: Seen, shown: list[Member], size: int) -> Drawing:
    """The map of `shown`, at most `FOLD` or so, in `size` cells."""
    if not shown:
        return Drawing()
    top, rest = shown[0], shown[1:]
    across, wide = _columns(len(rest), size)
    rows = [rest[at : at + across] for at in range(0, len(rest), across)]
    canvas = Canvas(size, TALL + len(rows) * (TALL + 3))
    x = max(TRUNK if len(rows) > 1 else 0, (size - across * (wide + GAP) + GAP) // 2)
    spots = [Spot(top.id, max(0, (size - wide) // 2), 0, wide, TALL)]
    stem = spots[0].x + wide // 2
    for number, row in enumerate(rows):
        y = TALL + number * (TALL + 3)
        placed = [Spot(one.id, x + at * (wide + GAP), y + 3, wide, TALL) for at, one in enumerate(row)]
        _bus(canvas, seen, placed, stem if number == 0 else None, number, len(rows))
        spots += placed
    for spot in spots:
        _card(canvas, seen, spot)
    if rest:
        _stem(canvas, seen, top, stem)
    return Drawing(canvas.lines(), tuple(spots))


def _columns(number: int, size: int) -> tuple[int, int]:
    """How many cards stand side by side and how wide they are: as few rows as fit, and those evenly filled."""
    if number <= (size + GAP) // (NARROW + GAP):
        across = max(1, number)
        return across, max(12, min(CARD, (size + GAP) // across - GAP))
    most = max(1, (size - TRUNK + GAP) // (NARROW + GAP))
    across = -(-number // -(-number // most))
    return across, max(12, min(CARD, (size - TRUNK + GAP) // across - GAP))


def _stem(canvas: Canvas, seen: Seen, top: Member, x: int) -> None:
    canvas.put(x, TALL - 1, "┬", "rule")
    if top.id != seen.fleet.me.id:
        label, ink = edge(seen, top.id)
        canvas.put(x + 2, TALL, label, ink)


def _bus(canvas: Canvas, seen: Seen, placed: list[Spot], stem: int | None, number: int, rows: int) -> None:
    line = placed[0].y - 2
    drops = {spot.x + spot.wide // 2: spot for spot in placed}
    trunk = 1 if rows > 1 else None
    fixed = [x for x in (stem, trunk) if x is not None]
    ends = [*drops, *fixed]
    solid = [*(x for x, spot in drops.items() if not _is_cut(seen, spot.id)), *fixed]
    if stem is not None:
        canvas.put(stem, line - 1, "│", "rule")
    canvas.across(min(ends), max(ends), line, "╌", "faint")
    canvas.across(min(solid), max(solid), line, "─", "rule")
    for x, spot in drops.items():
        _drop(canvas, seen, x, line, spot, (x == min(ends), x == max(ends)))
    if stem is not None:
        canvas.join(stem, line, "│", "rule")
    if trunk is not None:
        if number:
            canvas.down(trunk, line - TALL - 2, line - 1, "│", "rule")
        canvas.put(trunk, line, "┌" if not number else "└" if number == rows - 1 else "├", "rule")


def _drop(canvas: Canvas, seen: Seen, x: int, y: int, spot: Spot, end: tuple[bool, bool]) -> None:
    cut = _is_cut(seen, spot.id)
    corner = {(True, False): "┌", (False, True): "┐", (True, True): "│", (False, False): "┬"}[end]
    canvas.put(x, y, "╌" if cut and not any(end) else corner, "faint" if cut else "rule")
    label, ink = edge(seen, spot.id)
    text = clip(label, spot.wide)
    canvas.put(max(0, x - len(text) // 2), y + 1, text, ink)


def _is_cut(seen: Seen, node_id: str) -> bool:
    if node_id == seen.fleet.me.id:
        return False
    link = best(seen.fleet, node_id, seen.plan)
    return link is None or _unproved(seen.fleet, node_id, link)


def _unproved(fleet: Fleet, node_id: str, link: Link) -> bool:
    """Whether only somebody between has answered: what it took for a peer that is not there is not there."""
    return CHANNELS[link.channel].stores and peer_of(fleet, node_id).standing not in THERE


def edge(seen: Seen, node_id: str) -> tuple[str, str]:
    """The words on an edge, and their ink: `nats 2 ms`, or `✗ nats refused`."""
    fleet = seen.fleet
    if node_id == fleet.me.id:
        return "this node", "accent"
    link = best(fleet, node_id, seen.plan)
    if link and _unproved(fleet, node_id, link):
        return f"╎ {link.channel}, unproved", "warn"
    if link:
        value = f" {say.latency(link.ms)}" if link.ms is not None else ""
        return f"{link.channel}{value}", "warn" if link.state == "DEGRADED" else "dim"
    if any(one.held and one.state in WORKS for one in links(fleet, node_id)):
        return "╎ held by you", "warn"
    broken = failed(fleet, node_id)
    if broken:
        return f"╎ ✗ {said(broken)}", "bad"
    worked = any(fleet.health(node_id, channel).ok_at is not None for channel in CHANNELS)
    return ("╎ no way now", "warn") if worked else ("╎ no channel yet", "dim")


def _card(canvas: Canvas, seen: Seen, spot: Spot) -> None:
    member = seen.fleet.member(spot.id)
    how = condition(seen.fleet, spot.id)
    here, cut = spot.id == seen.here, how.look.glyph in "○·"
    ink = "accent" if here else "faint" if cut else "rule"
    canvas.box(spot.x, spot.y, spot.wide, spot.tall, ink, dashed=cut and not here, heavy=here)
    name = clip(seen.fleet.name_of(spot.id), spot.wide - 9)
    canvas.put(spot.x + 2, spot.y, f"   {name} ", "dim" if cut else "strong")
    canvas.put(spot.x + 3, spot.y, how.look.glyph, how.look.ink)
    if spot.id in seen.marks:
        canvas.put(spot.x + spot.wide - 4, spot.y, " ✓ ", "accent")
    for at, line in enumerate(_facts(seen, spot.id, member.role if member else Role.WORKER, spot.wide - 4)):
        x = spot.x + 2
        for text, colour in line:
            canvas.put(x, spot.y + 1 + at, text, colour)
            x += cells(text)


def _facts(seen: Seen, node_id: str, role: Role, size: int) -> list[Spans]:
    """Two lines: what it is for and how it is; where it works."""
    fleet = seen.fleet
    how = condition(fleet, node_id)
    peer = peer_of(fleet, node_id)
    beat = fleet.me.look if node_id == fleet.me.id else peer.beat
    right = ""
    if how.look.glyph == "○":
        since = f" {say.age((seen.now.wall_ms - how.since_ms) / 1_000)}" if how.since_ms else ""
        return [((role, "dim"),), ((how.look.word + since, how.look.ink),)]
    if how.look.glyph == "◐":
        right = how.look.word
    elif beat:
        right = say.count(beat.sessions, "session") if beat.sessions else f"load {beat.load:.1f}"
    first: Spans = ((cell(role, size - len(right)), "dim"), (right, how.look.ink if how.look.glyph == "◐" else "dim"))
    if not beat or not beat.branch:
        return [first, (("–" if beat else "no heartbeat yet", "faint"),)]
    dirty = f"±{beat.dirty}" if beat.dirty else beat.head[:7]
    return [first, ((cell(beat.branch, size - len(dirty)), ""), (dirty, "warn" if beat.dirty else "dim"))]


def alone(seen: Seen, size: int) -> Drawing:
    """The map of a fleet of one: its card, and how to make it two."""
    wide, wizard = min(CARD, size - 2), min(62, size - 2)
    canvas = Canvas(size, TALL + 8)
    spot = Spot(seen.fleet.me.id, max(0, (size - wide) // 2), 0, wide, TALL)
    _card(canvas, seen, spot)
    x, y = max(0, (size - wizard) // 2), TALL + 1
    canvas.box(x, y, wizard, 7, "rule")
    canvas.put(x + 2, y, " add a machine ", "title")
    steps = (
        ("1  ", "i", " prints an invite: a code that is good once"),
        ("2  on the other machine:  ", "fleet join -", " reads that code"),
        ("3  ", "m", " writes to it; ", "2", " shows every way there"),
    )
    for at, step in enumerate(steps):
        place = x + 3
        for number, text in enumerate(step):
            text = clip(text, x + wizard - 2 - place)
            canvas.put(place, y + 2 + at, text, "key" if number % 2 else "")
            place += cells(text)
    return Drawing(canvas.lines(), (spot,))


def shown_members(fleet: Fleet, keep: set[str] | None = None) -> list[Member]:
    """Who is on the map: the chief first (or this node where there is none), then by rank and name."""
    found = [one for one in members(fleet) if keep is None or one.id in keep]
    chief = fleet.roster.chief
    first = chief.id if chief else fleet.me.id
    return sorted(found, key=lambda one: one.id != first)
