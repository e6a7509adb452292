"""T8: P1 is black-holed (dropped, not refused) while twenty messages a second are sent.

    ours      send() to receipt, the hedged cascade, over a peer whose P2 works
    list      one channel after another: a raw request with a timeout of 3 s, then a raw HTTPS POST to the same peer
    breaker   the same, and after three timeouts in a row P1 is not tried for 30 s

The controls' broker is a plain nats-server of their own, black-holed as ours are. The three take turns in every round;
only what is sent after the cut counts. As root the same is done between two machines: `between`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from time import perf_counter

import nats.errors

from bench import between
from bench.effort import Effort
from bench.figures import Line, Samples, worst_at_most
from bench.hole import hole
from bench.naive import Naive, naive
from bench.needs import is_root
from bench.nodes import healthy, pair
from bench.watching import receipts
from tests.networks import in_own_network

NUMBERS = ("T8",)
A_SECOND = 20
LATE_MS = 100.0
CALM_S = 0.5
TEXT = "x" * 1024


async def measure(effort: Effort) -> Iterable[Line]:
    """Three lines of the same rounds."""
    listed, breaker = "the list with 3 s timeouts", "the same with a breaker"
    late = Line("T8", "P1 black-holed, 20/s: messages over 100 ms late", "late", worst_at_most(0, "late"), listed)
    tripped = Line("T8", "the same, beside a breaker", "late", worst_at_most(0, "late"), breaker)
    worst = Line("T8", "the same: send() to receipt", "ms", worst_at_most(50, "ms"), listed)

    async def work() -> None:
        async for ours, slow, broken in _rounds(effort):
            late.ours.append([_late(ours)])
            late.raw.append([_late(slow)])
            tripped.ours.append([_late(ours)])
            tripped.raw.append([_late(broken)])
            worst.ours.append(ours)
            worst.raw.append(slow)

    if is_root():
        await asyncio.to_thread(in_own_network, work)
    else:
        await work()
    late.note = f"of {len(worst.ours[0])} messages a round"
    return [late, tripped, worst, *(await asyncio.to_thread(between.lines, effort) if is_root() else ())]


async def _rounds(effort: Effort) -> AsyncIterator[tuple[Samples, Samples, Samples]]:
    count = effort.of(80, 8)
    async with pair() as (engine, there, peer), receipts(engine) as proved, naive(engine, peer) as control:

        async def send() -> None:
            (story,) = await engine.send(there.name, TEXT)
            await proved.of(story.id)

        brokers = [*engine.fleet.addresses_of(peer), *engine.fleet.me.addresses]
        ports = (control.port, *(at.nats for at in brokers if at.nats))
        pids = (control.pid, there.client.get("/status")["broker"]["pid"])
        way = hole(tuple(ports), pids)
        for _ in effort.rounds():
            found: list[Samples] = []
            for act in (send, control.one, Tripping(control).one):
                await healthy(engine, peer)
                await control.works()
                await asyncio.sleep(CALM_S)
                way.cut()
                try:
                    found.append(await _paced(act, count))
                finally:
                    way.heal()
            yield found[0], found[1], found[2]


class Tripping:
    """The control with a breaker in front of P1."""

    TRIPPED_AFTER, REST_S = 3, 30.0

    def __init__(self, control: Naive):
        self._control, self._failed, self._rests_until = control, 0, 0.0

    async def one(self) -> None:
        """One message over the first channel that works."""
        if perf_counter() >= self._rests_until:
            try:
                await self._control.first()
                self._failed = 0
                return
            except (nats.errors.Error, TimeoutError, OSError):
                self._failed += 1
                if self._failed >= self.TRIPPED_AFTER:
                    self._rests_until = perf_counter() + self.REST_S
        await self._control.second()


async def _paced(act: Callable[[], Awaitable[None]], count: int) -> Samples:
    """Start one every 50 ms, whatever became of those before; how long each took, in milliseconds."""

    async def timed() -> float:
        began = perf_counter()
        await act()
        return (perf_counter() - began) * 1000

    began, flying = perf_counter(), []
    for at in range(count):
        await asyncio.sleep(max(0.0, began + at / A_SECOND - perf_counter()))
        flying.append(asyncio.create_task(timed()))
    return list(await asyncio.gather(*flying))


def _late(samples: Samples) -> float:
    return float(sum(took_ms > LATE_MS for took_ms in samples))
