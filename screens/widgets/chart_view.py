"""The view of a drawing: the cursor is on a peer, and arrows go to the nearest one in their direction."""

from textual import events
from textual.geometry import Region

from screens.chart import Drawing, Spot
from screens.spans import Spans
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import Lines

# How much worse a step to the side is than a step ahead: a column is left only when it ends.
ASIDE = 3.0
# A cell is about twice as tall as wide.
TALLER = 2.0
WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}


class ChartView(Lines):
    """Shows what `screens.chart` drew. It asks the room to draw again when the cursor moves."""

    drawing = Drawing()
    here = ""

    def total(self) -> int:
        return len(self.drawing.lines)

    def line(self, index: int, size: int) -> Spans:
        return self.drawing.lines[index]

    def show(self, drawing: Drawing) -> None:
        """This drawing instead."""
        changed = len(drawing.lines) != len(self.drawing.lines)
        self.drawing = drawing
        if changed:
            self.resized()
        self.freshen()

    def spot(self) -> Spot | None:
        """Where the cursor is."""
        return next((spot for spot in self.drawing.spots if spot.id == self.here), None)

    def put(self, node_id: str) -> bool:
        """Move the cursor to a peer; False when it is not drawn."""
        spot = next((spot for spot in self.drawing.spots if spot.id == node_id), None)
        if spot is None:
            return False
        if node_id != self.here:
            self.here = node_id
            self.post_message(LineGrid.Moved())
        self.show_spot()
        return True

    def show_spot(self) -> None:
        """Scroll so that the whole of the cursor's card is seen, with the edge above it."""
        spot = self.spot()
        if spot:
            above = 2 if spot.tall > 1 else 1
            self.scroll_to_region(Region(0, max(0, spot.y - above), 1, spot.tall + above), animate=False)

    def on_resize(self) -> None:
        """Keep the cursor in sight in the new size."""
        super().on_resize()
        self.call_after_refresh(self.show_spot)

    def action_move(self, way: str) -> None:
        spots = self.drawing.spots
        if not spots:
            return
        if way in ("first", "last"):
            self.put(spots[0 if way == "first" else -1].id)
        elif way in ("page_up", "page_down"):
            for _ in range(3):
                self.action_move("up" if way == "page_up" else "down")
        else:
            found = neighbour(self.spot() or spots[0], spots, *WAYS[way])
            if found:
                self.put(found.id)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there; on the card that has it, open."""
        y = event.y + round(self.scroll_y)
        for spot in self.drawing.spots:
            if spot.x <= event.x < spot.x + spot.wide and spot.y <= y < spot.y + spot.tall:
                if spot.id == self.here:
                    self.post_message(LineGrid.Opened())
                self.put(spot.id)


def neighbour(start: Spot, spots: tuple[Spot, ...], dx: int, dy: int) -> Spot | None:
    """The nearest spot in a direction, None when there is none."""
    x, y = start.middle

    def cost(spot: Spot) -> float:
        ahead = (spot.middle[0] - x) * dx + (spot.middle[1] - y) * dy * TALLER
        aside = abs((spot.middle[0] - x) * dy) + abs((spot.middle[1] - y) * dx) * TALLER
        return ahead + aside * ASIDE if ahead > 0.5 else float("inf")

    found = min(spots, key=cost, default=None)
    return found if found is not None and cost(found) < float("inf") else None
