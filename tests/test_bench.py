"""The benchmarks: the arithmetic of their figures, the table they fill, and that they run. No second is asserted."""

import json
import signal
import subprocess
import sys
from importlib import import_module

import pytest

from bench import report
from bench.__main__ import MODULES
from bench.figures import Line, percentile, ratio, ratio_at_most, row, tail_at_most, worst_at_most
from tests.house import ROOT

# One of each kind: two nodes and a disk, a broker killed, a program on a terminal, a screen, a store.
TASTED = ("T2", "T6", "T9", "T20", "T21", "T22")
LIMIT_S = 100


def line(**facts: object) -> Line:
    return Line("T0", "something", "ms", ratio_at_most(1.5), "raw", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", MODULES)
def test_every_row_has_its_module(number: str) -> None:
    """What the command offers is measured by the module it names."""
    module = import_module(f"bench.{MODULES[number]}")
    assert number in module.NUMBERS
    assert callable(module.measure)


def test_the_ratio_is_that_of_the_rounds() -> None:
    """A round in which the machine was busy spoils one ratio, not the whole."""
    calm, busy = [1.0, 1.2, 1.1], [50.0, 60.0, 55.0]
    assert ratio(line(ours=[calm, calm, busy], raw=[calm, calm, calm])) == 1.0


def test_a_control_that_costs_nothing_has_no_ratio() -> None:
    """Idle processes take no time at all: there is nothing to divide by, and no error either."""
    found = ratio(line(ours=[[0.4]], raw=[[0.0]]))
    assert found != found


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: nothing between two samples is made up."""
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.99) == 4.0


def test_targets_look_at_what_they_name() -> None:
    """The worst, the tail and the ratio are judged each by its own figure."""
    slow_once = line(ours=[[1.0] * 99 + [80.0]], raw=[[1.0]])
    assert slow_once.met
    slow_once.target = tail_at_most(0.95, 50, "ms")
    assert slow_once.met
    slow_once.target = worst_at_most(50, "ms")
    assert not slow_once.met


def test_history_keeps_figures_and_where_they_were_taken(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """One line a run: machine, load and figures, never the samples."""
    monkeypatch.setattr(report, "HISTORY", tmp_path / "history")
    path = report.keep([line(ours=[[1.0, 2.0]], raw=[[2.0]])], quick=True)
    report.keep([], quick=False)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["quick"], second["quick"], second["lines"]) == (True, False, [])
    assert {"at", "cpus", "python", "system", "load"} <= first.keys()
    assert first["lines"] == [row(line(ours=[[1.0, 2.0]], raw=[[2.0]]))]
    assert first["lines"][0]["ours"] == {"p50": 1.0, "p99": 2.0, "worst": 2.0, "n": 2, "rounds": 1}


@pytest.mark.slow
@pytest.mark.parametrize("number", TASTED)
def test_a_taste(number: str) -> None:
    """`python -m bench T2 --quick --json` measures with real nodes, brokers, disks or terminals, and prints figures."""
    command = [sys.executable, "-X", "faulthandler", "-m", "bench", number, "--quick", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        try:
            said, complaint = ran.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            ran.send_signal(signal.SIGABRT)  # says where it stands
            said, complaint = ran.communicate()
    assert ran.returncode == 0, complaint
    lines = json.loads(said)["lines"]
    assert number in {one["number"] for one in lines}
    assert all(one["ours"]["n"] for one in lines)
