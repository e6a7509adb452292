"""What was open comes back (edge): room, cursors, filters, theme and layout, in one small file of the home.

It is a comfort and never a condition: a file that is missing, torn or from another version is the same as none, and
one that cannot be written is forgotten.
"""

import json
import os
from pathlib import Path
from typing import Any

LARGEST = 1 << 18


def load(path: Path | None) -> dict[str, Any]:
    """What was kept; empty when nothing can be read."""
    if path is None:
        return {}
    try:
        if path.stat().st_size > LARGEST:
            return {}
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def save(path: Path | None, kept: dict[str, Any]) -> bool:
    """Keep it, whole or not at all; False when it could not be written."""
    if path is None:
        return False
    torn = path.with_suffix(".tmp")
    try:
        torn.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(torn, path)
    except OSError:
        torn.unlink(missing_ok=True)
        return False
    return True
