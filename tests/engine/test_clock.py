"""Moments and ids."""

from engine.clock import SystemClock
from engine.model.moment import Moment


def test_ids_ascend_whatever_the_wall_clock_does() -> None:
    """Within one millisecond, forward by a day, and back: each id is greater than the one before, and none is twice."""
    clock = SystemClock()
    moments = [1_000, 1_000, 1_001, 86_400_000, 1_002, 1_003, 86_400_000, 86_400_001]
    ids = [clock.new_id(Moment(wall_ms, 0.0)) for wall_ms in moments]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {26}


def test_two_clocks_differ() -> None:
    """Ids of the same millisecond from two nodes are different."""
    assert SystemClock().new_id(Moment(1_000, 0.0)) != SystemClock().new_id(Moment(1_000, 0.0))
