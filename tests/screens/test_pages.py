"""The window on the log: any row of many is at hand after a few questions, and little is kept."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model.envelope import Kind, Rung
from engine.model.story import Line, Page
from screens.pages import KEPT, PAGE, STRIDE, Pages


class Store:
    """Rows numbered from 1, the newest the highest, with gaps as a filter leaves them."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = sorted(rows, reverse=True)
        self.asked = 0

    def page(self, before: int, limit: int) -> Page:
        self.asked += 1
        older = [row for row in self.rows if not before or row < before]
        found = older[:limit]
        lines = tuple(Line(f"m{row}", "in", "a", Kind.TASK, Rung.ON_HOST, None, row) for row in found)
        return Page(lines, tuple(found), len(self.rows), found[-1] if len(older) > len(found) else 0)


def bring(pages: Pages, store: Store, seen: range) -> None:
    """Ask and put until nothing is wanted for the rows in sight."""
    for _ in range(1_000):
        ask = pages.wanted(seen)
        if ask is None:
            return
        pages.put(ask, store.page(ask.before, ask.limit), seen)
    raise AssertionError("it never stops asking")


def ids(pages: Pages, seen: range) -> list[str]:
    return [line.id if line else "" for line in map(pages.line, seen)]


@given(st.sets(st.integers(1, 6_000), min_size=1, max_size=1_500), st.integers(0, 1_499), st.integers(1, 60))
def test_any_row_is_at_hand(rows: set[int], top: int, tall: int) -> None:
    """Wherever the eyes are, the rows there are the store's rows."""
    store, pages = Store(list(rows)), Pages()
    bring(pages, store, range(1))
    assert pages.total == len(rows)
    seen = range(min(top, len(rows) - 1), min(top + tall, len(rows)))
    bring(pages, store, seen)
    assert ids(pages, seen) == [f"m{row}" for row in store.rows[seen.start : seen.stop]]


def test_a_jump_walks_in_strides_and_keeps_little() -> None:
    """The oldest of 100,000 rows costs one question per stride; memory holds a few pages."""
    store, pages = Store(list(range(1, 100_001))), Pages()
    bring(pages, store, range(1))
    bring(pages, store, range(99_960, 100_000))
    assert ids(pages, range(99_999, 100_000)) == ["m1"]
    assert store.asked <= 100_000 // STRIDE + 3
    assert len(pages._pages) <= KEPT
    before = store.asked
    bring(pages, store, range(50_000, 50_040))
    assert store.asked - before == 1


def test_following_moves_with_the_newest() -> None:
    """A new row becomes the first; what is at hand is shown until it is read again."""
    store, pages = Store(list(range(1, 301))), Pages()
    bring(pages, store, range(40))
    store.rows.insert(0, 301)
    pages.outdated()
    assert ids(pages, range(1)) == ["m300"]
    bring(pages, store, range(40))
    assert ids(pages, range(2)) == ["m301", "m300"]
    assert pages.total == 301


def test_paused_holds_still_and_counts() -> None:
    """A paused window shows the same rows; what came since is counted; following shows it."""
    store, pages = Store(list(range(1, 301))), Pages()
    bring(pages, store, range(40))
    pages.pause()
    store.rows[:0] = [303, 302, 301]
    pages.outdated()
    bring(pages, store, range(40))
    assert ids(pages, range(1)) == ["m300"]
    assert (pages.total, pages.newer) == (300, 3)
    pages.follow()
    bring(pages, store, range(40))
    assert ids(pages, range(1)) == ["m303"]
    assert (pages.total, pages.newer) == (303, 0)


def test_a_late_answer_is_dropped() -> None:
    """An answer to a question that is no longer the open one changes nothing."""
    store, pages = Store(list(range(1, 301))), Pages()
    bring(pages, store, range(40))
    pages.pause()
    pages.outdated()
    ask = pages.wanted(range(40))
    assert ask is not None
    pages.follow()
    pages.put(ask, Store([9]).page(0, PAGE), range(40))
    assert ids(pages, range(1)) == ["m300"]


def test_an_answer_that_was_overtaken_is_asked_for_again() -> None:
    """A page read before the log changed is shown, and is not taken for the newest."""
    store, pages = Store([1, 2, 3]), Pages()
    ask = pages.wanted(range(1))
    assert ask
    read = store.page(ask.before, ask.limit)
    store.rows.insert(0, 4)
    pages.outdated()
    pages.put(ask, read, range(1))
    assert ids(pages, range(1)) == ["m3"]
    bring(pages, store, range(1))
    assert ids(pages, range(1)) == ["m4"]


def test_a_failed_question_is_not_repeated_until_something_changes() -> None:
    """A store that cannot answer is not asked ten times a second."""
    pages = Pages()
    assert pages.wanted(range(1)) is not None
    pages.lost()
    assert pages.wanted(range(1)) is None
    pages.outdated()
    assert pages.wanted(range(1)) is not None


def test_an_empty_log() -> None:
    """Nothing is a page too, and is not asked for again."""
    store, pages = Store([]), Pages()
    bring(pages, store, range(0))
    assert pages.total == 0
    assert store.asked == 1
