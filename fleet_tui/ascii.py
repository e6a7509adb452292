"""The last filters before the terminal, so that nothing slips past them: no sign that drives it, and ASCII for those
without our glyphs.

A cell stays a cell: glyphs, boxes, bars and scroll bars are exchanged one for one. What people wrote is left alone.
"""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fleet_tui import harmless
from screens.glyphs import plain


class Harmless(LineFilter):
    """Takes out of every line what a terminal would obey: Textual hands on what a peer wrote as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same cells, without it; what holds none of it stays the same segment."""
        return [segment if segment.text.isprintable() else _harmless(segment) for segment in segments]


def _harmless(segment: Segment) -> Segment:
    if segment.control:
        return segment
    shown = harmless.cells(segment.text)
    return segment if shown == segment.text else Segment(shown, segment.style)


class Ascii(LineFilter):
    """Exchanges our glyphs in every line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same cells, in ASCII."""
        return [
            segment if segment.text.isascii() else Segment(plain(segment.text), segment.style, segment.control)
            for segment in segments
        ]
