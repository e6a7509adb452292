"""What every test shares: a clean environment, short homes, pictures in `snapshots/`, and skips that say why."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_textual_snapshot
from syrupy.location import PyTestLocation
from textual.app import App

from tests.pictures import PictureExtension, shares_folder

SBIN = "/usr/sbin:/sbin"
DEBIAN = {"sshd": "openssh-server", "rsvg-convert": "librsvg2-bin", "ip": "iproute2", "nft": "nftables"}


def pytest_configure() -> None:
    """Take out of this process what would leak into pictures or lead to a developer's own node."""
    for name in [name for name in os.environ if name.startswith("FLEET_")] + ["NO_COLOR", "TEXTUAL_THEME"]:
        os.environ.pop(name, None)
    # The snapshot plugin has imported Textual by now, which read the theme into its class once and for all.
    App.theme._default = "textual-dark"
    # The plugin's fixture looks its extension up by this name; syrupy asks a location which files are its own.
    pytest_textual_snapshot.SVGImageExtension = PictureExtension
    PyTestLocation.matches_snapshot_location = shares_folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, naming what is missing and where it comes from."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces or acts as another user")
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if not shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}"):
                pytest.skip(f"{program} is missing: apt install {DEBIAN.get(program, program)}")


@pytest.fixture(scope="session", autouse=True)
def nobody_home() -> Iterator[Path]:
    """A test that forgets to name its home lands in an empty one, never in the developer's own."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            patch.setenv(name, str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for one node, mode 0700. Short, because a Unix socket's path ends at about 104 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
