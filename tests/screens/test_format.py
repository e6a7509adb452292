"""Numbers as people read them."""

from datetime import UTC

import pytest

from screens import format as say
from tests.screens.golden import NOW

AGES = {-5: "0 s", 0: "0 s", 59.9: "59 s", 60: "1 min", 3_599: "59 min", 3_600: "1 h", 172_799: "47 h", 172_800: "2 d"}
LATENCIES = {0.04: "0.0 ms", 0.4: "0.4 ms", 1.0: "1 ms", 18.4: "18 ms", 999.4: "999 ms", 1_400: "1.4 s", 12_300: "12 s"}
TIGHT = {0.3: "0.3ms", 34.0: "34ms", 300.0: "0.3s", 1_400: "1.4s"}
OFFSETS = {12.0: "in step", -49.9: "in step", 200.0: "+0.2 s", -600_000.0: "-10 min"}


@pytest.mark.parametrize(("seconds", "said"), AGES.items())
def test_age(seconds: float, said: str) -> None:
    """A duration is told in one unit, and never as negative."""
    assert say.age(seconds) == said


@pytest.mark.parametrize(("ms", "said"), LATENCIES.items())
def test_latency(ms: float, said: str) -> None:
    """A round trip keeps two or three figures."""
    assert say.latency(ms) == said


@pytest.mark.parametrize(("ms", "said"), TIGHT.items())
def test_tight(ms: float, said: str) -> None:
    """Where cells are few, nothing parts the number from its unit."""
    assert say.tight(ms) == said


@pytest.mark.parametrize(("ms", "said"), OFFSETS.items())
def test_offset(ms: float, said: str) -> None:
    """A clock that is off by less than anyone sees is in step."""
    assert say.offset(ms) == said


def test_clocks() -> None:
    """The time of day for today, the date for what is older; in the zone that is asked for."""
    assert say.clock(NOW.wall_ms, UTC) == "14:02"
    assert say.stamp(NOW.wall_ms, UTC) == "14:02:11"
    assert say.day(NOW.wall_ms, UTC) == "2026-11-22 14:02:11"
    assert say.when(NOW.wall_ms, NOW.wall_ms, UTC) == "14:02:11"
    assert say.when(NOW.wall_ms - 86_400_000, NOW.wall_ms, UTC) == "21 Nov"


def test_countdown() -> None:
    """Time left is told to the second and ends at nothing."""
    assert [say.countdown(left) for left in (899, 61, 0.5, -3)] == ["14:59", "1:01", "0:00", "0:00"]


def test_spark() -> None:
    """A curve shows a change, and is flat where nothing but noise changes."""
    assert say.spark((), 5) == ""
    assert say.spark((2.0, 2.0, 2.0), 5) == "▁▁▁"
    assert say.spark((10, 10, 40), 5) == "▁▁█"
    assert len(set(say.spark((20.0, 20.4, 20.1, 20.2), 4))) == 1
    assert len(say.spark(range(100), 8)) == 8


def test_count() -> None:
    """One is singular; thousands are parted."""
    assert [say.count(1, "peer"), say.count(2, "peer"), say.count(12_400, "row")] == [
        "1 peer",
        "2 peers",
        "12,400 rows",
    ]
