"""T22: the message log at 100,000 rows: a thousand more appear; and the memory it takes.

    ours      the Messages screen over a real store: the log says it changed, pages are read, lines painted
    control   a RichLog of the same lines (20,000 of them, because filling it takes half a millisecond a line)

Each side is a process of its own, so that memory is told apart: `python -m bench.log ours|control HOME LINES`.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.effort import Effort
from bench.figures import Line, p50_at_most
from bench.log_store import fill
from bench.nodes import ROOT, folder

NUMBERS = ("T22",)


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    rows, control_rows = effort.of(100_000, 3_000), effort.of(20_000, 1_000)
    control = f"RichLog of {control_rows:,}"
    append = Line("T22", f"message log, {rows:,} rows: 1,000 more", "ms", p50_at_most(30, "ms"), control)
    memory = Line("T22", "the same: memory", "MB", p50_at_most(50, "MB"), control)
    with folder() as place:
        await fill(place, rows)
        for _ in effort.rounds():
            for side, into, memories, count in (
                ("ours", append.ours, memory.ours, rows),
                ("control", append.raw, memory.raw, control_rows),
            ):
                said = _run(side, place, count)
                into.append(said["append_ms"])
                memories.append([said["memory_mb"]])
    return [append, memory]


def _run(side: str, home: Path, lines: int) -> Any:
    command = [sys.executable, "-m", "bench.log", side, str(home), str(lines)]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """One side, as a process."""
    side, home, lines = sys.argv[1:]
    if side == "ours":
        from bench.log_ours import run
    else:
        from bench.log_control import run
    print(json.dumps(asyncio.run(run(Path(home), int(lines)))))


if __name__ == "__main__":
    main()
