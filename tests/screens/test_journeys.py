"""Journeys by keyboard: what a person does from the first key to the seen effect."""

import pytest
from msgspec.structs import replace

from engine.model.channel import Channel
from fleet_tui.palette import Commands, Palette
from screens.channels import Channels
from screens.confirm import Confirm
from screens.leaving import Leaving
from screens.peers import Peers
from screens.sheet import Sheet
from screens.spans import words
from screens.widgets.line_grid import LineGrid
from tests.screens.control_room import SIZES, asked, control_room, press, room, said, script, settle, told
from tests.screens.golden import ABSENT, BROKEN, UNKNOWN, health

pytestmark = pytest.mark.slow

WIDE, NARROW = SIZES["wide"], SIZES["narrow"]


async def test_filter_is_kept_per_room_and_esc_shows_all() -> None:
    """`/` filters as it is typed, enter keeps it, another room has its own, esc shows all again."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "v", "slash", *"linux", "enter")
        grid = room(app).query_one("#table", LineGrid)
        assert list(grid.rows.keys) == ["id-linux1"]
        await press(pilot, "2")
        assert len(room(app).query_one(LineGrid).rows) == 5
        await press(pilot, "1")
        assert room(app).query_text == "linux"
        await press(pilot, "escape")
        assert len(grid.rows) == 6


async def test_esc_steps_back_one_thing_at_a_time() -> None:
    """esc closes the sheet, then the filter, then the marks; it never leaves the control room."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "space", "slash", "m", "enter", "w", "escape")
        assert room(app).query_text == "m"
        assert room(app).marks
        await press(pilot, "escape")
        assert not room(app).query_text
        assert room(app).marks
        await press(pilot, "escape", "escape", "escape")
        assert not room(app).marks
        assert app.is_running


async def test_palette_finds_a_peer_and_a_verb() -> None:
    """`:` finds a peer by a few letters and goes there, and does a verb by its name."""
    app = control_room("broken")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "2", "colon", *"linux1", "enter")
        assert isinstance(room(app), Peers)
        assert room(app).peer() == "id-linux1"
        await press(pilot, "ctrl+p", *"theme", "enter")
        assert app.theme == "fleet-light"


async def test_palette_tells_what_cannot_be_done_and_esc_does_nothing() -> None:
    """A command that cannot work now is listed with its reason, and esc leaves all as it was."""
    app = control_room("empty")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "colon", *"probe")
        assert isinstance(app.screen, Palette)
        rows = app.screen.query_one(LineGrid).rows
        assert isinstance(rows, Commands)
        assert "no channel to itself" in rows.commands[0].refused
        await press(pilot, *"zzz")
        assert "no verb of this screen and no peer matches" in words(app.screen.query_one(LineGrid).line(0, 60))
        await press(pilot, "escape")
        assert not script(app).calls


async def test_quit_asks_and_stopping_wants_the_name() -> None:
    """`q` asks; enter on what has the focus changes nothing; stop ends only after the node's name was typed."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q", "enter")
        assert isinstance(app.screen, Peers)
        await press(pilot, "q", "s")
        assert isinstance(app.screen, Confirm)
        await press(pilot, *"mac", "enter")
        assert app.is_running
        await press(pilot, "1", "enter")
        await settle(pilot)
    assert app.return_value == "stop"


async def test_quit_detaches() -> None:
    """`q` `d` leaves; the node goes on."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "q")
        assert isinstance(app.screen, Leaving)
        await press(pilot, "d")
    assert app.return_value == "detached"


async def test_resize_folds_and_unfolds() -> None:
    """The panel folds below 100 columns, the room becomes one line below 40 x 10, and all of it comes back."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-nas")
        for size, folded, line in ((NARROW, True, False), ((39, 9), True, True), ((60, 20), True, False)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert room(app).folded == folded
            assert room(app).has_class("-line") == line
        await pilot.resize_terminal(*WIDE)
        await settle(pilot)
        assert not room(app).folded
        assert room(app).peer() == "id-nas"


async def test_cursor_is_never_out_of_sight() -> None:
    """Whatever the size, the card or row under the cursor is in sight after a resize."""
    app = control_room("large")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-lab-115")
        for size in (NARROW, (60, 20), (45, 12), WIDE):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            chart = room(app).map  # type: ignore[attr-defined]
            spot = chart.spot()
            assert chart.scroll_y <= spot.y < chart.scroll_y + chart.inner.height
        await press(pilot, "v")
        await pilot.resize_terminal(60, 12)
        await settle(pilot)
        grid = room(app).query_one("#table", LineGrid)
        assert grid.key == "id-lab-115"
        assert grid.cursor in grid.seen()


async def test_why_explains_what_is_under_the_cursor() -> None:
    """`w` says why: a peer's channels with reasons, a channel's failures, a message's tries."""
    app = control_room("broken")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-nas")
        await press(pilot, "w")
        assert "Nobody hears it" in told(app)
        assert "3 messages to it" in told(app)
        await press(pilot, "escape", "2", "w")
        assert "The last tries failed: connection refused" in told(app)
        await press(pilot, "escape", "6", "j", "j", "w")
        assert "not yet on its host" in told(app)
        assert "Because: waits for nas." in told(app)


