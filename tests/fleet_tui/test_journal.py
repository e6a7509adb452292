"""The node's log: one file that never grows without end."""

import logging
from pathlib import Path

import pytest

from fleet_tui import journal


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> journal.Log:
    """A log that is full after a hundred bytes."""
    monkeypatch.setattr(journal, "LOG_BYTES", 100)
    return journal.Log(tmp_path / "node.log")


def say(log: journal.Log, text: str) -> None:
    log.emit(logging.LogRecord("x", logging.INFO, "x", 1, text, (), None))


def test_a_full_file_is_put_aside_and_the_last_few_are_kept(log: journal.Log, tmp_path: Path) -> None:
    """Nothing is lost of what is kept, the newest is in `node.log`, and no more than three old ones lie beside it."""
    for number in range(20):
        say(log, f"{number:02} " + "x" * 57)
    log.close()
    kept = [tmp_path / name for name in ("node.log.3", "node.log.2", "node.log.1", "node.log")]
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    lines = [line[:2] for path in kept for line in path.read_text().splitlines()]
    assert lines == [f"{number:02}" for number in range(12, 20)]


def test_what_cannot_be_put_aside_goes_on(log: journal.Log, tmp_path: Path) -> None:
    """Folders stand where the old ones should go: the same file takes every line. A file that cannot be opened hinders
    nobody."""
    for age in (2, 3):
        (tmp_path / f"node.log.{age}" / "full").mkdir(parents=True)
    for number in range(5):
        say(log, f"{number:02} " + "x" * 57)
    assert len((tmp_path / "node.log").read_text().splitlines()) == 5
    (tmp_path / "node.log").rename(tmp_path / "away")
    (tmp_path / "node.log").mkdir()
    logging.raiseExceptions = False
    try:
        say(log, "lost")
    finally:
        logging.raiseExceptions = True
    log.close()
