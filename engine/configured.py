"""The configuration a node of a home would start with now: its file and the environment (edge)."""

import os
from collections.abc import Mapping
from pathlib import Path

from engine.config import ENVIRONMENT, Resolved, resolve
from engine.errors import Fault, FleetError
from engine.home import CONFIG


def configured(home: Path, environ: Mapping[str, str] = os.environ) -> Resolved:
    """Read and checked. Raises `FleetError` `usage.config`."""
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


def in_force(found: Resolved, exists: bool, environ: Mapping[str, str]) -> str:
    """Where what is in force comes from, in half a sentence. `exists`: there is a file."""
    names = variables(found, environ)
    file = "the file fits" if exists else "no file, the defaults are in force"
    return f"{file}; before it goes what the environment sets: {', '.join(names)}" if names else file


def variables(found: Resolved, environ: Mapping[str, str]) -> list[str]:
    """The variables that are in force."""
    names = [_variable(key) for key, origin in found.origins.items() if origin == ENVIRONMENT]
    return [*([PRESET] if environ.get(PRESET) else []), *names]


def strangers(found: Resolved, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that begin as ours do and set nothing, each with the one that may be meant (empty: none is like it)."""
    from difflib import get_close_matches  # a node that starts needs it no more than the next time anybody asks

    known = {name.removeprefix(OURS): name for name in (PRESET, *map(_variable, found.origins))}
    ours = (name.removeprefix(OURS) for name in environ if name.startswith(OURS) and name not in _NO_KEYS)
    strange = sorted(set(ours) - known.keys())
    return {OURS + one: next((known[like] for like in get_close_matches(one, known, 1, ALIKE)), "") for one in strange}


def _variable(key: str) -> str:
    return f"{OURS}{key}".replace(".", "_").upper()


OURS = "FLEET_"
PRESET = f"{OURS}PRESET"
# One letter wrong, or two that changed places, of a short name.
ALIKE = 0.8
# Which node it is, and what tests do to one.
_NO_KEYS = ("FLEET_HOME", "FLEET_KEY_FILE", "FLEET_CRASH_AT", "FLEET_FAULTS", "FLEET_FAULT_SEED")
