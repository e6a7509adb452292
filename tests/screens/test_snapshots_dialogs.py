"""Pictures of what lies over a room: sheets, questions, the palette, writing and inviting."""

from typing import Any

import pytest

from tests.screens.control_room import SIZES, control_room, still

pytestmark = pytest.mark.slow

DIALOGS = {
    "help": ("question_mark",),
    "why": ("2", "G", "w"),
    "findings": ("F",),
    "palette": ("colon", "c", "h"),
    "message": ("right", "down", "m"),
    "invite": ("i",),
    "quit": ("q",),
    "timeline": ("6", "j", "j", "enter"),
    "history": ("2", "enter"),
    "revoke": ("down", "X"),
    "filter": ("slash", "m", "a", "c"),
}


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("dialog", DIALOGS)
def test_dialog(snap_compare: Any, dialog: str, size: str) -> None:
    """A dialog names what it is about and how it is closed, at both sizes."""
    app = control_room("broken")
    assert snap_compare(app, press=DIALOGS[dialog], terminal_size=SIZES[size], run_before=still)
