"""Keys that come in one read: each goes where it would have gone had it come alone."""

import pytest
from textual.widgets import Input, TextArea

from fleet_tui.palette import Commands, Palette
from screens.channels import Channels
from screens.compose import Compose
from screens.widgets.line_grid import LineGrid
from tests.screens.control_room import SIZES, burst, control_room, press, room, script, settle


async def test_keys_behind_a_slash_are_typed_into_the_filter() -> None:
    """`/` and what follows it filter; no letter of it holds a channel, probes it or opens a message."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        before = list(script(app).calls)
        await burst(pilot, "slash", *"xpm")
        assert isinstance(app.screen, Channels)
        assert room(app).query_one("#filter", Input).value == "xpm"
        assert script(app).calls == before


async def test_keys_behind_m_are_the_words() -> None:
    """`m` and what follows it is a message's text, from its first letter on."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-nas")
        await settle(pilot)
        await burst(pilot, "m", *"xrqueue")
        assert isinstance(app.screen, Compose)
        assert app.screen.query_one("#text", TextArea).text == "xrqueue"


@pytest.mark.slow
async def test_keys_behind_a_room_and_a_colon_are_sought_there() -> None:
    """A room that was never entered, its palette, and the letters that find a verb in it."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await burst(pilot, "2", "colon", *"hold")
        assert isinstance(app.screen, Palette)
        rows = app.screen.query_one(LineGrid).rows
        assert isinstance(rows, Commands)
        assert app.screen.query_one(Input).value == "hold"
        assert rows.commands[0].name == "hold"
