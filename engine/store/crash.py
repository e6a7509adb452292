"""Named places to die at, for tests of what survives (edge).

`FLEET_CRASH_AT=<name>` kills this process with SIGKILL the first time it passes the place of that name,
`FLEET_CRASH_AT=<name>:<n>` the n-th time. Without the variable a place costs one comparison. SIGKILL, because nothing
may run afterwards: no handler, no `finally`, no flush.

    before_commit   the transaction is written, not committed: nothing of it may be seen again
    after_commit    committed, and nobody was told: all of it must be seen again
    after_send      a frame left a moment ago, no answer is in
    before_mark     the receipt came, the rung is not saved yet
    before_ack      an arrival is durable, its receipt has not left
    before_type     that something will be typed is durable, nothing is typed yet
    after_type      it was typed and seen, and nobody was told
"""

import asyncio
import os
import signal
from collections.abc import Mapping

from engine.errors import FleetError

VARIABLE = "FLEET_CRASH_AT"
# Longer than a write to a local socket, shorter than the commit the answer waits for.
MOMENT_S = 0.001
POINTS = frozenset(
    {"before_commit", "after_commit", "after_send", "before_mark", "before_ack", "before_type", "after_type"}
)


def armed(env: Mapping[str, str]) -> tuple[str, int]:
    """The place and the pass that `FLEET_CRASH_AT` names; an empty name when it is not set.

    Raises `FleetError` `usage.crash_at` for a place nobody passes, since a test that waits for it would prove nothing.
    """
    name, _, count = env.get(VARIABLE, "").partition(":")
    if (name and name not in POINTS) or (count and not count.isdecimal()):
        raise FleetError(
            "usage.crash_at",
            "No such crash point",
            f"{VARIABLE}={env[VARIABLE]}",
            f"one of {', '.join(sorted(POINTS))}, each with :N for the N-th pass",
        )
    return name, int(count or 1)


_NAME, _left = armed(os.environ)


def crash_soon(name: str) -> None:
    """Die at this place a moment from now, when what was given to a socket has left it."""
    if name == _NAME:
        asyncio.get_running_loop().call_later(MOMENT_S, crash_at, name)


def crash_at(name: str) -> None:
    """Die here if this is the place and the pass that was asked for."""
    global _left
    if name != _NAME:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
