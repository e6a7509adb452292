"""`engine/daemon/rundir.py`: where a home's sockets lie."""

import os
from pathlib import Path

import pytest

from engine.daemon.rundir import LONGEST_PATH, make_run_dir, run_dir
from engine.errors import FleetError


def deep(home: Path) -> Path:
    """A home whose own `run` folder is too long for a socket."""
    folder = home / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    return folder


def test_a_short_home_holds_its_sockets(home: Path) -> None:
    """The usual place is `<home>/run`, for this user alone, and looking does not make it."""
    assert run_dir(home) == home / "run"
    assert not (home / "run").exists()
    assert make_run_dir(home) == home / "run"
    assert (home / "run").stat().st_mode & 0o777 == 0o700


def test_a_deep_home_has_them_under_the_runtime_folder(home: Path) -> None:
    """Where a socket's path would be too long, a folder named by hash under XDG_RUNTIME_DIR takes its place."""
    environ = {"XDG_RUNTIME_DIR": str(home)}
    folder = make_run_dir(deep(home), environ)
    assert folder.parent == home / "fleet"
    assert len(str(folder / "tty.sock")) <= LONGEST_PATH
    assert folder.stat().st_mode & 0o777 == 0o700


def test_another_environment_finds_the_same_folder(home: Path) -> None:
    """What the node chose is kept as a link in the home: a stub without XDG_RUNTIME_DIR goes to the same place."""
    there = deep(home)
    folder = make_run_dir(there, {"XDG_RUNTIME_DIR": str(home)})
    assert run_dir(there, {}) == folder
    assert make_run_dir(there, {}) == folder


def test_two_names_of_one_home_have_one_folder(home: Path) -> None:
    """A link to a deep home leads to the same sockets."""
    there = deep(home)
    (home / "link").symlink_to(there)
    environ = {"XDG_RUNTIME_DIR": str(home)}
    assert run_dir(home / "link", environ) == run_dir(there, environ)


@pytest.mark.parametrize("runtime", ["", "relative", "/nowhere/at/all", "/tmp/" + "x" * 90])
def test_without_a_usable_runtime_folder_it_is_tmp(home: Path, runtime: str) -> None:
    """No XDG_RUNTIME_DIR, or one that does not exist or is too long itself: `/tmp/fleet-<uid>/<hash>`."""
    folder = run_dir(deep(home), {"XDG_RUNTIME_DIR": runtime})
    assert folder.parent == Path(f"/tmp/fleet-{os.getuid()}")


@pytest.mark.needs_root
def test_a_folder_of_someone_else_is_refused(home: Path) -> None:
    """Whoever owns the folder could stand between a person and the node: refused, with the place named."""
    environ = {"XDG_RUNTIME_DIR": str(home)}
    there = deep(home)
    make_run_dir(there, environ)
    os.chown(home / "fleet", 12345, 12345)
    with pytest.raises(FleetError) as refused:
        run_dir(there, environ)
    assert refused.value.code == "home.foreign"
    assert str(home / "fleet") in refused.value.detail


def test_a_link_in_its_place_is_refused(home: Path) -> None:
    """A link where the far folder should be is not followed."""
    environ = {"XDG_RUNTIME_DIR": str(home)}
    there = deep(home)
    (home / "elsewhere").mkdir()
    (home / "fleet").symlink_to(home / "elsewhere")
    with pytest.raises(FleetError):
        make_run_dir(there, environ)
