"""A line of the screen as data: pieces of text, each with the name of its ink.

Everything that decides what a screen says returns spans; only `screens.widgets.paint` turns ink into colour. So what is
said can be tested as plain text, themes never reach a decision, and two equal lines are equal values: a widget
repaints a line only when its spans differ. Widths are terminal cells, not characters.
"""

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
Spans = tuple[Span, ...]

ELLIPSIS = "…"


def cells(text: str) -> int:
    """How many cells wide `text` is."""
    return len(text) if text.isascii() else cell_len(text)


def width(spans: Spans) -> int:
    """How many cells wide a line is."""
    return sum(cells(text) for text, _ in spans)


def words(spans: Spans) -> str:
    """The line without its inks."""
    return "".join(text for text, _ in spans)


def clip(text: str, size: int) -> str:
    """`text` in at most `size` cells, ending in … where something was left out."""
    if cells(text) <= size:
        return text
    return set_cell_size(text, size - 1) + ELLIPSIS if size > 0 else ""


def clip_path(text: str, size: int) -> str:
    """`clip`, but of a file's path the end is kept: its name tells more than where it lies."""
    if cells(text) <= size or not text.startswith("/") or size < 1:
        return clip(text, size)
    tail = text
    while cells(tail) > size - 1:
        tail = tail[1:]
    return ELLIPSIS + tail


def cell(text: str, size: int, *, right: bool = False) -> str:
    """`text` in exactly `size` cells, clipped or padded; `right` aligns numbers."""
    text = clip(text, size)
    pad = " " * (size - cells(text))
    return pad + text if right else text + pad


def fit(spans: Iterable[Span], size: int) -> Spans:
    """The line in exactly `size` cells: padded with blanks, or clipped with …."""
    kept: list[Span] = []
    left = size
    for text, ink in spans:
        wide = cells(text)
        if wide > left:
            if left > 0:
                kept.append((clip(text, left), ink))
            elif kept:
                kept[-1] = (clip(kept[-1][0] + text, cells(kept[-1][0])), kept[-1][1])
            return tuple(kept)
        kept.append((text, ink))
        left -= wide
    if left:
        kept.append((" " * left, ""))
    return tuple(kept)


def sides(left: Spans, right: Spans, size: int) -> Spans:
    """One line with `left` at its start and `right` at its end; `right` stays whole, `left` is clipped."""
    room = size - width(right)
    return (*fit(left, room - 1), (" ", ""), *right) if room > 1 else fit(right, size)


def wrap(text: str, size: int, ink: str = "", indent: str = "") -> list[Spans]:
    """`text` broken at blanks into lines of at most `size` cells; a longer word is cut. Its own newlines are kept."""
    return [((indent + line, ink),) for part in text.split("\n") for line in _broken(part, max(1, size - len(indent)))]


def _broken(text: str, size: int) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) <= size:
            line += " " + word
            continue
        if line:
            lines.append(line)
        while cells(word) > size:
            head = _head(word, size)
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line]


def _head(word: str, size: int) -> str:
    """As many letters as fit, and one at least."""
    taken = 1
    while taken < len(word) and cells(word[: taken + 1]) <= size:
        taken += 1
    return word[:taken]
