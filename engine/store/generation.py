"""How often this home has started and committed, kept beside the store (edge).

A file that is copied back from a backup cannot know that it is old, and a log whose end was lost cannot know that there
was one. So each start counts itself in the store and, after that, in the file `generation`; each transaction counts
itself in the store and, after that, in `generation.commits`. A store that has counted less than these files has lost
what came since: it was restored, deleted, cut, or put aside as damaged.

The count of transactions does not wait for the disk: what a crash of the process leaves of it is true. After a power
cut it may be an older number, which proves less, and never one that proves too much.
"""

import os
import struct
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.home import write_private
from engine.store.restored import Generation

_COUNT = struct.Struct(">QQ")
_ALL = (1 << 64) - 1


def read(path: Path) -> Generation:
    """What the files say; zeros where there is none or it says nothing readable, which proves nothing."""
    try:
        started = msgspec.json.decode(path.read_bytes(), type=Generation)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        started = Generation()
    return msgspec.structs.replace(started, commits=_counted(_count_of(path)))


def write(path: Path, generation: Generation) -> None:
    """Replace the file, durably: there is always a whole one. Raises `OSError`."""
    write_private(path, msgspec.json.encode({"boots": generation.boots, "epoch": generation.epoch}))


def count(path: Path, commits: int) -> None:
    """There were so many transactions. The file only detects: where it cannot be written, it detects less."""
    with suppress(OSError):
        handle = os.open(_count_of(path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, _COUNT.pack(commits, commits ^ _ALL), 0)
        finally:
            os.close(handle)


def _count_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.commits")


def _counted(path: Path) -> int:
    """Written twice, the second time inverted: a number that a flipped bit made proves nothing."""
    with suppress(OSError, struct.error):
        commits, inverted = _COUNT.unpack(path.read_bytes())
        return int(commits) if commits ^ inverted == _ALL else 0
    return 0
