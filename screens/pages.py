"""A window on the log: which pages are at hand, and which to ask for next. Pure; it asks nobody.

The store hands out pages from a row downward. Page k begins below its mark; marks are learned by walking, a long
stride at a time, and of what was walked over only the marks are kept. So a hundred thousand rows scroll like a
hundred, and memory holds what is near the eyes. Following, the window hangs on the newest row; paused, on the row
that was the newest then, so that nothing moves under the reader.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.model.story import Line, Page

PAGE = 100
STRIDE = 1_000
KEPT = 24


class Ask(NamedTuple):
    """A page to fetch: rows older than `before`, at most `limit`, to be put at `page`."""

    page: int
    before: int
    limit: int


class Pages:
    """The window. `total`: rows there are in it; `newer`: those that came since it was paused."""

    def __init__(self) -> None:
        self.total = 0
        self.newer = 0
        self._pages: dict[int, tuple[Line, ...]] = {}
        self._marks = [0]
        self._stale: set[int] = {0}
        self._top_row = 0
        self._asked: Ask | None = None
        # The log changed while a page was under way: what comes may have been read before that.
        self._overtaken = False
        self._failed = False

    @property
    def following(self) -> bool:
        """Whether the newest row is always the first."""
        return self._marks[0] == 0

    def line(self, index: int) -> Line | None:
        """The line at `index` from the newest, None while it is not at hand."""
        lines = self._pages.get(index // PAGE, ())
        return lines[index % PAGE] if index % PAGE < len(lines) else None

    def index(self, msg_id: str) -> int:
        """Where a message is among the pages at hand, -1 for nowhere."""
        for page, lines in self._pages.items():
            for at, line in enumerate(lines):
                if line.id == msg_id:
                    return page * PAGE + at
        return -1

    def outdated(self) -> None:
        """The log changed: what is at hand is shown until it is read again."""
        self._stale = {0, *self._pages}
        self._overtaken = self._asked is not None
        self._failed = False

    def pause(self) -> None:
        """Hang on the row that is the newest now."""
        if self.following and self._top_row:
            self._marks[0] = self._top_row + 1

    def follow(self) -> None:
        """Hang on the newest row again."""
        if not self.following:
            self._pages = {page: lines for page, lines in self._pages.items() if page == 0}
            self._marks, self._stale, self.newer = [0], {0}, 0
            self._asked = None

    def wanted(self, seen: Sequence[int]) -> Ask | None:
        """What to fetch so that the rows in `seen` can be shown; None when nothing, or while one is under way."""
        if self._asked or self._failed:
            return None
        first, last = (seen[0] // PAGE, seen[-1] // PAGE) if seen else (0, 0)
        for page in range(first, last + 1):
            if page in self._pages and page not in self._stale:
                continue
            if page < len(self._marks):
                self._asked = Ask(page, self._marks[page], PAGE)
            elif page * PAGE < max(1, self.total):
                self._asked = Ask(len(self._marks) - 1, self._marks[-1], STRIDE)
            if self._asked:
                self._overtaken = False
                return self._asked
        return None

    def put(self, ask: Ask, page: Page, seen: Sequence[int] = ()) -> None:
        """A page came. A stride is kept as marks, and as pages only where they are seen."""
        if ask is not self._asked:
            return
        self._asked = None
        near = {index // PAGE for index in (seen[0], seen[-1])} if seen else set()
        for at in range(0, max(1, len(page.lines)), PAGE):
            number = ask.page + at // PAGE
            lines, rows = page.lines[at : at + PAGE], page.rows[at : at + PAGE]
            self._mark(number, rows, page.next, at + PAGE >= len(page.lines))
            if ask.limit == PAGE or number in near:
                self._pages[number] = lines
                (self._stale.add if self._overtaken else self._stale.discard)(number)
        if ask.page == 0 and self.following:
            self._top_row = page.rows[0] if page.rows else 0
            self.total = page.total
        self.newer = max(0, page.total - self.total)
        self._forget(near or {ask.page})

    def lost(self) -> None:
        """The page that was asked for did not come: it is not asked for again until the log changes."""
        self._asked = None
        self._failed = True

    def _mark(self, number: int, rows: Sequence[int], following: int, last: bool) -> None:
        if not rows or (last and not following):
            return
        if number + 1 < len(self._marks) and self._marks[number + 1] != rows[-1]:
            # Rows moved: everything below begins elsewhere now.
            self._pages = {page: lines for page, lines in self._pages.items() if page <= number}
            del self._marks[number + 1 :]
        if number + 1 == len(self._marks):
            self._marks.append(rows[-1])

    def _forget(self, near: set[int]) -> None:
        if len(self._pages) > KEPT:
            middle = min(near)
            far = sorted(self._pages, key=lambda page: -abs(page - middle))
            for page in far[: len(self._pages) - KEPT]:
                del self._pages[page]
