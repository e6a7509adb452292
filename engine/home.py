"""The home: what lies in it, what of that is a key, and how a file of it is replaced (edge).

    draft beside it, 0600 from the first byte ──fsync──► renamed to its place ──fsync──► there after a power cut

Who reads a file finds the old one or the new one, whole. The doctor looks at every entry of the table; what is not in
it does not belong into a home.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

# Of this node, and read by whoever acts as it.
KEY, TOKEN, TLS_KEY, TLS_CERT = "device.key", "token", "tls.key", "tls.crt"
# The store, what it knows of itself besides, and the room it gives back on a full disk.
STORE, GENERATION, BALLAST = "fleet.db", "generation", "ballast"
# What a person said.
CONFIG, TUNNELS, TERMINALS, STOPPED = "config.toml", "tunnels.json", "text.json", "stopped"
# What a start remembers of the one before.
PORTS, PROOFS, SCREENS = "ports.json", "ssh-proofs.json", "screens.json"
# Only while a node runs, but for the lock's file.
LOCK, API_PORT = "node.lock", "api.port"
# Folders. `RUN` may be a link to where a socket's path is short enough.
BROKER, SEEDS, SEED_IN, REPAIRS, LOG, GIT, RUN = "broker", "seeds", "seed-in", "repairs", "log", "git", "run"

# What a start cannot do without, besides the key, of which it says so itself.
VITAL = (TOKEN, TLS_KEY, TLS_CERT, STORE, GENERATION, LOCK, LOG, RUN)
LOST = "put the store back from a backup; without one `fleet up` begins anew, and `fleet join` takes a new invite"


class Shape(StrEnum):
    """What a start takes in a place, and nothing else."""

    FILE = "file"
    FOLDER = "folder"


class Entry(NamedTuple):
    """Files or folders of a home, by a pattern. `secret`: whoever can read it could be this node. `shape`: None for
    either."""

    pattern: str
    secret: bool = False
    shape: Shape | None = Shape.FILE


TABLE = (
    *(Entry(name, secret=True) for name in (KEY, TOKEN, TLS_KEY)),
    *(Entry(name) for name in (TLS_CERT, STORE, GENERATION, BALLAST, CONFIG, TUNNELS, TERMINALS, STOPPED)),
    *(Entry(name) for name in (PORTS, PROOFS, SCREENS, LOCK, API_PORT)),
    *(Entry(name, shape=Shape.FOLDER) for name in (BROKER, SEEDS, SEED_IN, REPAIRS, LOG, GIT, RUN)),
    # What git keeps is git's to arrange, and what peers laid into `SEED_IN` is looked at by its channel.
    *(Entry(f"{name}/*", shape=None) for name in (BROKER, SEEDS, REPAIRS, LOG)),
    # Their logs and counts, and what was put aside of them.
    *(Entry(f"{name}?*", shape=None) for name in (STORE, GENERATION)),
)


def things(home: Path) -> Iterator[tuple[Path, Entry]]:
    """What of the table is there."""
    for entry in TABLE:
        yield from ((path, entry) for path in sorted(home.glob(entry.pattern)))


def misplaced(path: Path, shape: Shape | None) -> str:
    """What lies there that no start takes; empty where it is right, or nothing is there. Links are followed."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if shape is None or (stat.S_ISDIR(mode) if shape is Shape.FOLDER else stat.S_ISREG(mode)):
        return ""
    return f"{path} is {'a folder' if stat.S_ISDIR(mode) else f'no {shape}'}; a {shape} belongs there"


def obstacles(home: Path) -> Iterator[tuple[Path, str]]:
    """What is misplaced where a start cannot do without what belongs there."""
    for entry in TABLE:
        if entry.pattern in VITAL and (why := misplaced(home / entry.pattern, entry.shape)):
            yield home / entry.pattern, why


def aside(path: Path) -> str:
    """What a person can do about what is misplaced."""
    then = LOST if path.name == STORE else "a start makes what it needs there"
    return f"`mv {shlex.quote(str(path))} {shlex.quote(f'{path}.aside')}`; {then}"


def write_private(path: Path, data: bytes) -> None:
    """Replace a file, durably, readable by its owner alone. One that says this already is left alone, so that a full
    disk keeps nothing from starting again. Raises `OSError`."""
    if _holds(path, data):
        return
    fresh = draft(path, data)
    try:
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def draft(path: Path, data: bytes) -> Path:
    """A file of mode 0600 beside `path` that holds `data` on disk, under a name nobody else has. Raises `OSError`."""
    fresh = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return fresh


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file is otherwise there only after the next flush."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holds(path: Path, data: bytes) -> bool:
    with suppress(OSError):
        seen = path.lstat()
        return stat.S_ISREG(seen.st_mode) and stat.S_IMODE(seen.st_mode) == 0o600 and path.read_bytes() == data
    return False
