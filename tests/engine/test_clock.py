"""The system's clock: ids are ULIDs, unlike each other and in the order of time."""

from engine.clock import SystemClock
from engine.model.moment import Moment

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_an_id_begins_with_its_time() -> None:
    """The example of the ULID specification: 1469918176385 ms is 01ARYZ6S41, and sixteen letters follow."""
    made = SystemClock().new_id(Moment(1_469_918_176_385, 0.0))
    assert made[:10] == "01ARYZ6S41"
    assert len(made) == 26
    assert set(made) <= set(CROCKFORD)


def test_ids_of_one_moment_differ_and_those_of_later_ones_sort_behind() -> None:
    """Eighty random bits tell apart what one millisecond holds; databases see time go up."""
    clock = SystemClock()
    same = {clock.new_id(Moment(1_795_356_131_000, 0.0)) for _ in range(1_000)}
    assert len(same) == 1_000
    assert max(same) < clock.new_id(Moment(1_795_356_131_001, 0.0))


def test_every_bit_is_used() -> None:
    """Over many ids each place takes every letter it can."""
    made = [SystemClock().new_id(Moment(2**48 - 1, 0.0)) for _ in range(2_000)]
    assert all(one.startswith("7ZZZZZZZZZ") for one in made)
    assert all({one[place] for one in made} == set(CROCKFORD) for place in range(10, 26))


def test_ids_ascend_whatever_the_wall_clock_does() -> None:
    """Within one millisecond, forward by a day, and back (faults.md, row 18): each is greater than the one before."""
    clock = SystemClock()
    moments = [1_000, 1_000, 1_001, 86_400_000, 1_002, 1_003, 86_400_000, 86_400_001]
    ids = [clock.new_id(Moment(wall_ms, 0.0)) for wall_ms in moments]
    assert ids == sorted(set(ids))
