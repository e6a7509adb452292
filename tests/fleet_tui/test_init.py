"""`fleet_tui/__init__.py`: the one door."""

import re
import subprocess
import sys

import fleet_tui
from tests.house import ROOT


def in_a_fresh_process(code: str, cwd: str = "/") -> str:
    found = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    command = [sys.executable, "-I", "-c", found + code]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_the_door_is_light() -> None:
    """Importing `fleet_tui` loads nothing that a bare interpreter has not, so the stub starts at once."""
    code = "before = set(sys.modules); import fleet_tui; print(sorted(set(sys.modules) - before))"
    assert in_a_fresh_process(code) == "['fleet_tui']"


def test_ours_comes_first() -> None:
    """Another project's `engine` on the path is never taken for ours, and opening the door twice adds nothing."""
    code = (
        "sys.path.insert(0, '/nowhere'); import fleet_tui, importlib; once = list(sys.path); "
        "importlib.reload(fleet_tui); assert sys.path == once; print(sys.path[0])"
    )
    assert in_a_fresh_process(code) == str(ROOT)


def test_version_is_plain() -> None:
    """The version is a constant in the source, three numbers, known without asking the installer."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", fleet_tui.__version__)
