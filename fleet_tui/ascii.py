"""ASCII for terminals without our glyphs: the last filter before the terminal, so that nothing slips past it.

A cell stays a cell: glyphs, boxes, bars and scroll bars are exchanged one for one. What people wrote is left alone.
"""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from screens.glyphs import ASCII


class Ascii(LineFilter):
    """Exchanges our glyphs in every line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same cells, in ASCII."""
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(ASCII), segment.style, segment.control)
            for segment in segments
        ]
