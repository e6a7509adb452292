"""What did not change is not put together again.

For one changed row the compositor asks every widget of the screen for all its lines, and each of them goes once more
through padding, border and filters, though all come out as they were. A widget here hands out what it handed out before
until something marks it dirty: the very call by which Textual itself forgets the lines it keeps.
"""

from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Still(Widget):
    """A widget that keeps the lines it handed out. Named last of several bases: Textual takes styles from the first."""

    _handed: tuple[Region, list[Strip]] | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines within `crop`, for the compositor."""
        if self._handed is None or self._handed[0] != crop:
            self._handed = crop, super().render_lines(crop)
        return self._handed[1]

    def _set_dirty(self, *regions: Region) -> None:
        self._handed = None
        super()._set_dirty(*regions)


class Across(Horizontal, Still):
    """Side by side."""


class Down(Vertical, Still):
    """One under the other."""
