"""Ink to colour: the one place where spans meet the theme.

An ink is a name such as `good` or `title`; several names separated by blanks add up. The table says which of the
theme's tokens an ink takes for its letters and its ground, and how it is set where there is no colour at all. Looked up
in the theme and not in the style sheets: nineteen component classes a widget would cost half a second at the start.
"""

from collections.abc import Callable
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from screens.spans import Spans


class Ink(NamedTuple):
    """Tokens for letters and ground, the weight, and the weight that replaces colour where there is none."""

    letters: str = ""
    ground: str = ""
    weight: str = ""
    plain: str = ""


INKS = {
    "good": Ink("good"),
    "warn": Ink("warn"),
    "bad": Ink("bad", plain="bold"),
    "heal": Ink("heal"),
    "dim": Ink("quiet"),
    "faint": Ink("faint"),
    "accent": Ink("accent"),
    "title": Ink(weight="bold"),
    "strong": Ink(weight="bold"),
    "need": Ink("need", "need-ground", "bold", "bold reverse"),
    "key": Ink("accent", weight="bold"),
    "row": Ink(ground="row", plain="bold"),
    "cell": Ink(ground="lit", plain="reverse"),
    "under": Ink(weight="underline"),
    "rule": Ink("line"),
    "tab": Ink(ground="lit", weight="bold", plain="bold reverse"),
    "flip": Ink("accent", weight="bold reverse"),
}


class Inks(dict[str, Style]):
    """The styles of the inks asked for so far: every piece of every painted line asks."""

    def __init__(self, make: Callable[[str], Style]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, names: str) -> Style:
        found = self[names] = self._make(names)
        return found


class Painted(Widget):
    """A widget that draws spans."""

    _inks: Inks | None = None

    def ink(self, names: str) -> Style:
        """The style of an ink, or of several that add up, on this widget's own ground."""
        style = self.rich_style
        for name in names.split():
            style += self._dipped(INKS[name])
        return style

    def _dipped(self, ink: Ink) -> Style:
        if self.app.no_color:
            return Style.parse(ink.plain or ink.weight or "none")
        tokens = self.app.theme_variables
        colours = [Color.parse(tokens[token]).rich_color if token else None for token in (ink.letters, ink.ground)]
        return Style(color=colours[0], bgcolor=colours[1]) + Style.parse(ink.weight or "none")

    def strip(self, spans: Spans, under: str = "") -> Strip:
        """The spans as a line of the screen; `under` is an ink laid beneath all of them."""
        if self._inks is None:
            self._inks = Inks(self.ink)
        inks = self._inks
        if under:
            return Strip([Segment(text, inks[f"{under} {name}"]) for text, name in spans])
        return Strip([Segment(text, inks[name]) for text, name in spans])

    def notify_style_update(self) -> None:
        """Forget the colours: the theme or a class changed."""
        self._inks = None
        super().notify_style_update()
