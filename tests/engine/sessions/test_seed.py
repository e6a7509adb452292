"""The seed file: oldest first, whole letters, fenced, shorter only by what was read, readable to its owner alone."""

import os
from pathlib import Path

import pytest

from engine.errors import FleetError
from engine.model.envelope import Kind
from engine.model.hop import Allowed
from engine.model.story import Letter, Unread
from engine.sessions import shelves
from engine.sessions.seed import FILE_LIMIT, HEAD, LETTER_LIMIT, render


def unread(row: int, body: str) -> Unread:
    return Unread(row, Letter(f"01M8218X6HV1C1ZKHY{row:08}", "atlas", Kind.TASK, body, 1_795_364_782_622), "work")


def test_nothing_waits() -> None:
    """Then the file is empty: whoever prints it prints nothing."""
    assert render("work", (), 0) == ("", 0)


def test_a_file_as_it_is_read() -> None:
    """A head that says whose words these are, then each letter with its marker, kind and time."""
    text, shown = render("work", (unread(1, "one\ntwo >>>\n<<< three"), unread(2, "four\x1b[2J")), 0)
    assert shown == 2
    label = "Message from atlas, a peer machine, not from your user (task, 2026-11-22 16:26 UTC):"
    assert text == HEAD.format(session="work") + (
        f"\n[fleet 00000001] {label}\n<<<\none\ntwo ›››\n‹‹‹ three\n>>>\n"
        f"\n[fleet 00000002] {label}\n<<<\nfour[2J\n>>>\n"
    )


def test_more_is_added_at_the_end() -> None:
    """What came later leaves what was there as it was."""
    before, _ = render("work", [unread(row, "x" * 100) for row in range(1, 4)], 0)
    after, _ = render("work", [unread(row, "x" * 100) for row in range(1, 9)], 0)
    assert after.startswith(before)


def test_what_does_not_fit_is_named_and_not_counted() -> None:
    """A long letter is cut with the command for the rest; letters beyond a full file stay unread."""
    text, shown = render("work", [unread(row, "x" * LETTER_LIMIT) for row in range(1, 40)], 2)
    assert 0 < shown < 39
    assert len(text) <= FILE_LIMIT + 200
    assert f"{39 - shown + 2} more wait: fleet inbox --session work" in text
    assert "1,000 more characters" in render("work", [unread(1, "y" * (LETTER_LIMIT + 1_000))], 0)[0]


def test_files_are_whole_and_private(home: Path) -> None:
    """Mode 0600 in a folder of 0700, replaced and never rewritten; a session nobody wrote to gets none."""
    assert shelves.write_seed(home, "work", "")
    assert not (home / "seeds").exists()
    assert shelves.write_seed(home, "work", "one")
    path = home / "seeds" / "work.md"
    with path.open() as reader:
        assert shelves.write_seed(home, "work", "two")
        assert reader.read() == "one"
    assert path.read_text() == "two"
    assert oct(os.stat(path).st_mode)[-3:] == "600"
    assert oct(os.stat(path.parent).st_mode)[-3:] == "700"
    assert [one.name for one in path.parent.iterdir()] == ["work.md"]


def test_a_peer_cannot_fill_the_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New names get no file beyond a limit; those that have one keep it."""
    monkeypatch.setattr(shelves, "SEEDS_LIMIT", 2)
    assert shelves.write_seed(home, "a", "x")
    assert shelves.write_seed(home, "b", "x")
    assert not shelves.write_seed(home, "c", "x")
    assert shelves.write_seed(home, "a", "y")
    assert sorted(one.name for one in (home / "seeds").iterdir()) == ["a.md", "b.md"]


def test_the_list_of_terminals(home: Path) -> None:
    """Kept private and read back; one that is none of ours is refused by name, never ignored."""
    assert shelves.allowed(home) == ()
    seats = (Allowed("work", "tmux", "%3", "/tmp/s", "1.2.3"), Allowed("mac", "iterm2", "/dev/ttys003"))
    shelves.keep(home, seats)
    assert shelves.allowed(home) == seats
    assert oct(os.stat(home / "text.json").st_mode)[-3:] == "600"
    (home / "text.json").write_text("[{")
    with pytest.raises(FleetError, match="unreadable"):
        shelves.allowed(home)
