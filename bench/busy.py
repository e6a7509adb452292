"""A control room over an engine that never rests, on its own terminal (edge). `python -m bench.busy EVENTS_A_SECOND`

A hundred peers; two thousand signals a second go through the real steps of a node, on a thread and loop of their own:
each a round trip that ended, so that latencies, states and times change all over the screen.
"""

import asyncio
import sys
import threading
from time import monotonic

from msgspec.structs import replace

from engine.bus import Bus
from engine.clock import SystemClock
from engine.effects import Publish
from engine.model.channel import DIRECT, Outcome, Verdict
from engine.rooms import turn
from engine.signals import Tried
from engine.state import Fleet
from fleet_tui.app import FleetApp
from fleet_tui.bridge import Bridge
from tests.screens.golden import large, plan

PEERS = 100
A_SECOND = 2_000
TICK_S = 0.005


class Busy:
    """The engine. `fleet` may be read from any thread."""

    def __init__(self, value: Fleet, a_second: int):
        self.fleet, self._a_second, self._bus = value, a_second, Bus()

    async def run(self) -> None:
        """So many signals a second, for ever."""
        now = SystemClock().now
        pairs = [(peer, channel) for peer in self.fleet.peers for channel in DIRECT]
        began, done = monotonic(), 0
        while True:
            await asyncio.sleep(TICK_S)
            wanted = int((monotonic() - began) * self._a_second)
            for at in range(done, wanted):
                peer, channel = pairs[at % len(pairs)]
                tried = Tried(peer, channel, (), Outcome(Verdict.CONFIRMED), 1.0 + at % 90, probe=True)
                value, effects = turn(self.fleet, tried, now())
                for effect in effects:
                    if isinstance(effect, Publish):
                        self._bus.publish(effect.event)
                self.fleet = value
            done = wanted


def started(value: Fleet, loop: asyncio.AbstractEventLoop, a_second: int = A_SECOND) -> Bridge:
    """A busy engine on a loop that runs on another thread, and the bridge to it."""
    engine = Busy(value, a_second)
    asyncio.run_coroutine_threadsafe(engine.run(), loop)
    return Bridge(engine, loop)  # type: ignore[arg-type]  # nobody asks it for verbs


def crowd(peers: int) -> Fleet:
    """A fleet of so many peers, p000 and on, all alive."""
    names = {one.id: f"p{at:03}" for at, one in enumerate(large(peers).roster.members[1:])}
    base = large(peers)
    members = tuple(replace(one, name=names.get(one.id, one.name)) for one in base.roster.members)
    return replace(base, roster=replace(base.roster, members=members))


def main() -> None:
    """Run it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    app = FleetApp(started(crowd(PEERS), loop, int(sys.argv[1])), plan=lambda peer: plan(app.fleet, peer))
    app.kept["room"] = "channels"
    app.run()


if __name__ == "__main__":
    sys.exit(main())
