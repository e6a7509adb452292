"""The two things of a session that are files: the list of terminals that may be typed into, and the seed files (edge).

HOME/text.json          0600   who was opted in, by whoever owns the terminal
HOME/seeds/work.md      0600   what waits for `work`
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.errors import Fault, FleetError
from engine.home import SEEDS, TERMINALS, write_private
from engine.model.hop import SESSION, Allowed

# A peer names sessions as it likes; files of so many names are kept, the others wait in the inbox alone.
SEEDS_LIMIT = 256


def allowed(home: Path) -> tuple[Allowed, ...]:
    """The terminals that may be typed into. Raises `FleetError` `text.list` where the file is none of ours."""
    path = home / TERMINALS
    try:
        found: tuple[Allowed, ...] = msgspec.json.decode(path.read_bytes(), type=tuple[Allowed, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        step = f"move {path} away, then `fleet text allow` again in each terminal"
        raise FleetError("text.list", "The list of terminals is unreadable", f"{path}: {error}", step) from None
    return tuple(one for one in found if SESSION.fullmatch(one.session))


def keep(home: Path, seats: Iterable[Allowed]) -> None:
    """Remember these. Raises `FleetError` `text.kept`."""
    data = msgspec.json.format(msgspec.json.encode(tuple(seats)), indent=1) + b"\n"
    try:
        write_private(home / TERMINALS, data)
    except OSError as error:
        why = f"{home / TERMINALS}: {error.strerror or error}"
        raise FleetError("text.kept", "The list cannot be kept", why, "make room on the disk", Fault.WORLD) from None


def write_seed(home: Path, session: str, text: str) -> bool:
    """Write a session's seed file, empty when nothing waits; False where there are too many already, or no room. A
    session nobody ever wrote to gets none."""
    folder = home / SEEDS
    path = folder / f"{session}.md"
    with suppress(OSError):
        if not path.exists() and (not text or _many(folder)):
            return not text
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(path, text.encode(errors="replace"))
        return True
    return False


def _many(folder: Path) -> bool:
    return folder.is_dir() and sum(1 for _ in os.scandir(folder)) >= SEEDS_LIMIT
