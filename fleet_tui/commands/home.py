"""The home and its configuration file, read and made without a node (edge)."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.configured import configured
from engine.daemon.lock import check
from engine.errors import Fault, FleetError
from engine.home import CONFIG
from engine.model.roster import name_from, unfit
from fleet_tui.place import program

TEMPLATE = """\
# What this node is told; everything else has its default. `fleet config show --origin` prints every key,
# `fleet config check` tries this file, and the node reads it at its start (`fleet restart`).

[node]
name = "{name}"
"""


def make(home: Path, name: str | None) -> dict[str, str]:
    """Make the home with mode 0700, and a configuration file where there is none.

    Raises `FleetError`: `usage.name` for what cannot be one, `usage.named` where the file is there and a name is given,
    `usage.config` for a bad one."""
    path = home / CONFIG
    if name is not None and (why := unfit(name)):
        raise FleetError("usage.name", "That cannot be a name", why, f"`{program(home)} init {name_from(name)}`")
    if name and path.exists():
        step = f"change `name` under `[node]` in {path}, then `{program(home)} restart`"
        raise FleetError("usage.named", "This home is configured already", str(path), step, Fault.THEIRS)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(TEMPLATE.format(name=name or ""), encoding="utf-8")
    return {"home": str(home), "name": name_from(configured(home).config.node.name or hostname()), "config": str(path)}


def key_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The key that lies elsewhere, if one does."""
    named = environ.get("FLEET_KEY_FILE")
    return Path(named) if named else None


def passing(home: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The keys that only the environment sets as they are: another start has them from the file, or not at all."""
    kept, given = (msgspec.to_builtins(configured(home, env).config) for env in ({}, environ))
    return [f"{part}.{key}" for part, keys in given.items() for key, value in keys.items() if kept[part][key] != value]


def check_startable(home: Path) -> None:
    """Before a node is stopped in order to be started again: what a start reads first. Raises the `FleetError` that
    the start would end with."""
    from engine.security import keyfile

    check(home)
    configured(home)
    keyfile.check(home, key_file())


def hostname() -> str:
    """What a node without a name is called."""
    return os.uname().nodename.partition(".")[0]
