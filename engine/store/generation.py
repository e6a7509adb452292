"""How often this home has started, kept beside the store (edge).

A file that is copied back from a backup cannot know that it is old. So each start counts itself in the store and, after
that, in the file `generation`. A store that has counted less than the file has lost what came since: it was restored,
deleted, or put aside as damaged.
"""

from pathlib import Path

import msgspec

from engine.home import write_private
from engine.store.restored import Generation


def read(path: Path) -> Generation:
    """What the file says; zeros where there is none or it says nothing readable, which proves nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Generation)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Generation()


def write(path: Path, generation: Generation) -> None:
    """Replace the file, durably: there is always a whole one. Raises `OSError`."""
    write_private(path, msgspec.json.encode(generation))
