"""Pictures of room 2, channels: empty, small, broken and large, at every size."""

from typing import Any

import pytest

from tests.screens.control_room import LAID_OUT, SIZES, control_room, still
from tests.screens.golden import FLEETS


@pytest.mark.parametrize("size", LAID_OUT)
@pytest.mark.parametrize("fleet", FLEETS)
def test_picture(snap_compare: Any, fleet: str, size: str) -> None:
    """The grid, at each size that a full layout or a folded panel has."""
    assert snap_compare(control_room(fleet), press=["2"], terminal_size=SIZES[size], run_before=still)


def test_one_column(snap_compare: Any) -> None:
    """At 60 x 20 there is one column, and nothing clips what is under the cursor."""
    assert snap_compare(control_room("broken"), press=["2"], terminal_size=SIZES["tiny"], run_before=still)
