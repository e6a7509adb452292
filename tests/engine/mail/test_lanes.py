"""What people see of the lanes (how many wait, how many died), and how long a message lives."""

import pytest

from engine.effects import Load
from engine.mail.lanes import armed, counted, ends_at, page, paged, revived, uncarried, with_lane
from engine.model.envelope import KINDS, OPEN_LIMIT, RESERVED, Kind, Urgency
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.signals import Posted
from tests.engine.script import T0_MONO, T0_MS, Script, fleet, letter

HOUR_MS = 3_600_000


@pytest.mark.parametrize("kind", list(Kind))
def test_people_count_their_own_messages(kind: Kind) -> None:
    """What keeps the fleet itself running is neither waiting nor dead to anybody; every change shows in `revision`."""
    value = counted(fleet("A", "B"), letter("m", kind=kind), waiting=1, dead=2)
    public = KINDS[kind].public
    assert (value.mail.waiting, value.mail.dead, value.mail.revision) == ((1, 2, 1) if public else (0, 0, 0))


def test_the_dead_may_return() -> None:
    """A message that was there all along is one fewer among the dead."""
    assert revived(counted(fleet("A", "B"), letter("m"), dead=1)).mail.dead == 0


@pytest.mark.parametrize(
    ("ttl_s", "age_ms", "left_s"),
    [
        pytest.param(0, 10**12, float("inf"), id="0 lives for ever"),
        pytest.param(3_600, 0, 3_600.0, id="a fresh one"),
        pytest.param(3_600, HOUR_MS // 2, 1_800.0, id="half of it is over"),
        pytest.param(3_600, 5 * HOUR_MS, 0.0, id="over"),
        pytest.param(3_600, -5 * HOUR_MS, 3_600.0, id="from the future, since the clock was set back: not longer"),
    ],
)
def test_the_end_of_a_life(ttl_s: int, age_ms: int, left_s: float) -> None:
    """Its age is taken from the wall clock once, between 0 and its whole life; from then on the steady clock counts."""
    ends = ends_at(letter("m", ttl_s=ttl_s, created_ms=T0_MS - age_ms), Moment(T0_MS, T0_MONO))
    assert ends - T0_MONO == left_s


@pytest.mark.parametrize(
    ("lane", "asked"),
    [
        pytest.param(Lane(), 0, id="nothing waits"),
        pytest.param(Lane(backlog=5), OPEN_LIMIT, id="room for all"),
        pytest.param(Lane(backlog=5, loading=True), 0, id="asked already"),
    ],
)
def test_a_page_is_asked_for_once(lane: Lane, asked: int) -> None:
    """When something waits in the store, the lane is half empty and nothing is on its way."""
    value, effects = page(with_lane(fleet("A", "B"), "B", lane), "B")
    assert effects == ([Load("B", asked, asked - RESERVED)] if asked else [])
    assert value.mail.lanes["B"].loading is bool(asked or lane.loading)


def test_a_full_lane_asks_for_no_page() -> None:
    """Not before half of its numbers are free again."""
    script = Script(fleet("A", "B"))
    for number in range(OPEN_LIMIT // 2 + 1):
        script.hear(Posted(letter(f"m{number}"), 1))
    lane = script.fleet.mail.lanes["B"]
    assert page(with_lane(script.fleet, "B", Lane(lane.open, backlog=1)), "B")[1] == []


def test_what_came_meanwhile_is_counted_as_left() -> None:
    """At most one look too many; never one too few."""
    assert paged(Lane(backlog=9, loading=True, since=2), (), left=3) == Lane(backlog=5)


@pytest.mark.parametrize(
    ("last", "left", "more"), [(Urgency.HIGH, 1, True), (Urgency.HIGH, 0, False), (Urgency.NORMAL, 1, False)]
)
def test_more_that_is_urgent_may_be_left_where_a_page_ends_in_it(last: Urgency, left: int, more: bool) -> None:
    """A page comes urgent first, so one that ends in what is not has brought all that is."""
    read = [Waiting(letter("first", urgency=Urgency.URGENT)), Waiting(letter("last", urgency=last))]
    assert paged(Lane(loading=True), read, left).pressing is more


def test_nothing_open_needs_no_timer() -> None:
    """A lane without open numbers is not rung."""
    assert armed("B", Lane(backlog=3)) == []


def test_what_is_not_carried_is_not_forgotten() -> None:
    """Only a FORWARD of ours ends what we carry for others."""
    value = fleet("A", "B")
    assert uncarried(value, letter("m")) is value
    assert uncarried(value, letter("m", kind=Kind.FORWARD)) is value
