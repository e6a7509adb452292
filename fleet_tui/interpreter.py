"""How the interpreter is set for a process in which an engine shares one lock with a screen and a disk (edge).

The lock changes hands every millisecond instead of every five: the engine's thread asks for it after each look at a
socket, the store's after each statement, and five times five is a missed heartbeat. The collector looks at ten
thousand new containers at a time instead of seven hundred, because messages die by themselves and make no circles;
what was imported is never looked at again, so that no collection of everything holds all threads up.
"""

import gc
import sys

SWITCH_S = 0.001
YOUNG, OLDER, OLDEST = 10_000, 20, 20


def tuned() -> None:
    """Set it; before threads start."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(YOUNG, OLDER, OLDEST)


def settled() -> None:
    """What is in memory now stays: a start is over, or the screens were imported."""
    gc.freeze()
