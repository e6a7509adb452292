"""The configuration a node of a home would start with now: its file and the environment (edge)."""

import os
from collections.abc import Mapping
from pathlib import Path

from engine.config import Resolved, resolve
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
