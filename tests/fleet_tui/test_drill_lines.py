"""The drill on a terminal of any size: the grid stands, words stay whole, and old news goes first."""

import pytest

from fleet_tui.drill_lines import laid
from fleet_tui.plain import folded

TOP = ["The drill: 3 real nodes in /tmp/fleet-demo-1000", ""]
GRID = ["                    P1 nats     P2 http", *(f"  pair {at}   ● healthy   ● healthy" for at in range(6))]
MAIL = "atlas → birch, a message each second; the last one took nothing yet: it waits, safe on disk"
KEYS = ["", MAIL, "", *(f"  {at}  birch restarts, and a stranger has its port" for at in range(1, 5)), "  h  heal", ""]
THEN = "what Fleet does: it takes another port and says so; nobody tells the stranger anything"
NEWS = [f"12:00:{at:02d}     {THEN} {at}" for at in range(10)]
MORE = "… more: a taller terminal shows them"


@pytest.mark.parametrize("size", [(120, 44), (80, 24), (60, 20), (40, 24)])
def test_the_grid_stands(size: tuple[int, int]) -> None:
    """Never more rows or columns than there are, whole words, every row of the grid, and the newest word last."""
    columns, rows = size
    lines = laid(TOP, GRID, KEYS, NEWS, columns, rows)
    assert len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    said = " ".join(" ".join(lines).split())
    assert set(said.split()) <= set(" ".join([*TOP, *GRID, *KEYS, *NEWS, MORE]).split())
    if columns >= 60:
        assert all(line in lines for line in GRID)
        assert lines[-1].endswith("anything 9")


def test_a_large_demo_is_cut_where_it_says_so() -> None:
    """Of twenty pairs on a small terminal the first are shown, the others counted, and what was told is still there."""
    grid = [GRID[0], *(f"  pair {at}   ● healthy" for at in range(20))]
    lines = laid(TOP, grid, KEYS, NEWS, 80, 24)
    assert len(lines) == 24
    assert any("more: a taller terminal" in line for line in lines)
    assert lines[-1].endswith("anything 9")


def test_what_goes_on_stands_under_its_beginning() -> None:
    """At words, hung in; a word that is longer than the line is left whole, for it is copied."""
    assert list(folded("  x   one two three", 12, 6)) == ["  x   one", "      two", "      three"]
    assert list(folded("/tmp/a/very/long/path", 8)) == ["/tmp/a/very/long/path"]
