"""The home and its configuration file, read and made without a node (edge)."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from engine.config import Resolved, resolve
from engine.errors import Fault, FleetError
from engine.home import CONFIG

TEMPLATE = """\
# What this node is told; everything else has its default. `fleet config show --origin` prints every key,
# `fleet config check` tries this file, and the node reads it at its start (`fleet restart`).

[node]
name = {name}
"""


def make(home: Path, name: str | None) -> dict[str, str]:
    """Make the home with mode 0700, and a configuration file where there is none.

    Raises `FleetError`: `usage.named` where the file is there and a name is given, `usage.config` for a bad one."""
    path = home / CONFIG
    if name and path.exists():
        step = f"change `name` under `[node]` in {path}, then `fleet restart`"
        raise FleetError("usage.named", "This home is configured already", str(path), step, Fault.THEIRS)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(TEMPLATE.format(name=_quoted(name or "")), encoding="utf-8")
    return {"home": str(home), "name": configured(home).config.node.name or hostname(), "config": str(path)}


def configured(home: Path, environ: Mapping[str, str] = os.environ) -> Resolved:
    """The configuration a node would start with now. Raises `FleetError` `usage.config`."""
    path = home / CONFIG
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        step = "save it as UTF-8, or move it away to start with the defaults"
        raise FleetError("usage.config", "The configuration cannot be read", f"{path}: {error}", step) from None
    except OSError as error:
        why, step = f"{path}: {error.strerror or error}", "move it away to start with the defaults"
        raise FleetError("usage.config", "The configuration cannot be read", why, step, Fault.WORLD) from None
    return resolve(text, environ, str(path))


def key_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The key that lies elsewhere, if one does."""
    named = environ.get("FLEET_KEY_FILE")
    return Path(named) if named else None


def check_startable(home: Path) -> None:
    """Before a node is stopped in order to be started again: what a start reads first. Raises the `FleetError` that
    the start would end with."""
    from engine.security import keyfile

    configured(home)
    keyfile.check(home, key_file())


def hostname() -> str:
    """What a node without a name is called."""
    return os.uname().nodename.partition(".")[0]


def _quoted(name: str) -> str:
    """A TOML string. Control characters have no place in a name."""
    text = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    try:
        tomllib.loads(f"name = {text}")
    except tomllib.TOMLDecodeError:
        raise FleetError("usage.name", "That is no name", repr(name), "use letters, digits and hyphens") from None
    return text
