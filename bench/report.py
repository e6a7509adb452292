"""How results are shown and kept: a table for people, JSON for programs, one line of history a run."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Line, row

HISTORY = Path(__file__).parent / "history"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def show(line: Line) -> None:
    """Print one line of the table, with its control under it."""
    found = row(line)
    ours, control = found["ours"], found["control"]
    verdict = "met" if found["met"] else "NOT MET"
    print(f"{line.number:<4} {line.what}")
    print(f"       ours     {_pair(ours, line.unit)}   n={ours['n']}", end="")
    print(f"   ratio {found['ratio']:.3g}x" if found["ratio"] is not None else "", end="")
    print(f"   target {line.target.text}: {verdict}")
    if control:
        print(f"       control  {_pair(control, line.unit)}   {control['name']}")
    if line.note:
        print(f"       {line.note}")
    sys.stdout.flush()


def _pair(side: dict[str, Any], unit: str) -> str:
    return f"p50 {side['p50']:>9.4g} {unit}   p99 {side['p99']:>9.4g} {unit}"


def keep(lines: list[Line], quick: bool) -> Path:
    """Append this run to the history; returns the file."""
    HISTORY.mkdir(exist_ok=True)
    about = machine()
    path = HISTORY / f"{about['at'][:7]}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**about, "quick": quick, "lines": [row(line) for line in lines]}) + "\n")
    return path
