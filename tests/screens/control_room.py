"""The control room over a golden fleet and a scripted engine, with the clock stopped."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from engine.model.story import Line
from engine.state import Fleet
from fleet_tui.app import FleetApp
from screens.room import Room
from screens.sheet import Sheet
from screens.spans import words
from screens.widgets.lines import TextLines
from tests.screens.golden import FLEETS, NOW, plan
from tests.screens.scripted import LINES, AtOnce, Scripted

SIZES = {"wide": (120, 40), "narrow": (80, 24), "huge": (200, 50), "tiny": (60, 20)}
# The sizes of a full layout or a folded panel; the largest is drawn in whole runs only, for it shows no other form.
LAID_OUT = ["wide", "narrow", pytest.param("huge", marks=pytest.mark.slow)]


def control_room(fleet: Fleet | str, lines: Sequence[Line] | None = None, **options: Any) -> FleetApp:
    """The app, not yet running."""
    value = FLEETS[fleet] if isinstance(fleet, str) else fleet
    told = lines if lines is not None else () if fleet == "empty" else LINES
    known = {"clock": lambda: NOW, "zone": UTC, "plan": lambda peer: plan(app.fleet, peer)}
    app = FleetApp(AtOnce(Scripted(value, told)), **{**known, **options})
    return app


def script(app: FleetApp) -> Scripted:
    """The engine behind the app."""
    assert isinstance(app.bridge, AtOnce)
    return app.bridge.script


def asked(app: FleetApp, verb: str) -> list[tuple[Any, ...]]:
    """The facts of every call of a verb."""
    return [facts for name, *rest in script(app).calls if name == verb for facts in [tuple(rest)]]


def room(app: FleetApp) -> Room:
    """The room in front."""
    assert app.room is not None
    return app.room


def said(app: FleetApp) -> str:
    """The line to the person."""
    return words(room(app).said)


def told(app: FleetApp) -> str:
    """What the sheet or dialog on top says."""
    assert isinstance(app.screen, Sheet) or app.screen.query(TextLines)
    lines = app.screen.query(TextLines).first(TextLines)
    return "\n".join(words(lines.line(at, lines.inner.width)) for at in range(lines.total()))


async def settle(pilot: Pilot[Any]) -> None:
    """Until every message that is under way has been heard, and what follows from it."""
    for _ in range(3):
        await pilot.pause()


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after another, each heard before the next."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def burst(pilot: Pilot[Any], *keys: str) -> None:
    """Keys that come in one read, as they are typed ahead on a slow line."""
    for key in keys:
        pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await settle(pilot)


async def still(pilot: Pilot[Any]) -> None:
    """Before a picture: nothing blinks."""
    await settle(pilot)
    for field in (*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)):
        field.cursor_blink = False
    await settle(pilot)
