"""`python -m bench [T1 T2 …] [--quick] [--json]`: measure, show, remember.

Each benchmark is a module with `NUMBERS`, the rows of the table it measures, and `measure`, which yields their lines.
One that cannot run here (no tmux, no root) says why and is passed over.
"""

import argparse
import asyncio
import json
import sys
import traceback
from importlib import import_module

from bench import report
from bench.effort import Effort
from bench.figures import Line, row
from bench.needs import Missing

MODULES = {
    "T1": "sealed",
    "T2": "durable",
    "T3": "posted",
    "T4": "overssh",
    "T5": "overssh",
    "T6": "hub",
    "T7": "typed",
    "T8": "blackhole",
    "T9": "broker",
    "T10": "broker",
    "T11": "crowd",
    "T12": "crowd",
    "T13": "throughput",
    "T14": "accepting",
    "T15": "killed",
    "T16": "memory",
    "T17": "idle",
    "T18": "starting",
    "T19": "opening",
    "T20": "keys",
    "T21": "grid",
    "T22": "log",
    "T23": "torture",
    "T24": "sim",
    "T25": "ledger",
    "T26": "attaching",
}


def main() -> int:
    """Measure what was asked for, or everything. 0 however the figures turn out, because a figure is no assertion; 1
    when one could not be taken."""
    args = _parsed()
    effort = Effort(args.quick)
    wanted = list(dict.fromkeys(MODULES[number] for number in args.numbers or MODULES))
    found: list[Line] = []
    failed: list[str] = []
    for name in wanted:
        if not args.json:
            print(f"-- {name}", flush=True)
        try:
            found += _measured(name, effort, args.json)
        except Exception:  # noqa: BLE001 - whatever it was, the others are measured all the same
            traceback.print_exc()
            failed.append(name)
    path = report.keep(found, args.quick)
    if args.json:
        print(json.dumps({**report.machine(), "lines": [row(line) for line in found]}, indent=2))
    else:
        met = sum(line.met for line in found)
        print(f"\n{met} of {len(found)} targets met; {path.name} has the history")
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed and size, beside their raw controls.")
    parser.add_argument("numbers", nargs="*", metavar="T1", help=f"which: {' '.join(MODULES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one short round: does it still run?")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    args = parser.parse_args()
    args.numbers = [number.upper() for number in args.numbers]
    if unknown := set(args.numbers) - MODULES.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    return args


def _measured(name: str, effort: Effort, silent: bool) -> list[Line]:
    try:
        lines = list(asyncio.run(import_module(f"bench.{name}").measure(effort)))
    except Missing as missing:
        print(f"     skipped: {missing}", file=sys.stderr, flush=True)
        return []
    for line in lines:
        if not silent:
            report.show(line)
    return lines


if __name__ == "__main__":
    sys.exit(main())
