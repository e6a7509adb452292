"""T1: a kilobyte over P1, sealed, opened, taken through the peer's whole loop and acknowledged, against a raw request.

What is carried is a pulse, which is sealed and answered like any message but kept nowhere: T2 adds the disks.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter

from bench.echo import BODY, SUBJECT, asking, echoing
from bench.effort import Effort
from bench.figures import Line, ratio_at_most
from bench.nodes import pair
from engine.effects import Deliver
from engine.engine import Engine
from engine.model.channel import CHANNELS, Channel, Verdict
from engine.model.envelope import Envelope, Kind
from engine.signals import Signal, Tried

NUMBERS = ("T1",)
AGAIN_S = 0.1


class Pulses:
    """Sends pulses over one channel, one at a time, and says how long each took there and back."""

    def __init__(self, engine: Engine, peer: str, channel: Channel):
        self._hands, self._loop, self._peer, self._channel = engine.core.hands, engine.core.loop, peer, channel
        self._came: asyncio.Future[Tried] | None = None
        self.lost: list[str] = []
        self._post = self._hands.post
        self._hands.post = self._tap

    def _tap(self, signal: Signal) -> None:
        # A probe of the engine's own may end meanwhile; it is as good an end as ours, and as rare as one in 5 s.
        self._post(signal)
        if isinstance(signal, Tried) and signal.channel is self._channel and self._came and not self._came.done():
            self._came.set_result(signal)

    async def one_ms(self) -> float:
        """Send one; milliseconds until its receipt was opened here. One that is lost is told, and another is sent."""
        while True:
            began = perf_counter()
            tried = await self._sent()
            if tried.outcome.verdict is Verdict.CONFIRMED:
                return (perf_counter() - began) * 1000
            self.lost.append(tried.outcome.note)
            await asyncio.sleep(AGAIN_S)

    async def _sent(self) -> Tried:
        fleet = self._loop.fleet
        pulse = Envelope(fleet.me.id, fleet.me.epoch, 0, self._peer, "bench", Kind.PING, body=BODY)
        self._came = asyncio.get_running_loop().create_future()
        self._hands.perform([Deliver(self._peer, self._channel, pulse, CHANNELS[self._channel].budget_s)], fleet)
        return await self._came

    def close(self) -> None:
        """Leave the engine as it was."""
        self._hands.post = self._post


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    count = effort.of(300, 20)
    line = Line("T1", "P1 sealed and acknowledged, 1 KB", "ms", ratio_at_most(1.5), "raw nats-py request, same route")
    async with pair() as (engine, there, peer), echoing(there):
        client = await asking(engine)
        await client.request(SUBJECT, BODY, timeout=5)
        pulses = Pulses(engine, peer, Channel.NATS)
        for _ in effort.rounds():
            line.raw.append([])
            line.ours.append([])
            for _ in range(count):
                began = perf_counter()
                await client.request(SUBJECT, BODY, timeout=5)
                line.raw[-1].append((perf_counter() - began) * 1000)
                line.ours[-1].append(await pulses.one_ms())
        pulses.close()
        line.note = "; ".join(pulses.lost)
        await client.close()
    return [line]
