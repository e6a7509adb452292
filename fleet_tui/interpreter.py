"""How the collector of a node's process is set (edge); how often threads change places, the engine itself sets.

It looks at ten thousand new containers at a time instead of seven hundred, because messages die by themselves and make
no circles. What was imported is never looked at again: a collection of everything would hold up all threads, the
engine's too, for longer the more screens there are.
"""

import gc

YOUNG, OLDER, OLDEST = 10_000, 20, 20


def tuned() -> None:
    """Set it; before anything large is imported, because imports are what it would look at for nothing."""
    gc.set_threshold(YOUNG, OLDER, OLDEST)


def settled() -> None:
    """What is in memory now stays: a start is over, or the screens were imported."""
    gc.freeze()
