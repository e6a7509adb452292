"""The wheel: built, installed and run the way a stranger's machine would."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fleet_tui
from tests.house import PACKAGES, ROOT

pytestmark = pytest.mark.slow

DIST_INFO = f"fleet_control-{fleet_tui.__version__}.dist-info"


def run(*command: str | Path, cwd: str | Path = "/") -> str:
    """Run as nobody's project: no PYTHONPATH, no virtual environment, no Fleet in the environment."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "FLEET_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with what is installed here."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site-packages of a clean venv with the wheel, which sees our dependencies but not this checkout."""
    venv = tmp_path_factory.mktemp("stranger") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    (packages,) = venv.glob("lib/python*/site-packages")
    assert list(packages.iterdir()) == []
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # A line in a .pth adds the folder and does not follow the .pth files in it, such as the one to this checkout.
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(ours))
    return packages


def test_the_wheel_carries_every_file(wheel: Path) -> None:
    """Sheets, schemas and code alike are in the wheel: the program under its name, the rooms beneath it."""
    carried = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(DIST_INFO)}
    listed = run("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines() if (ROOT / ".git").exists() else []
    expected = {name if name.startswith("fleet_tui/") else f"fleet_tui/_rooms/{name}" for name in listed}
    assert expected <= carried
    assert {name.split("/")[0] for name in carried} == {"fleet_tui"}


def test_site_packages_gain_one_name(site: Path) -> None:
    """An `engine` of someone else's is safe from ours: one package is added, and its record."""
    assert {path.name for path in site.iterdir()} == {"fleet_tui", DIST_INFO, "dependencies.pth"}


def test_the_program_runs_from_anywhere(site: Path) -> None:
    """`fleet --version` in `/` is answered by the wheel."""
    assert fleet_tui.__version__ in run(site.parents[2] / "bin" / "fleet", "--version")


def test_the_rooms_are_found(site: Path) -> None:
    """After `import fleet_tui`, `engine`, `screens` and `styles` are the wheel's own."""
    code = (
        "import fleet_tui, engine.state, screens, styles; print(engine.state.__file__, screens.__file__, styles.FOLDER)"
    )
    places = run(site.parents[2] / "bin" / "python", "-c", code).split()
    assert [Path(place).is_relative_to(site / "fleet_tui" / "_rooms") for place in places] == [True] * 3
