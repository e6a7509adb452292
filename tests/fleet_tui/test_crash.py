"""`fleet_tui/crash.py`: what is kept of an ending nobody wished."""

from pathlib import Path

from fleet_tui.crash import KEPT, save_crash


def broken(body: str) -> Exception:
    try:
        raise ValueError(f"{len(body)} bytes were too many")
    except ValueError as error:
        return error


def test_a_crash_is_its_lines_and_words_and_no_variables(home: Path) -> None:
    """The file names code and error; what the variables held is not in it, and only the owner reads it."""
    text = (path := save_crash(home, broken("a secret body"))).read_text()
    assert "ValueError: 13 bytes were too many" in text
    assert "in broken" in text
    assert "secret" not in text
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_the_newest_stay(home: Path) -> None:
    """A screen that crashes all day does not fill the disk."""
    paths = [save_crash(home, broken("x")) for _ in range(KEPT + 5)]
    assert sorted((home / "log").iterdir()) == paths[-KEPT:]
