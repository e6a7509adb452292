"""Stopped on purpose: a mark that only a person's start removes."""

from pathlib import Path

from engine.daemon import stopped


def test_a_mark_stays_until_it_is_cleared(home: Path) -> None:
    """Both ways may be gone twice, and a home that is not there is no error."""
    assert not stopped.is_marked(home)
    for _ in range(2):
        stopped.mark(home)
        assert stopped.is_marked(home)
    for _ in range(2):
        stopped.clear(home)
        assert not stopped.is_marked(home)
    stopped.mark(home / "missing")
    stopped.clear(home / "missing")
