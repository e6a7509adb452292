"""The core of a node: loop, hands, door and bus, put together (edge).

What is around it differs: real sockets and a disk in `engine.engine`, a virtual network and a store in memory in the
simulator. What is inside is the same code in both, so what the simulator finds is true of the product.
"""

from collections.abc import Callable
from typing import Any, Protocol

from engine.bus import Bus
from engine.door import Door
from engine.hands import Hands, Keeper, Reader
from engine.loop import Loop
from engine.model.channel import Verdict
from engine.model.moment import Moment
from engine.security.seal import Sealer
from engine.signals import Readied, Signal, Tried
from engine.state import Fleet


class Clock(Protocol):
    """Where moments and ids come from."""

    def now(self) -> Moment: ...
    def new_id(self, now: Moment) -> str: ...


class Core:
    """Loop, hands, door and bus of one node, knowing each other."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        store: Keeper,
        reader: Reader,
        sealer: Sealer,
        clock: Clock,
        deeds: dict[type, Callable[[Any], None]],
    ):
        self.bus = Bus()
        self.hands = Hands(fleet, store=store, reader=reader, sealer=sealer, bus=self.bus, now=clock.now, deeds=deeds)
        self.loop = Loop(fleet, self.hands, clock.now)
        self.door = Door(
            fleet.me.id,
            sealer,
            self.loop.post,
            lambda: self.loop.busy,
            lambda: self.loop.fleet.roster,
            lambda: clock.now().wall_ms,
        )
        self.hands.door, self.hands.post = self.door, self.loop.post

    def closing(self) -> None:
        """The channels are about to be closed: what that breaks off, or bars, says nothing of any peer."""

        def heard(signal: Signal) -> None:
            ours = isinstance(signal, Tried) and signal.outcome.verdict in (Verdict.LOST, Verdict.BARRED)
            if not ours and not isinstance(signal, Readied):
                self.loop.post(signal)

        self.hands.post = heard
