"""Pictures of a repair: the panel at L2 and L4, the choice of a rung, and the question before a plan runs."""

from typing import Any

import pytest
from textual.pilot import Pilot

from engine.state import Fleet
from tests.screens.control_room import SIZES, control_room, press, still
from tests.screens.golden_repair import ASKED, WAITS, repairing

pytestmark = pytest.mark.slow

FLEETS = {"asked": repairing(ASKED), "waits": repairing(WAITS, 2)}


def compared(snap_compare: Any, fleet: Fleet, size: str, *keys: str, room: str = "channels") -> bool:
    app = control_room(fleet)

    async def prepared(pilot: Pilot[Any]) -> None:
        await still(pilot)
        app.show_peer(room, "id-linux1")
        await press(pilot, *keys)
        await still(pilot)

    return bool(snap_compare(app, terminal_size=SIZES[size], run_before=prepared))


@pytest.mark.parametrize("size", ["wide", "narrow", "huge"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_panel(snap_compare: Any, fleet: str, size: str) -> None:
    """The ladder with the rung in progress and its countdown; folded, it opens with enter."""
    keys = ("enter",) if size == "narrow" else ()
    assert compared(snap_compare, FLEETS[fleet], size, *keys)


def test_choosing_a_rung(snap_compare: Any) -> None:
    """What each rung does, to whom, and what the hour has left."""
    assert compared(snap_compare, FLEETS["asked"], "wide", "R")


def test_the_question(snap_compare: Any) -> None:
    """The exact commands, before any of them runs."""
    assert compared(snap_compare, FLEETS["waits"], "wide", "A")


def test_the_peer(snap_compare: Any) -> None:
    """Its channels over the last five minutes, and its story."""
    assert compared(snap_compare, FLEETS["asked"], "huge", room="peers")
