"""Pictures of room 1, peers: empty, small, broken and large, at every size."""

from typing import Any

import pytest

from tests.screens.control_room import LAID_OUT, SIZES, control_room, still
from tests.screens.golden import FLEETS, large

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", LAID_OUT)
@pytest.mark.parametrize("fleet", FLEETS)
def test_picture(snap_compare: Any, fleet: str, size: str) -> None:
    """The map, at each size that a full layout or a folded panel has."""
    assert snap_compare(control_room(fleet), terminal_size=SIZES[size], run_before=still)


def test_one_column(snap_compare: Any) -> None:
    """At 60 x 20 there is one column, and nothing clips what is under the cursor."""
    assert snap_compare(control_room("broken"), terminal_size=SIZES["tiny"], run_before=still)


TABLES = [("broken", SIZES["wide"]), ("broken", SIZES["narrow"]), ("large", SIZES["huge"])]


@pytest.mark.parametrize(("fleet", "size"), TABLES, ids=["broken-wide", "broken-narrow", "large-huge"])
def test_table(snap_compare: Any, fleet: str, size: tuple[int, int]) -> None:
    """The same peers as a table: who needs me first."""
    assert snap_compare(control_room(fleet), press=["v", "g"], terminal_size=size, run_before=still)


def test_contrast(snap_compare: Any) -> None:
    """The theme for eyes that need seven to one."""
    app = control_room("broken", theme="fleet-contrast")
    assert snap_compare(app, terminal_size=SIZES["wide"], run_before=still)


def test_light(snap_compare: Any) -> None:
    """The theme for daylight."""
    assert snap_compare(control_room("broken", theme="fleet-light"), terminal_size=SIZES["wide"], run_before=still)


def test_ascii(snap_compare: Any) -> None:
    """A terminal without our glyphs: every cell in ASCII, the same places."""
    assert snap_compare(control_room("broken", ascii=True), terminal_size=SIZES["narrow"], run_before=still)


def test_heat(snap_compare: Any) -> None:
    """Above two hundred peers the map is one cell a peer."""
    assert snap_compare(control_room(large(600)), terminal_size=SIZES["wide"], run_before=still)


def test_one_line(snap_compare: Any) -> None:
    """A terminal smaller than 40 x 10 is one line that says how the fleet is."""
    assert snap_compare(control_room("broken"), terminal_size=(39, 9), run_before=still)
