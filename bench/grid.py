"""T21: the channel grid of a thousand peers and nine channels: every visible cell anew, and one row anew.

ours      the control room's second screen: a new value, looked at, compared, painted
control   a DataTable with the same rows, its visible cells updated one by one
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from bench.effort import Effort
from bench.figures import Line, Target, ratio
from bench.sink import SIZE, Sink, cost_ms, shown
from engine.model.channel import Channel
from engine.state import Fleet
from fleet_tui.app import FleetApp
from screens.channels import Channels
from tests.screens.golden import NOW, large, plan

NUMBERS = ("T21",)
PEERS = 1_000
COLUMNS = len(Channel)
VISIBLE = SIZE[1] - 2


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    control = "DataTable doing the same"
    full = Line("T21", "channel grid, 1,000 peers x 9: every visible cell", "ms", _share(8), control)
    row = Line("T21", "the same: one row", "ms", _share(30), control)
    times = effort.of(6, 2)
    for _ in effort.rounds():
        all_ms, row_ms = await _ours(times)
        full.ours.append(all_ms)
        row.ours.append(row_ms)
        all_ms, row_ms = await _control(times)
        full.raw.append(all_ms)
        row.raw.append(row_ms)
    return [full, row]


def _share(part: int) -> Target:
    return Target(f"≤ 1/{part}", ratio, most=1 / part)


async def _ours(times: int) -> tuple[list[float], list[float]]:
    base = large(PEERS)
    values = [_shifted(base, by) for by in (0.0, 100.0)]
    app = FleetApp(values[0], clock=lambda: NOW, plan=lambda peer: plan(app.fleet, peer), driver_class=Sink)

    def look(fleet: Fleet) -> None:
        app.fleet = fleet
        app.look()

    async with shown(app) as sink:
        await cost_ms(sink, lambda: app.go("channels"))
        assert isinstance(app.room, Channels)
        rows = [_one_row(values[0], app.room.main().rows.key(5), by) for by in (200.0, 300.0)]
        all_ms = [await cost_ms(sink, lambda at=at: look(values[at % 2])) for at in range(1, times + 1)]
        look(rows[1])
        row_ms = [await cost_ms(sink, lambda at=at: look(rows[at % 2])) for at in range(times)]
    return all_ms, row_ms


def _shifted(fleet: Fleet, by: float) -> Fleet:
    """The same fleet with every latency another one."""
    channels = fleet.channels.mutate()
    for key, health in fleet.channels.items():
        if health.latencies:
            channels[key] = replace(health, latencies=tuple(ms + by for ms in health.latencies))
    return replace(fleet, channels=channels.finish())


def _one_row(fleet: Fleet, peer: str, by: float) -> Fleet:
    """The same fleet with the latencies of one peer other ones."""
    channels = fleet.channels
    for channel in Channel:
        health = fleet.health(peer, channel)
        channels = channels.set((peer, channel), replace(health, latencies=tuple(ms + by for ms in health.latencies)))
    return replace(fleet, channels=channels)


class Table(App[None]):
    """The control."""

    def compose(self) -> ComposeResult:
        """One table."""
        yield DataTable()

    def on_mount(self) -> None:
        """A thousand rows."""
        table: DataTable[Any] = self.query_one(DataTable)
        table.add_columns("peer", *map(str, Channel), "next goes by")
        for at in range(PEERS):
            table.add_row(f"build-{at}", *(_cell(2.0) for _ in range(COLUMNS)), "nats, then http", key=str(at))

    def change(self, rows: Iterable[int], ms: float) -> None:
        """Other values in these rows."""
        table: DataTable[Any] = self.query_one(DataTable)
        for row in rows:
            for column in range(1, COLUMNS + 1):
                table.update_cell_at((row, column), _cell(ms))


def _cell(ms: float) -> Text:
    """A cell as ours looks: a coloured sign, a value in another ink."""
    return Text.assemble(("●", "green"), (f" {ms:.1f} ms", "dim"))


async def _control(times: int) -> tuple[list[float], list[float]]:
    app = Table(driver_class=Sink)
    async with shown(app) as sink:
        visible = range(VISIBLE)
        all_ms = [await cost_ms(sink, lambda at=at: app.change(visible, 2.0 + at * 7)) for at in range(1, times + 1)]
        row_ms = [await cost_ms(sink, lambda at=at: app.change([5], 2.5 + at * 7)) for at in range(1, times + 1)]
    return all_ms, row_ms
