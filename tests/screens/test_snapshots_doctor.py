"""Pictures of room 8, Doctor: healthy, broken and large, at every size; never looked; high contrast."""

from typing import Any

import pytest

from tests.screens.control_room import LAID_OUT, SIZES, control_room, still
from tests.screens.golden_doctor import DOCTORED


@pytest.mark.parametrize("size", LAID_OUT)
@pytest.mark.parametrize("fleet", DOCTORED)
def test_picture(snap_compare: Any, fleet: str, size: str) -> None:
    """Causes before symptoms, with what mends each; and what was looked at where nothing is wrong."""
    app = control_room(DOCTORED[fleet])
    assert snap_compare(app, press=["8"], terminal_size=SIZES[size], run_before=still)


def test_one_column(snap_compare: Any) -> None:
    """At 60 x 20 there is one column, and the next step of what is under the cursor is in the rule."""
    app = control_room(DOCTORED["broken"])
    assert snap_compare(app, press=["8"], terminal_size=SIZES["tiny"], run_before=still)


def test_never_looked(snap_compare: Any) -> None:
    """A new node says what the key for it is."""
    assert snap_compare(control_room("empty"), press=["8"], terminal_size=SIZES["narrow"], run_before=still)


def test_contrast(snap_compare: Any) -> None:
    """The theme for eyes that need seven to one."""
    app = control_room(DOCTORED["broken"], theme="fleet-contrast")
    assert snap_compare(app, press=["8"], terminal_size=SIZES["wide"], run_before=still)
