"""The control of T22: a RichLog with the same lines (edge)."""

import os
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import RichLog

from bench.log_store import AT_ONCE
from bench.process import rss_mb
from bench.sink import Sink, cost_ms, shown, still

TIMES = 3


class Log(App[None]):
    """The control."""

    def compose(self) -> ComposeResult:
        """One log."""
        yield RichLog()

    def more(self, rows: int) -> None:
        """Add lines at its end."""
        log = self.query_one(RichLog)
        for at in range(rows):
            log.write(
                Text.assemble(
                    ("14:02:11 ", "dim"), ("▸ ", "cyan"), "studio  context  ", ("on_host", "green"), f"  nats  {at}"
                )
            )


async def run(home: Path, lines: int) -> dict[str, Any]:
    """The figures: processor milliseconds of each append, megabytes for the whole."""
    app = Log(driver_class=Sink)
    async with shown(app) as sink:
        before_mb = rss_mb(os.getpid())
        app.more(lines)
        await still(sink)
        samples = [await cost_ms(sink, lambda: app.more(AT_ONCE)) for _ in range(TIMES)]
        memory_mb = rss_mb(os.getpid()) - before_mb
    return {"append_ms": samples, "memory_mb": memory_mb}
