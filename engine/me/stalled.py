"""A disk that takes nothing: what is shown gets old, and this says so (edge).

Nothing is shown before it is durable. So while a commit hangs, the value that faces look at stands still, with peers as
alive as they were, and nothing that happens can correct it. What can be said without the disk is that it hangs: in what
is shown, once a second, until a commit ends and the truth takes its place.
"""

import asyncio
from collections.abc import Callable

import msgspec

from engine.model.event import Event, Noticed
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.state import Fleet

# A commit takes milliseconds, on a slow disk half a second.
STALLED_S = 5.0
AGAIN_S = 1.0
CODE = "store.stalled"


class Stall:
    """Whether commits end. `say` is called with each new word on what is shown, `publish` when that begins and ends."""

    def __init__(
        self,
        now: Callable[[], Moment],
        say: Callable[[Callable[[Fleet], Fleet]], None],
        publish: Callable[[Event], None],
    ):
        self._now, self._say, self._publish = now, say, publish
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told = False

    def waits(self) -> None:
        """Something waits for the disk."""
        if self._since is None:
            self._since = self._now().mono
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(STALLED_S, self._look)

    def moved(self) -> None:
        """A commit has ended."""
        self._since = None
        self._tell(False)

    def stop(self) -> None:
        """No more words."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        now = self._now()
        waited_s = now.mono - self._since
        if waited_s >= STALLED_S:
            self._tell(True)
            self._say(lambda shown: stalled(shown, waited_s, now))
        self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._look)

    def _tell(self, present: bool) -> None:
        if self._told is not present:
            self._told = present
            self._publish(Noticed(CODE, "", present))


def stalled(shown: Fleet, waited_s: float, now: Moment) -> Fleet:
    """What is shown, with the word that it is as old as the oldest commit that waits."""
    finding = Finding(
        CODE,
        "Nothing can be written",
        Severity.CRITICAL,
        f"no commit has ended for {waited_s:.0f} s; what is shown of this node and its peers is as old",
        next_step="free some space on the disk of the data directory, or look why it hangs (`dmesg`)",
        depends_on=("store.full",),
        at_ms=now.wall_ms - round(waited_s * 1000),
    )
    return msgspec.structs.replace(shown, findings=shown.findings.set((CODE, ""), finding))
