"""`./fleet` from a checkout: the real script, a real venv and a real pip, on a project that needs no network."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house import ROOT

pytestmark = pytest.mark.slow

BACKEND = """
import os, zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise SystemExit("no such network")
    with open("installs", "a") as count:
        count.write("x")
    info, name = "tiny-1.dist-info/", "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name

build_wheel = build_editable
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, in a path with a space, whose program prints its arguments."""
    root = tmp_path / "a checkout"
    for folder in (".ci", "fleet_tui", "backend"):
        (root / folder).mkdir(parents=True)
    for script in ("fleet", ".ci/venv"):
        shutil.copy(ROOT / script, root / script)
    (root / "backend" / "tiny_backend.py").write_text(BACKEND)
    (root / "fleet_tui" / "__main__.py").write_text("import sys; print('ran', *sys.argv[1:])")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "tiny_backend"\nbackend-path = ["backend"]\n'
    )
    return root


def begin(command: Path, *arguments: str, path: str | None = None) -> subprocess.Popen[str]:
    """Start the script from `/`, without the tests' own venv and without uv, whose own index is not pip's."""
    without_ours = os.pathsep.join(
        part
        for part in os.environ["PATH"].split(os.pathsep)
        if not part.startswith(str(ROOT)) and not Path(part, "uv").exists()
    )
    env = {"PATH": path or without_ours, "HOME": os.environ.get("HOME", "/")}
    pipe = subprocess.PIPE
    return subprocess.Popen([command, *arguments], cwd="/", env=env, stdout=pipe, stderr=pipe, text=True)


def fleet(command: Path, *arguments: str, path: str | None = None) -> tuple[int, str, str]:
    process = begin(command, *arguments, path=path)
    out, err = process.communicate()
    return process.returncode, out.strip(), err.strip()


def installs(root: Path) -> int:
    return len((root / "installs").read_text())


def test_the_first_run_installs_and_later_ones_only_run(checkout: Path) -> None:
    """The first run makes .venv, speaks on stderr alone, and passes its arguments on; the next is silent. It is found
    through symbolic links, and a newer pyproject.toml or a moved checkout installs again."""
    code, out, err = fleet(checkout / "fleet", "send", "mac2", "two words")
    assert (code, out) == (0, "ran send mac2 two words"), err
    assert "making .venv" in err
    assert fleet(checkout / "fleet") == (0, "ran", "")

    link, far = checkout.parent / "link", checkout.parent / "elsewhere" / "fleet"
    far.parent.mkdir()
    link.symlink_to(checkout / "fleet")
    far.symlink_to("../link")
    assert fleet(far, "demo") == (0, "ran demo", "")
    assert installs(checkout) == 1

    stamp = (checkout / ".venv" / ".fleet-installed").stat().st_mtime
    os.utime(checkout / "pyproject.toml", (stamp + 5, stamp + 5))
    code, out, err = fleet(checkout / "fleet")
    assert (code, out, installs(checkout)) == (0, "ran", 2)
    assert "up to date" in err

    moved = checkout.rename(checkout.parent / "moved")
    code, out, err = fleet(moved / "fleet")
    assert (code, out, installs(moved)) == (0, "ran", 3)
    assert "making .venv" in err


def test_a_failed_install_is_not_trusted(checkout: Path) -> None:
    """A failure exits 1, shows its end and says what to do; the next run begins again from nothing."""
    (checkout / "broken").touch()
    for _ in range(2):
        code, out, err = fleet(checkout / "fleet")
        assert (code, out) == (1, "")
        assert "no such network" in err
        assert "run this again" in err
    leftover = checkout / ".venv" / "leftover"
    leftover.touch()
    (checkout / "broken").unlink()
    code, out, _ = fleet(checkout / "fleet")
    assert (code, out, leftover.exists()) == (0, "ran", False)


def test_first_runs_at_once_take_turns(checkout: Path) -> None:
    """Three first runs at the same time install once, and all three run."""
    runs = [begin(checkout / "fleet", str(number)) for number in range(3)]
    outs = [(run.communicate()[0].strip(), run.returncode) for run in runs]
    assert outs == [("ran 0", 0), ("ran 1", 0), ("ran 2", 0)]
    assert installs(checkout) == 1


def tools(folder: Path, *extra: tuple[str, str]) -> str:
    """A PATH with what the scripts use and no Python, plus scripts given as (name, text)."""
    folder.mkdir()
    for name in ("sh", "readlink", "rm", "tail"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name, text in extra:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return str(folder)


def test_no_python_is_said_clearly(checkout: Path, tmp_path: Path) -> None:
    """Without a Python of 3.11 or newer it says what was looked for and how to get one."""
    old = ("python3", "#!/bin/sh\nexit 1\n")
    code, out, err = fleet(checkout / "fleet", path=tools(tmp_path / "bin", old))
    assert (code, out) == (1, "")
    assert "needs Python 3.11 or newer" in err
    assert "apt install python3" in err


def test_a_python_without_venv_is_said_clearly(checkout: Path, tmp_path: Path) -> None:
    """Debian splits the venv module away: the package to install is named."""
    bare = ("python3.12", '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n')
    code, _, err = fleet(checkout / "fleet", path=tools(tmp_path / "bin", bare))
    assert code == 1
    assert "apt install python3.12-venv" in err


def test_a_checkout_that_cannot_be_written_is_said_clearly(checkout: Path) -> None:
    """In words of ours, with how to see whose it is; the shell's own are not shown."""
    (checkout / ".venv.lock").mkdir()  # nobody can write to it, not even root
    status, out, err = fleet(checkout / "fleet")
    assert (status, out, ".venv.lock" in err) == (1, "", False)
    assert f"`ls -ld {checkout}`" in err
