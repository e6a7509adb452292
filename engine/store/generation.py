"""How often this home has started, kept beside the store (edge).

A file that is copied back from a backup cannot know that it is old. So each start counts itself in the store and, after
that, in the file `generation`. A store that has counted less than the file has lost what came since: it was restored,
deleted, or put aside as damaged.
"""

import os
from pathlib import Path

import msgspec

from engine.store.restored import Generation


def read(path: Path) -> Generation:
    """What the file says; zeros where there is none or it says nothing readable, which proves nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Generation)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Generation()


def write(path: Path, generation: Generation) -> None:
    """Replace the file, durably: there is always a whole one."""
    fresh = path.with_name(f"{path.name}.new")
    with open(fresh, "wb", opener=_private) as target:
        target.write(msgspec.json.encode(generation))
        target.flush()
        os.fsync(target.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file is otherwise there only after the next flush."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
