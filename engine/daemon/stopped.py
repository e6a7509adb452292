"""Whether a person stopped this node on purpose (edge): the file `stopped` in its home.

A node that was stopped stays so: peers may start one that crashed, or whose machine came back, and no other. It is
written when a person asks the node to end, and removed when a person starts it; a signal, a crash and a power cut leave
no mark.
"""

from contextlib import suppress
from pathlib import Path

from engine.home import STOPPED


def mark(home: Path) -> None:
    """It is to stay down. What cannot be written is no reason to go on running."""
    with suppress(OSError):
        (home / STOPPED).touch(mode=0o600)


def clear(home: Path) -> None:
    """It runs again."""
    with suppress(OSError):
        (home / STOPPED).unlink(missing_ok=True)


def is_marked(home: Path) -> bool:
    """Whether it is to stay down."""
    return (home / STOPPED).exists()
