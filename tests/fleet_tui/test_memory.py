"""What was open is kept as a comfort, never as a condition."""

from pathlib import Path

from fleet_tui.memory import LARGEST, load, save


def test_round_trip(tmp_path: Path) -> None:
    """What was kept comes back, and no torn file stays behind."""
    kept = {"room": "channels", "channels": {"cursor": "id-mac2"}}
    assert save(tmp_path / "ui.json", kept)
    assert load(tmp_path / "ui.json") == kept
    assert [path.name for path in tmp_path.iterdir()] == ["ui.json"]


def test_nothing_to_read(tmp_path: Path) -> None:
    """Missing, torn, too large or no file at all: as if nothing had been kept."""
    assert load(None) == {}
    assert load(tmp_path / "ui.json") == {}
    (tmp_path / "ui.json").write_bytes(b"\xff\xfe{")
    assert load(tmp_path / "ui.json") == {}
    (tmp_path / "ui.json").write_text(" " * (LARGEST + 1))
    assert load(tmp_path / "ui.json") == {}


def test_nowhere_to_write(tmp_path: Path) -> None:
    """A place that cannot be written is told and raises nothing."""
    assert not save(tmp_path / "missing" / "ui.json", {})
    assert not save(None, {})
