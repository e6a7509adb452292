"""What the drill shows, laid out for a terminal. Pure.

    what it is, the grid, the keys     stand where they are, whatever is told
    what was told                      has the rows that are left, the newest last

Words are never parted (`plain.folded`). Blank lines go first where rows are few, then old news, and the grid last.
"""

from collections.abc import Sequence

from fleet_tui.plain import folded
from screens.spans import clip

# So many rows of what was told before the grid gives up any of its own.
LEAST = 4
# A time and two blanks stand before what is told.
HANG = 10


def laid(
    top: Sequence[str], grid: Sequence[str], keys: Sequence[str], told: Sequence[str], columns: int, rows: int
) -> list[str]:
    """All of it in so many columns and rows."""
    news = [part for line in told for part in folded(line, columns, HANG)]
    above = [part for line in top for part in folded(line, columns)]
    below = [part for line in keys for part in folded(line, columns, 5)]
    if len(above) + len(grid) + len(below) + len(news) > rows:
        above, below = [line for line in above if line], [line for line in below if line]
    room = rows - len(above) - len(below)
    shown = list(grid)
    if len(shown) + LEAST > room:
        kept = max(1, room - LEAST - 1)
        more = len(shown) - kept
        shown = [*shown[:kept], f"  … {more} more: a taller terminal shows them"] if more > 1 else shown
    left = room - len(shown)
    lines = [*above, *shown, *below, *(news[-left:] if left > 0 else ())]
    return [clip(line, columns) for line in lines[:rows]]
