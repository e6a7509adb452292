"""The map of a large fleet: peers folded into groups, and above `HEAT` into one cell a peer. Pure.

A group is the machines of one role that share the stem of their name (`gpu-01`, `gpu-02`), which is how people name
many machines. Each group says how many of it are well; every peer is still a place the cursor can go.
"""

from collections import Counter
from itertools import groupby

from engine.model.roster import Member, Role
from screens.canvas import Canvas
from screens.chart import Drawing, Seen, Spot
from screens.format import count
from screens.roll import condition, natural
from screens.spans import cells, clip

HEAT = 200
MARGIN = 2
# Below this a group of one or two is more frame than content: they share one group of their role.
SMALLEST = 3
LEADERS, LEADING = (Role.CHIEF, Role.CAPTAIN), "chief and captains"


def groups(shown: list[Member]) -> list[tuple[str, list[Member]]]:
    """The members by role and stem, in the order of the map; small groups of one role together."""
    found: list[tuple[str, list[Member]]] = []
    for role, of_role in groupby(shown, key=lambda one: LEADING if one.role in LEADERS else str(one.role)):
        stems: dict[str, list[Member]] = {}
        for one in of_role:
            stems.setdefault(stem(one.name), []).append(one)
        small = [one for some in stems.values() if len(some) < SMALLEST for one in some]
        if small:
            found.append((str(small[0].role) if len(small) == 1 else role if role == LEADING else f"{role}s", small))
        found += [(name, some) for name, some in stems.items() if len(some) >= SMALLEST]
    return found


def stem(name: str) -> str:
    """`gpu-07` is one of `gpu`."""
    return name.rstrip("0123456789").rstrip("-_.") or name


def folded(seen: Seen, shown: list[Member], size: int) -> Drawing:
    """The groups under one another, the peers of each side by side."""
    heat = len(shown) > HEAT
    plan = [(name, some, _wide(name, some, heat)) for name, some in groups(shown)]
    tall = sum(2 + _rows(len(some), wide, size) for _, some, wide in plan)
    canvas, spots, y = Canvas(size, max(1, tall - 1)), [], 0
    for name, some, wide in plan:
        _title(canvas, seen, name, some, y, size)
        across = _across(wide, size)
        for at, one in enumerate(sorted(some, key=lambda one: natural(one.name))):
            spot = Spot(one.id, MARGIN + at % across * wide, y + 1 + at // across, wide, 1)
            _cell(canvas, seen, spot, _short(one.name, name), heat)
            spots.append(spot)
        y += 2 + _rows(len(some), wide, size)
    return Drawing(canvas.lines(), tuple(spots))


def _short(name: str, group: str) -> str:
    return name[len(group) :].lstrip("-_.") if name.startswith(group) and name != group else name


def _wide(name: str, some: list[Member], heat: bool) -> int:
    return 2 if heat else min(20, 4 + max(cells(_short(one.name, name)) for one in some))


def _across(wide: int, size: int) -> int:
    return max(1, (size - MARGIN) // wide)


def _rows(number: int, wide: int, size: int) -> int:
    return -(-number // _across(wide, size))


def _title(canvas: Canvas, seen: Seen, name: str, some: list[Member], y: int, size: int) -> None:
    looks = [condition(seen.fleet, one.id).look for one in some]
    inks = {look.glyph: look.ink for look in looks}
    found = Counter(look.glyph for look in looks)
    canvas.across(0, size - 1, y, "─", "faint")
    canvas.put(1, y, f" {name}  ", "strong")
    x = 4 + cells(name)
    canvas.put(x, y, f"{count(len(some), 'peer')}  ", "dim")
    x += cells(count(len(some), "peer")) + 2
    for glyph in sorted(found, key="●◐○·–".find):
        canvas.put(x, y, glyph, inks[glyph])
        canvas.put(x + 1, y, f"{found[glyph]} ", "")
        x += 2 + cells(str(found[glyph]))


def _cell(canvas: Canvas, seen: Seen, spot: Spot, name: str, heat: bool) -> None:
    look = condition(seen.fleet, spot.id).look
    here = spot.id == seen.here
    canvas.put(spot.x, spot.y, look.glyph, f"{look.ink} flip" if here and heat else look.ink)
    if heat:
        return
    ink = "flip" if here else "accent" if spot.id in seen.marks else "" if look.glyph == "●" else look.ink
    canvas.put(spot.x + 1, spot.y, " " if not here else "▸", "accent")
    canvas.put(spot.x + 2, spot.y, clip(name, spot.wide - 3), ink)
