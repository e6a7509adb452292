"""A grid of cells to draw boxes and lines on, which turns into spans."""

from itertools import groupby

from screens.spans import Spans, cells

ROUND = ("╭", "╮", "╰", "╯", "─", "│")
HEAVY = ("┏", "┓", "┗", "┛", "━", "┃")
DASHED = ("╭", "╮", "╰", "╯", "╌", "╎")


class Canvas:
    """Cells, each a character and an ink. Whatever lies outside is not drawn."""

    def __init__(self, wide: int, tall: int) -> None:
        self.wide = wide
        self._cells: list[list[tuple[str, str]]] = [[(" ", "")] * wide for _ in range(tall)]

    def put(self, x: int, y: int, text: str, ink: str) -> None:
        """Write from left to right. A wide character fills its second cell with nothing."""
        if not 0 <= y < len(self._cells):
            return
        row = self._cells[y]
        for letter in text:
            size = cells(letter)
            if x >= 0 and x + size <= self.wide:
                row[x] = (letter, ink)
                if size == 2:
                    row[x + 1] = ("", ink)
            x += size

    def across(self, start: int, end: int, y: int, letter: str, ink: str) -> None:
        """A horizontal line, both ends included."""
        self.put(start, y, letter * (end - start + 1), ink)

    def down(self, x: int, start: int, end: int, letter: str, ink: str) -> None:
        """A vertical line, both ends included; what is there already stays."""
        for y in range(start, end + 1):
            if 0 <= y < len(self._cells) and self._cells[y][x][0] == " ":
                self.put(x, y, letter, ink)

    def join(self, x: int, y: int, letter: str, ink: str) -> None:
        """Let a line from above end in what is drawn there."""
        joined = {"─": "┴", "╌": "┴", "┬": "┼", "┌": "├", "┐": "┤", "│": "│"}
        self.put(x, y, joined.get(self._cells[y][x][0], letter), ink)

    def box(self, x: int, y: int, wide: int, tall: int, ink: str, *, dashed: bool = False, heavy: bool = False) -> None:
        """A frame."""
        a, b, c, d, flat, upright = HEAVY if heavy else DASHED if dashed else ROUND
        self.put(x, y, a + flat * (wide - 2) + b, ink)
        for at in range(y + 1, y + tall - 1):
            self.put(x, at, upright, ink)
            self.put(x + wide - 1, at, upright, ink)
        self.put(x, y + tall - 1, c + flat * (wide - 2) + d, ink)

    def lines(self) -> tuple[Spans, ...]:
        """The rows, neighbouring cells of one ink together."""
        return tuple(
            tuple(("".join(letter for letter, _ in run), ink) for ink, run in groupby(row, key=lambda one: one[1]))
            for row in self._cells
        )
