"""File descriptors: how many this process may have, who gets which share, and what is said when none is left (edge).

    raised -> doors give out no more than a share of them -> one is accepted at a time -> none left: said once a minute

Any stranger can open connections. asyncio accepts as many as its backlog in one go, before a door can refuse one; and
where none can be had it tries that often again and starts that many timers, each of which does the same: four thousand
tracebacks a second. So a loop is told to accept one at a time, and the system is told how many may wait.
"""

import asyncio
import errno
import logging
import resource
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

# A hundred peers with every channel. On macOS a terminal is read with select(), which ends at 1,024.
MOST = 4_096 if sys.platform == "linux" else 1_024
# What a loop accepts in one go.
AT_ONCE = 1
QUEUE = 512
MINUTE_S = 60.0
_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})

Kind = tuple[object, ...]


def raised() -> None:
    """Let this process, and what it starts, have as many as it may, up to `MOST`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share(most: int, part: int) -> int:
    """So many places, or where that is less, one `part`th of the descriptors there are."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft // part))


def queued(doors: Iterable[Any], length: int = QUEUE) -> None:
    """Let so many wait at these listening sockets, whose loop accepts `AT_ONCE`. Raises `OSError`."""
    for one in doors:
        with one.dup() as door:
            assert isinstance(door, socket.socket)
            door.listen(length)


class Complaints:
    """A loop's exception handler: each trouble is logged when it comes, and after a minute how often it came again."""

    def __init__(self) -> None:
        self._again: dict[Kind, int] = {}
        self._none_left_at: float | None = None

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something that nobody awaits has failed."""
        error = context.get("exception")
        none_left = isinstance(error, OSError) and error.errno in _NONE_LEFT
        if none_left:
            self._none_left_at = loop.time()
        kind = _kind(error, context["message"])
        if kind in self._again:
            self._again[kind] += 1
            return
        self._again[kind] = 0
        loop.call_later(MINUTE_S, self._sum_up, kind, f"{context['message']}: {error!r}")
        if none_left:
            log.warning("%s: %s", context["message"], error)
        else:
            loop.default_exception_handler(context)

    def none_left(self, now: float) -> bool:
        """Whether one was needed within the last minute and there was none. `now`: the loop's time."""
        return self._none_left_at is not None and now - self._none_left_at < MINUTE_S

    def _sum_up(self, kind: Kind, what: str) -> None:
        if again := self._again.pop(kind):
            log.warning("%s: %d times more within a minute", what, again)


def none_left() -> bool:
    """Whether the running loop needed one within the last minute and there was none, as far as it was watched."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    return isinstance(handler, Complaints) and handler.none_left(loop.time())


def _kind(error: BaseException | None, message: str) -> Kind:
    """Troubles of one kind were raised in one place; a message may name what is different each time."""
    if error is None:
        return (message,)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else (message,)
    return (type(error), getattr(error, "errno", None), *place)
