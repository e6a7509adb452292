"""What the drill says of a fault is what the channels say of themselves, with their own moments."""

import pytest

from fleet_tui.drill_course import Seen, course, told

NATS, HTTP = ("atlas", "birch", "nats"), ("atlas", "birch", "http")
GONE = ("cedar", "", "process")
STRUCK = 10_000


@pytest.mark.parametrize(
    ("nats", "said"),
    [
        (Seen("HEALTHY", STRUCK + 100), "all HEALTHY again after 0.1 s; failed meanwhile: nats 1"),
        (Seen("HEALTHY", STRUCK - 1), "all HEALTHY, and no channel failed"),
    ],
    ids=["broke and healed between two looks", "did not break"],
)
def test_what_was_not_looked_at_is_told_by_the_channel(nats: Seen, said: str) -> None:
    """A break shorter than the time between two looks is not missed, and has its own seconds."""
    found = course({NATS, HTTP}, {NATS: nats, HTTP: Seen("HEALTHY", 1)}, (), STRUCK)
    assert (found.open, told(found)) == (frozenset(), said)


@pytest.mark.parametrize("now", [{NATS: Seen("BROKEN", STRUCK + 5)}, {NATS: Seen("UNKNOWN", 0)}, {}])
def test_nothing_is_over_while_a_channel_is_not_well(now: dict[tuple[str, str, str], Seen]) -> None:
    """Broken, never tried since its node's start, or not to be asked: all the same."""
    found = course({NATS, HTTP}, {**now, HTTP: Seen("HEALTHY", STRUCK + 9)}, (), STRUCK)
    assert (found.open, found.took_s) == ({NATS}, None)


def test_nothing_is_over_while_somebody_is_missed() -> None:
    """A node that stands still keeps it open, though each channel that was asked is well."""
    found = course({NATS}, {NATS: Seen("HEALTHY", STRUCK + 9)}, {GONE}, STRUCK)
    assert (found.open, found.took_s) == ({GONE}, None)


def test_the_last_channel_ends_it() -> None:
    """The seconds are those of the slowest; what never was well does not count."""
    now = {NATS: Seen("HEALTHY", STRUCK + 400), HTTP: Seen("HEALTHY", STRUCK + 2_500), GONE: Seen("ABSENT", 0)}
    found = course({NATS, HTTP}, now, (), STRUCK)
    assert told(found) == "all HEALTHY again after 2.5 s; failed meanwhile: http 1, nats 1"
