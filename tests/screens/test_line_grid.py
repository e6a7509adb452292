"""The grid asks only for what is seen, keeps its cursor on its key, and hears the mouse."""

from collections.abc import Sequence

from textual.app import App, ComposeResult

from screens.spans import Spans
from screens.widgets.line_grid import LineGrid, Rows


class Counted(Rows):
    """Rows that count how often each is asked for."""

    columns = 3

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self.asked: list[int] = []

    def row(self, index: int, size: int, column: int) -> Spans:
        self.asked.append(index)
        return ((f"{self.keys[index]} {column if column >= 0 else ''}", ""),)

    def column_at(self, x: int, size: int) -> int:
        return min(2, x // 10)


class Bench(App[None]):
    """A grid and nothing else."""

    def compose(self) -> ComposeResult:
        yield LineGrid()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict.fromkeys(("good", "warn", "bad", "heal", "quiet", "faint", "line", "row", "lit", "need"), "#888888")

    @property
    def grid(self) -> LineGrid:
        return self.query_one(LineGrid)


KEYS = [f"peer-{at}" for at in range(1_000)]


async def test_only_visible_rows_are_asked_for() -> None:
    """Of a thousand rows, a screen of twenty asks for twenty, wherever it is scrolled to."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        rows = Counted(KEYS)
        app.grid.show(rows)
        await pilot.pause()
        assert set(rows.asked) <= set(range(20))
        rows.asked.clear()
        await pilot.press("G")
        await pilot.pause()
        assert set(rows.asked) <= set(range(20)) | set(range(980, 1_000))
        assert app.grid.key == "peer-999"


async def test_cursor_stays_on_its_key() -> None:
    """Rows come, go and change places; the cursor stays on its key, or on its row when the key is gone."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.grid.show(Counted(KEYS))
        await pilot.press("j", "j", "j")
        app.grid.show(Counted(KEYS[::-1]))
        assert app.grid.key == "peer-3"
        app.grid.show(Counted(["a", "b"]))
        assert app.grid.key == "b"
        app.grid.show(Counted([]))
        assert app.grid.key == ""
        await pilot.press("j", "G", "l")
        app.grid.show(Counted(["a"]))
        assert app.grid.key == "a"
        app.grid.show(Counted(KEYS))
        app.grid.put("peer-7")
        for keys in ([], [], KEYS):
            app.grid.show(Counted(keys))
        assert app.grid.key == "peer-7"


async def test_mouse_moves_and_opens() -> None:
    """A click moves the cursor to row and column; a click on the cursor opens."""
    opened: list[str] = []

    class Clicked(Bench):
        def on_line_grid_opened(self) -> None:
            opened.append(self.grid.key)

    app = Clicked()
    async with app.run_test(size=(60, 20)) as pilot:
        app.grid.show(Counted(KEYS))
        await pilot.pause()
        await pilot.click(LineGrid, offset=(14, 5))
        assert (app.grid.key, app.grid.column) == ("peer-4", 1)
        assert not opened
        await pilot.click(LineGrid, offset=(14, 5))
        await pilot.pause()
        assert opened == ["peer-4"]
