"""Ink to colour: the one place where spans meet the theme.

An ink is a name such as `good` or `title`; two names separated by a blank add up. Each is a component class, so a
theme's colours stay in the style sheets and a changed theme repaints everything by itself.
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from screens.spans import Spans

INKS = (
    *("good", "warn", "bad", "heal", "dim", "faint", "accent", "title", "strong", "need", "key"),
    *("row", "cell", "under", "rule", "tab", "flip"),
)


class Painted(Widget):
    """A widget that draws spans."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{ink}" for ink in INKS}

    _inks: dict[str, Style]

    def ink(self, names: str) -> Style:
        """The style of an ink, or of several that add up, on this widget's own ground."""
        inks = self.__dict__.setdefault("_inks", {})
        if names not in inks:
            style = self.rich_style
            for name in names.split():
                style += self.get_component_rich_style(f"ink--{name}", partial=True)
            inks[names] = style
        found: Style = inks[names]
        return found

    def strip(self, spans: Spans, under: str = "") -> Strip:
        """The spans as a line of the screen; `under` is an ink laid beneath all of them."""
        ink = self.ink
        if under:
            return Strip([Segment(text, ink(f"{under} {name}")) for text, name in spans])
        return Strip([Segment(text, ink(name)) for text, name in spans])

    def notify_style_update(self) -> None:
        """Forget the colours: the theme or a class changed."""
        self.__dict__["_inks"] = {}
        super().notify_style_update()
