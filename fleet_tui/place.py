"""Which home a command means, and where its node answers (edge).

`--home` first, then `FLEET_HOME`, then the platform's data directory: one rule for the stub, the commands and the node.
It looks at nothing on the disk.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from engine.daemon.rundir import run_dir

API = "api.sock"


def home_of(given: str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The home, absolute; it may not exist yet."""
    named = given or environ.get("FLEET_HOME")
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    import platformdirs  # 10 ms that whoever names a home does not pay

    return Path(platformdirs.user_data_dir("fleet", appauthor=False))


def program(home: Path, environ: Mapping[str, str] = os.environ) -> str:
    """What a person types to mean the node of `home`: `fleet`, with `--home` where it would mean another one."""
    return "fleet" if home == home_of(None, environ) else f"fleet --home {shlex.quote(str(home))}"


def api_socket(home: Path) -> Path:
    """The control API's socket of `home`'s node, whether or not one runs."""
    return run_dir(home) / API


def start_command(home: Path, *how: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """`fleet up` with these flags for `home`, from anywhere on this machine: as this program was started, with the one
    thing of its environment that makes it the same node."""
    import sys

    packages = Path(__file__).parent.parent
    own = [f"PYTHONPATH={packages}", *(f"{name}={environ[name]}" for name in ("FLEET_KEY_FILE",) if environ.get(name))]
    return ("env", *own, sys.executable, "-m", "fleet_tui", "--home", str(home), "up", *how)
