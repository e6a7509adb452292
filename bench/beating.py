"""A real node that writes down how late its engine's loop is, under a screen that is far too heavy (edge).

    python -m bench.beating HOME BEATS_FILE

Engine, API, broker and lent terminal are the product's own. The screen shows a thousand peers that nobody has and that
change two thousand times a second on the engine's own loop. Every ten milliseconds that loop writes down by how much it
was woken too late.
"""

import asyncio
import sys
from pathlib import Path
from struct import Struct
from time import monotonic
from typing import Any

from bench.busy import A_SECOND, crowd, started
from fleet_tui import parts
from fleet_tui.app import FleetApp
from tests.screens.golden import plan

BEAT = Struct("dd")
BEAT_S = 0.01
PEERS = 1_000


class Beating(parts.Running):
    """The engine of this process, with a pulse of its own."""

    def start(self) -> None:
        """Start, and beat from then on."""
        super().start()
        asyncio.run_coroutine_threadsafe(beat(Path(sys.argv[2])), self.loop)


async def beat(path: Path) -> None:
    """Write (when, how late) for ever; both in seconds."""
    with path.open("wb", buffering=0) as file:
        while True:
            began = monotonic()
            await asyncio.sleep(BEAT_S)
            file.write(BEAT.pack(began, monotonic() - began - BEAT_S))


def main() -> int:
    """Be the node."""
    heavy: list[Any] = []

    def make_app(engine: parts.Running, options: object) -> FleetApp:
        if not heavy:
            heavy.append(started(crowd(PEERS), engine.loop, A_SECOND))
        app = FleetApp(heavy[0], plan=lambda peer: plan(app.fleet, peer))
        app.kept["room"] = "channels"
        return app

    parts.Running, parts._app = Beating, make_app  # type: ignore[misc,assignment]
    return parts.in_foreground(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
