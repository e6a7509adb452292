"""The home: how a file of it is replaced, and that whoever looks at it knows what is in it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from engine.config import Config
from engine.daemon.lock import check
from engine.doctor.checks import keys
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import LOG, RUN, TABLE, VITAL, Shape, things, write_private


def test_a_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    """0600 from the first byte; the same again touches nothing; a looser mode is mended."""
    file = tmp_path / "file"
    write_private(file, b"one")
    first = file.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600
    write_private(file, b"one")
    assert file.stat().st_ino == first.st_ino
    write_private(file, b"two")
    assert file.read_bytes() == b"two"
    file.chmod(0o644)
    write_private(file, b"two")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What is written into the home stays in the home."""
    file, other = tmp_path / "file", tmp_path / "other"
    other.write_bytes(b"one")
    other.chmod(0o600)
    file.symlink_to(other)
    write_private(file, b"one")
    assert not file.is_symlink()


def test_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    """Whoever is last wins, and no draft is left."""
    file, said = tmp_path / "file", [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: write_private(file, one), said))
    assert file.read_bytes() in said
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs neither the file nor the room of a draft."""

    def full(handle: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    file = tmp_path / "file"
    write_private(file, b"one")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(file, b"two")
    assert file.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["file"]


def test_the_doctor_looks_at_every_entry(tmp_path: Path) -> None:
    """Each file that a home may hold, open for others to write, is found."""
    home = tmp_path / "home"
    names = [entry.pattern.replace("*", "x") for entry in TABLE]
    folders = {entry.pattern for entry in TABLE if entry.shape is Shape.FOLDER}
    home.mkdir(mode=0o700)
    for name in sorted(names):
        (home / name).mkdir() if name in folders else (home / name).touch()
        (home / name).chmod(0o777)
    found = keys.look(Scene(home, Config(), "1", 0, "linux"))[2]
    assert {one.subject for one in found} == {str(home / name) for name in names}
    assert len(list(things(home))) == len(names)


@pytest.mark.parametrize("name", VITAL)
def test_a_start_ends_where_something_else_lies_in_a_place(tmp_path: Path, name: str) -> None:
    """It names the thing and says what to do; after that it is well."""
    path = tmp_path / name
    path.touch() if name in (LOG, RUN) else path.mkdir()
    with pytest.raises(FleetError) as found:
        check(tmp_path)
    assert found.value.code == "home.kind"
    assert str(path) in found.value.detail
    path.rename(f"{path}.aside")
    check(tmp_path)
    assert not [one for one in keys.look(Scene(tmp_path, Config(), "1", 0, "linux"))[2] if one.code == "keys.kind"]
