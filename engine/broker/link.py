"""Whether this node's own client reaches its broker: a process that is there and says nothing is no broker (edge).

    up, external -no link for SILENT_S-> silent -link, or another life-> up, external

A server that stands still keeps its pid and its ports, so the supervisor, which watches both, sees nothing of it; what
sees it is the client beside it, which is not answered any more. What is said of the broker is said through here.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from engine.model.broker import RUNS, BrokerState
from engine.signals import BrokerChanged

# The client is back 50 ms after a server is; it misses one that stands still after two seconds.
SILENT_S = 3.0
# A new life that has not let it in by then does not.
ANSWER_S = 2 * SILENT_S


class Link:
    """What the node is told of its broker. `said`: the last word on the process, whether it answers or not."""

    def __init__(self, post: Callable[[BrokerChanged], None]):
        self._post = post
        self._reached = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.said = BrokerChanged(BrokerState.ABSENT)

    def tell(self, changed: BrokerChanged) -> None:
        """The process is otherwise now."""
        self.said = changed
        if changed.state not in RUNS:
            self._reached.clear()  # of another life nothing is known, whatever the last one was
        self._post(changed)
        self._watch()

    def turned(self, reached: bool) -> None:
        """The client reached it, or lost it. Reached, P1 to everybody is worth a look, so the last word on the broker
        is said again: what the value holds may be older."""
        if reached:
            self._reached.set()
            self._post(self.said)
        else:
            self._reached.clear()
        self._watch()

    async def answers(self) -> bool:
        """Whether it lets the client in, now or soon."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reached.wait(), ANSWER_S)
        return self._reached.is_set()

    def stop(self) -> None:
        """Nothing is told any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self) -> None:
        self.stop()
        if self.said.state in RUNS and not self._reached.is_set():
            self._timer = asyncio.get_running_loop().call_later(SILENT_S, self._silent)

    def _silent(self) -> None:
        note = f"it runs, and has not answered this node's own client for {SILENT_S:g} s"
        self._post(msgspec.structs.replace(self.said, state=BrokerState.SILENT, note=note))
