"""Waiting for what must come: look, again and again, until it is true or the deadline has passed."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_S = 0.02
# Generous, because the machine may be busy; nothing waits this long where all is well.
DEADLINE_S = 40.0


def until(look: Callable[[], T], what: str, timeout_s: float = DEADLINE_S) -> T:
    """The first true value of `look`. Fails with `what` and the last value once `timeout_s` have passed."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}; the last look gave {found!r}"
        time.sleep(LOOK_S)
    return found
