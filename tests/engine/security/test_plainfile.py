"""What a person named as a file is read where it is one, and nothing waits for ever for what is none."""

import os
from pathlib import Path

import pytest

from engine.security.plainfile import opened


def test_only_a_plain_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe nobody writes to, a folder, a device, nobody's home: each an error at once, like a missing file."""
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", tmp_path, "/dev/zero", "~nosuchuser/secret", tmp_path / "missing"):
        with pytest.raises(OSError):  # noqa: PT011 - which of them it is, is the system's to say
            opened(name)
    (tmp_path / "file").write_bytes(b"words")
    monkeypatch.setenv("HOME", str(tmp_path))
    with opened("~/file") as file:
        assert file.read() == b"words"
