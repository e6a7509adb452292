"""Death at any moment: what was told is there, each turn is whole or not there, nothing is there twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import FleetError
from engine.evidence.ledger import link, verify
from engine.model.ledger import LedgerRow
from engine.store.crash import POINTS, armed
from engine.store.store import Store
from tests.engine.store.conftest import LIGHT, NOW_MS
from tests.engine.store.records import EPOCH

ROOT = Path(__file__).parents[3]
DOOMED = Path(__file__).with_name("doomed.py")


def doomed(home: Path, count: int, **env: str) -> "subprocess.Popen[str]":
    """The process, with its output to read."""
    command = [sys.executable, str(DOOMED), str(home), str(count)]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True)


def told(output: str) -> set[int]:
    return {int(line.split()[1]) for line in output.splitlines() if line.startswith("told ")}


def kept_whole(home: Path) -> set[int]:
    """The turns that a restart finds; fails unless they are the first ones, each whole in all its tables."""
    store = Store(home, link, LIGHT)
    restored = store.open(NOW_MS)
    assert restored.findings == ()
    with closing(sqlite3.connect(store.path)) as other:
        sent = [row[0] for row in other.execute("SELECT seq FROM outbox ORDER BY seq")]
        assert [row[0] for row in other.execute("SELECT seq FROM inbox ORDER BY seq")] == sent
        assert other.execute("SELECT count(*) FROM bodies").fetchone() == (2 * len(sent),)
        entries = [LedgerRow(*row) for row in other.execute("SELECT seq, entry, hash FROM ledger ORDER BY seq")]
    store.close()
    assert sent == list(range(1, len(sent) + 1))
    assert len(entries) == restored.waiting == len(sent)
    assert verify(entries, restored.head) is None
    # One row that every turn writes: the last turn is the one that shows.
    if sent:
        assert restored.streams["B"][EPOCH].watermark == len(sent)
    return set(sent)


def killed_at(home: Path, place: str) -> set[int]:
    """What was told before it died at that place."""
    with doomed(home, 400, FLEET_CRASH_AT=place) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL
    return told(output)


@pytest.mark.slow
def test_death_before_the_first_commit(home: Path) -> None:
    """Nothing of the transaction is there, and nobody was told."""
    assert killed_at(home, "before_commit") == set()
    assert kept_whole(home) == set()


@pytest.mark.slow
def test_death_after_the_first_commit(home: Path) -> None:
    """All of the transaction is there, though nobody was told."""
    assert killed_at(home, "after_commit") == set()
    assert kept_whole(home)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before_commit:5", "after_commit:4"])
def test_death_in_the_middle(home: Path, place: str) -> None:
    """What was told is there; what more is there is whole."""
    heard = killed_at(home, place)
    kept = kept_whole(home)
    assert heard <= kept
    assert 0 < len(kept) < 400


@pytest.mark.slow
def test_death_at_random(home: Path) -> None:
    """Killed again and again at any moment and started again: what was told is there, once; it finishes in the end."""
    dice = random.Random(7)
    ever_told: set[int] = set()
    for _ in range(12):
        with doomed(home, 3000) as process:
            assert process.stdout
            heard = [process.stdout.readline()]
            heard += [process.stdout.readline() for _ in range(dice.randrange(1, 400))]
            process.kill()
            heard += process.stdout.readlines()
        ever_told |= told("".join(heard))
        assert kept_whole(home) >= ever_told
    with doomed(home, 3000) as process:
        output, _ = process.communicate(timeout=100)
    assert output.endswith("finished\n")
    assert kept_whole(home) == set(range(1, 3001))


def test_a_place_nobody_passes_is_refused() -> None:
    """A crash point with a wrong name or count is an error that lists the right ones: its test would prove nothing."""
    for wrong in ("befor_commit", "before_commit:x", "before_commit:-1"):
        with pytest.raises(FleetError, match=wrong) as refused:
            armed({"FLEET_CRASH_AT": wrong})
        assert all(point in refused.value.next_step for point in POINTS)
    assert armed({}) == ("", 1)
    assert armed({"FLEET_CRASH_AT": "before_ack:3"}) == ("before_ack", 3)
