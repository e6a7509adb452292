"""What keeps its lines hands out the ones Textual would put together anew, whatever happened to it."""

from textual.geometry import Region

from screens.widgets.line_grid import LineGrid
from screens.widgets.still import Still
from tests.screens.control_room import control_room, settle


def kept(room: Still) -> list[Still]:
    return [one for one in (room, *room.walk_children(Still)) if one.region.area]


async def test_lines_are_kept_until_something_changes_them() -> None:
    """Through another room, a press of the cursor, another theme, another size and a dialog."""
    app = control_room("broken")
    async with app.run_test(size=(120, 40)) as pilot:
        for step in ("2", "down", "theme", "narrow", "question_mark"):
            if step == "theme":
                app.theme = next(
                    name for name in app.available_themes if name.startswith("fleet") and name != app.theme
                )
            elif step == "narrow":
                await pilot.resize_terminal(84, 30)
            else:
                await pilot.press(step)
            await settle(pilot)
            room = app.room
            assert isinstance(room, Still)
            for one in kept(room):
                whole = Region(0, 0, *one.region.size)
                handed = one.render_lines(whole)
                assert one.render_lines(whole) is handed
                one._styles_cache.clear()
                one._handed = None
                assert one.render_lines(whole) == handed, f"{one} after {step}"


async def test_one_line_anew_leaves_the_others_the_same_objects() -> None:
    """A widget is put together again only where it is dirty, its neighbours not at all."""
    app = control_room("broken")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await settle(pilot)
        room = app.room
        assert isinstance(room, Still)
        grid, head = room.query_one("#grid", LineGrid), room.query_one("#head", Still)
        before = {one: one.render_lines(Region(0, 0, *one.region.size)) for one in (grid, head)}
        grid.refresh(Region(0, 2, grid.size.width, 1))
        again = grid.render_lines(Region(0, 0, *grid.region.size))
        assert [y for y, (old, new) in enumerate(zip(before[grid], again, strict=True)) if old is not new] == [2]
        assert head.render_lines(Region(0, 0, *head.region.size)) is before[head]
