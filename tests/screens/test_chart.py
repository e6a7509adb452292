"""The map: everyone has a place, nobody's place overlaps, and an edge says what was measured."""

from functools import partial
from itertools import combinations

import pytest
from msgspec.structs import replace

from engine.model.channel import ChannelHealth
from engine.model.peer import Standing
from engine.model.roster import Role
from screens.chart import Drawing, Seen, alone, cards, edge, shown_members
from screens.chart_groups import folded, groups
from screens.spans import width, words
from screens.widgets.chart_view import neighbour
from tests.screens.golden import (
    ABSENT,
    BROKEN,
    EMPTY,
    LARGE,
    NOW,
    SMALL,
    UNKNOWN,
    B,
    Fleet,
    fleet,
    health,
    large,
    member,
    peer,
    plan,
    ways,
)

SIZES = [30, 45, 58, 76, 78, 120, 160]


def drawn(value: Fleet, size: int, here: str = "") -> Drawing:
    draw = folded if len(value.roster.members) > 31 else cards
    return draw(Seen(value, NOW, partial(plan, value), here), shown_members(value), size)


def some(number: int) -> Fleet:
    return fleet([(member(f"m{at}"), peer(f"m{at}"), ways()) for at in range(number)])


FLEETS = [SMALL, BROKEN, LARGE, large(400), *(some(number) for number in (1, 2, 7, 12, 29))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", FLEETS, ids=lambda value: str(len(value.roster.members)))
def test_everyone_has_a_place(value: Fleet, size: int) -> None:
    """At any width every member is drawn once, inside the drawing, and no two overlap."""
    drawing = drawn(value, size)
    assert sorted(spot.id for spot in drawing.spots) == sorted(one.id for one in value.roster.members)
    for spot in drawing.spots:
        assert spot.x >= 0
        assert spot.x + spot.wide <= max(size, spot.wide)
        assert spot.y + spot.tall <= len(drawing.lines)
    if len(drawing.spots) < 60:
        for one, two in combinations(drawing.spots, 2):
            apart = one.x + one.wide <= two.x or two.x + two.wide <= one.x
            assert apart or one.y + one.tall <= two.y or two.y + two.tall <= one.y


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_as_wide_as_the_map(size: int) -> None:
    """No line is longer than the map."""
    for value in FLEETS:
        assert {width(line) for line in drawn(value, size).lines} <= {size}


def test_edges_say_what_was_measured() -> None:
    """A working edge names channel and latency, a broken one the rung that failed, ours that it is ours."""
    seen = Seen(BROKEN, NOW, partial(plan, BROKEN))
    told = {name: edge(seen, f"id-{name}")[0] for name in ("studio", "linux1", "mac2", "nas", "pi", "mac1")}
    assert told == {
        "studio": "nats 2 ms",
        "linux1": "http 18 ms",
        "mac2": "relay 4 ms",
        "nas": "╎ ✗ nats no answer",
        "pi": "╎ no channel yet",
        "mac1": "this node",
    }


@pytest.mark.parametrize(
    ("known", "standing", "told"),
    [
        ({"nats": health(held=True), "http": health(B, reason="refused")}, Standing.ALIVE, "╎ held by you"),
        ({"relay": health(ABSENT), "nats": health(UNKNOWN, ok_at=1.0)}, Standing.ALIVE, "╎ no way now"),
        ({"relay": health(ms=(6.0,))}, Standing.ALIVE, "relay 6 ms"),
        ({"relay": health(ms=(6.0,))}, Standing.STALE, "╎ relay, unproved"),
    ],
)
def test_edges_say_what_was_not_measured(known: dict[str, ChannelHealth], standing: Standing, told: str) -> None:
    """A person's hold, a way that was there, and a relay that alone has answered are told apart."""
    value = fleet([(member("pi"), peer("pi", standing), ways(**known))])
    assert edge(Seen(value, NOW), "id-pi")[0] == told


def test_the_chief_is_on_top_wherever_we_are() -> None:
    """Seen from a worker, the chief stands on top and its edge says how we reach it."""
    roles = {"mac1": Role.WORKER, "studio": Role.CHIEF}
    people = tuple(replace(one, role=roles.get(one.name, one.role)) for one in SMALL.roster.members)
    value = replace(SMALL, roster=replace(SMALL.roster, members=people))
    drawing = drawn(value, 90)
    assert drawing.spots[0].id == "id-studio"
    text = "\n".join(words(line) for line in drawing.lines)
    assert "│ nats 2 ms" in text
    assert "this node" in text


def test_alone_says_what_to_do() -> None:
    """A fleet of one is its own card and how to add a machine."""
    text = "\n".join(words(line) for line in alone(Seen(EMPTY, NOW), 70).lines)
    for part in ("mac1", "add a machine", "fleet join -", "i prints an invite"):
        assert part in text


def test_groups_are_what_people_named() -> None:
    """Machines of one stem are a group; a few odd ones of a role share one."""
    named = {name: len(some) for name, some in groups(shown_members(LARGE))}
    assert named == {"chief and captains": 2, "build": 34, "edge": 34, "gpu": 34, "lab": 17}
    odd = fleet([(member(name), peer(name), ways()) for name in ("nas", "pi", "web-1", "web-2", "web-3")])
    assert {name: len(some) for name, some in groups(shown_members(odd))} == {"chief": 1, "workers": 2, "web": 3}


def test_arrows_reach_everyone() -> None:
    """From the first card every other can be reached with arrows, on any map."""
    for value in (BROKEN, LARGE, large(400)):
        spots = drawn(value, 76).spots
        seen, edges = {spots[0].id}, [spots[0]]
        while edges:
            here = edges.pop()
            for dx, dy in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                there = neighbour(here, spots, dx, dy)
                if there and there.id not in seen:
                    seen.add(there.id)
                    edges.append(there)
        assert len(seen) == len(spots)
