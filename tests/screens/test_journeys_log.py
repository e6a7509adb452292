"""Journeys through the log: following, pausing, jumping, filtering."""

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from engine.model.envelope import Kind, Rung
from engine.model.story import Line
from screens.messages import Messages
from screens.spans import words
from tests.screens.control_room import SIZES, asked, control_room, press, room, script, settle, told
from tests.screens.golden import NOW
from tests.screens.scripted import LINES

pytestmark = pytest.mark.slow

WIDE, NARROW = SIZES["wide"], SIZES["narrow"]


async def test_follow_pause_and_new_messages() -> None:
    """The log follows the newest; moving away pauses it, what comes is counted, and `f` follows again."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "j", "j")
        screen = room(app)
        assert isinstance(screen, Messages)
        assert not screen.pages.following
        held = screen.item()
        script(app).lines.insert(0, replace(LINES[0], id="01KASE0000000000000NEW0008"))
        script(app).moved("x", Rung.ON_HOST)
        app._pull()
        await settle(pilot)
        assert screen.item() == held
        assert screen.pages.newer == 1
        assert words(screen.summary()).startswith("paused, 1 newer: f follows"), "where the panel is folded"
        await press(pilot, "f")
        assert screen.main().cursor == 0
        assert screen.main().key == "01KASE0000000000000NEW0008"


async def test_a_filter_lets_the_list_hold_still() -> None:
    """Paused stays paused, through a filter, one with no hits, and back, where the cursor is on its line again."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "j", "j")
        screen = room(app)
        assert isinstance(screen, Messages)
        held = screen.main().key
        await press(pilot, "slash")
        for text in ("dir:in", "peer:nobody"):
            room(app).query_one("#filter", Input).value = text
            await settle(pilot)
            assert "paused" in words(screen._kept())
        await press(pilot, "escape")
        assert not screen.pages.following
        assert screen.main().key == held
        await press(pilot, "f", "slash")
        room(app).query_one("#filter", Input).value = "dir:in"
        await settle(pilot)
        assert screen.pages.following


async def test_what_came_is_told_from_where_it_is() -> None:
    """The timeline of a message of somebody else's speaks of this node as the one that has it."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "j", "enter")
        assert "in this node's inbox" in told(app)
        assert "receiving node" not in told(app)


async def test_log_of_many_rows_jumps_to_its_end() -> None:
    """`G` goes to the oldest of thousands of rows, `g` back to the newest, and only a few pages are kept."""
    many = [
        Line(f"m{at:06d}", "in", "mac2", Kind.CONTEXT, Rung.ON_HOST, None, NOW.wall_ms - at) for at in range(12_345)
    ]
    app = control_room("small", many)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "G")
        screen = room(app)
        assert isinstance(screen, Messages)
        await settle(pilot)
        assert screen.main().key == "m012344"
        assert len(screen.pages._pages) < 30
        await press(pilot, "g")
        assert screen.main().key == "m000000"


async def test_a_group_tells_how_far_it_is_and_enter_shows_each() -> None:
    """The panel of one copy sums up all; its timeline has a line for every recipient, read again when one climbs."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "j", "j", "enter")
        assert set(asked(app, "group")) == {("group:mirror",)}
        each = [line.split()[:4] for line in told(app).splitlines()]
        assert ["●", "linux1", "on", "host"] in each
        assert ["◌", "nas", "accepted", "P1"] in each
        await press(pilot, "escape")
        screen = room(app)
        assert "to 2 at once: 1 of 2 on host; waiting for nas" in [words(line) for line in screen.panel_lines(60)]
        before = len(asked(app, "group"))
        script(app).moved("x", Rung.ON_HOST)
        app._pull()
        await settle(pilot)
        assert len(asked(app, "group")) > before


async def test_log_filters_by_words_and_fields() -> None:
    """The filter asks the store: words anywhere, or peer: kind: dir: rung:; a wrong one is explained."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "6", "slash")
        field = room(app).query_one("#filter", Input)
        for text, ids in (("peer:nas rung:dead", [LINES[5].id]), ("dir:in", [LINES[1].id, LINES[6].id])):
            field.value = text
            await settle(pilot)
            screen = room(app)
            assert isinstance(screen, Messages)
            assert [screen.main().rows.key(at) for at in range(screen.pages.total)] == ids
        field.value = "peer:nobody"
        await settle(pilot)
        assert "no peer is called nobody" in told_empty(room(app))


def told_empty(screen: object) -> str:
    from screens.widgets.lines import TextLines

    assert isinstance(screen, Messages)
    lines = screen.query_one("#empty", TextLines)
    return " ".join(words(lines.line(at, 80)) for at in range(lines.total()))
