"""Lines as data keep their width, whatever is in them."""

from hypothesis import given
from hypothesis import strategies as st

from screens.spans import cell, cells, clip, clip_path, fit, sides, width, words, wrap

TEXT = st.text(alphabet="ab ü日●→…", max_size=30)
SIZE = st.integers(min_value=1, max_value=40)


@given(TEXT, SIZE)
def test_clip_never_grows(text: str, size: int) -> None:
    """Clipped text fits, and is untouched when it fitted before."""
    assert cells(clip(text, size)) <= size
    assert cells(text) > size or clip(text, size) == text


@given(TEXT, SIZE)
def test_cell_is_exact(text: str, size: int) -> None:
    """A cell is exactly as wide as its column, aligned to either side."""
    assert cells(cell(text, size)) == size
    assert cells(cell(text, size, right=True)) == size


@given(st.lists(TEXT, max_size=5), SIZE)
def test_fit_is_exact(texts: list[str], size: int) -> None:
    """A line fits its width exactly, or falls short only by half a wide character."""
    wide = width(fit(tuple((text, "") for text in texts), size))
    assert size - 1 <= wide <= size


@given(TEXT, SIZE)
def test_wrap_loses_nothing_but_blanks(text: str, size: int) -> None:
    """Wrapped lines fit, and together they say what was to be said."""
    lines = wrap(text, max(size, 2))
    assert all(width(line) <= max(size, 2) for line in lines)
    assert "".join(words(line) for line in lines).replace(" ", "") == text.replace(" ", "")


def test_a_path_keeps_its_name() -> None:
    """Of a file the front is cut, of other text the end."""
    assert clip_path("/home/mac1/.fleet/keys/node.key", 14) == "…keys/node.key"
    assert clip_path("linux1/nats over there", 8) == clip("linux1/nats over there", 8)


def test_fit_marks_what_was_cut() -> None:
    """What is left out is marked, also when the cut falls between two spans."""
    assert words(fit((("mac1", "x"), ("chief", "y")), 6)) == "mac1c…"
    assert words(fit((("mac1", "x"), ("chief", "y")), 4)) == "mac…"


def test_sides_keep_the_right_one_whole() -> None:
    """When both do not fit, the left side is clipped."""
    assert words(sides((("a long name", ""),), (("14:02", ""),), 12)) == "a lon… 14:02"