async def test_hold_and_let_go() -> None:
    """`x` holds a channel back; the grid shows it held when the engine's value says so; `x` lets it in again."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("channels", "id-mac2")
        await press(pilot, "right", "x")
        assert asked(app, "hold") == [("id-mac2", Channel.HTTP, False)]
        pair = ("id-mac2", Channel.HTTP)
        free = replace(BROKEN.channels[pair], held=False)
        script(app).become(replace(BROKEN, channels=BROKEN.channels.set(pair, free)))
        app._pull()
        await press(pilot, "x")
        assert asked(app, "hold")[-1] == ("id-mac2", Channel.HTTP, True)


async def test_what_a_look_would_wake_or_cannot_reach_is_not_probed() -> None:
    """`p` switches no machine on and types at nobody; on what cannot be used it says why, and `x` where nothing is."""
    app = control_room("broken")
    added = {Channel.WOL: health(UNKNOWN), Channel.TEXT: health(UNKNOWN), Channel.GIT: health(ABSENT, (), "no hub")}
    channels = BROKEN.channels.update({("id-mac2", one): known for one, known in added.items()})
    channels = channels.delete(("id-studio", Channel.WOL))
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        script(app).become(replace(BROKEN, channels=channels))
        app._pull()
        for channel, why in (
            (Channel.WOL, "switch the machine on"),
            (Channel.TEXT, "type into a session"),
            (Channel.GIT, "git cannot be used to it: no hub"),
        ):
            app.show_peer("channels", "id-mac2", channel)
            await press(pilot, "p")
            assert why in said(app)
            assert "probe" not in [key.verb for key in room(app).keys_shown]
        app.show_peer("channels", "id-studio", Channel.WOL)
        await press(pilot, "x")
        assert "wol to it is not set up" in said(app)
        assert not asked(app, "check") + asked(app, "hold")


async def test_live_values_move_only_what_changed() -> None:
    """A value in which one channel of one peer changed draws that peer's row again, and no other."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        grid = room(app).query_one(LineGrid)
        regions: list[object] = []
        drawn = grid.refresh
        grid.refresh = lambda *some, **more: (regions.extend(some), drawn(*some, **more))[1]  # type: ignore[method-assign]
        fresh = BROKEN.channels.set(("id-studio", Channel.NATS), health(ms=(99.0,)))
        script(app).become(replace(BROKEN, channels=fresh))
        app._pull()
        row = grid.rows.index("id-studio") + grid.sticky
        assert [region.y for region in regions] == [row]  # type: ignore[attr-defined]
        regions.clear()
        app._pull()
        assert not regions


async def test_next_walks_through_what_needs_me() -> None:
    """`n` goes from need to need, oldest first, on whatever screen it is."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert isinstance(room(app), Channels)
        assert room(app).peer() == "id-nas"
        await press(pilot, "n")
        assert isinstance(room(app), Peers)
        assert room(app).peer() == "id-pi"
        await press(pilot, "n")
        assert "The disk is nearly full" in said(app)


async def test_themes_go_round() -> None:
    """`t` goes through the four themes and comes back to the first."""
    app = control_room("small")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        seen = []
        for _ in range(4):
            await press(pilot, "t")
            seen.append(app.theme)
        assert seen == ["fleet-light", "fleet-contrast", "fleet-deutan", "fleet-dark"]


async def test_ctrl_c_twice_detaches_even_while_typing() -> None:
    """One ctrl+c asks, the second detaches, whatever has the focus; it never stops the node."""
    app = control_room("small")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "m", "ctrl+c")
        assert app.is_running
        assert "ctrl+c once more" in said(app)
        await press(pilot, "ctrl+c")
    assert app.return_value == "detached"


async def test_ctrl_z_detaches() -> None:
    """ctrl+z detaches and never suspends."""
    app = control_room("small")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "slash", "ctrl+z")
    assert app.return_value == "detached"


async def test_the_map_is_walked_with_arrows() -> None:
    """Arrows and hjkl go to the nearest card in their direction, and stop at the edge."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        walked = []
        for key in ("down", "left", "right", "l", "j", "k", "up", "up"):
            await press(pilot, key)
            walked.append(room(app).peer().removeprefix("id-"))
        assert walked == ["linux1", "studio", "linux1", "mac2", "pi", "linux1", "mac1", "mac1"]


async def test_findings_are_told_with_the_next_step() -> None:
    """The banner names the gravest finding; `F` tells all of them with why and what to do."""
    app = control_room("broken")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "F")
        assert isinstance(app.screen, Sheet)
        assert "pi shows another key" in told(app)
        assert "free some space" in told(app)
