"""T13: durable, acknowledged messages a second with 128 in flight.

    ours      send() to receipt: fsynced here and fsynced at the peer, both in batches: two copies on two disks' files
    control   JetStream of three servers, three replicas, `sync_interval: always`, published to by nats-py: two of the
              three copies are fsynced before it answers, one message at a time

Both sides share the same processors and the same disk; the bodies are a kilobyte.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter

from bench.echo import BODY
from bench.effort import Effort
from bench.figures import Line, ratio_at_least
from bench.jetstream import SUBJECT, stream
from bench.nodes import folder, pair
from bench.watching import receipts

NUMBERS = ("T13",)
FLYING = 128
TEXT = BODY.decode()


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    ours, raw = effort.of(60, 3), effort.of(15, 1)
    line = Line(
        "T13",
        "durable acknowledged throughput, 128 in flight, 1 KB",
        "/s",
        ratio_at_least(1.5),
        "JetStream R3, sync always",
        note="ours: two fsynced copies, in batches; JetStream: three replicas, each write fsynced",
    )
    with folder() as place:
        async with pair() as (engine, there, _), receipts(engine) as proved, stream(place) as jetstream:

            async def send() -> None:
                (story,) = await engine.send(there.name, TEXT)
                await proved.of(story.id)

            async def publish() -> None:
                await jetstream.publish(SUBJECT, BODY, timeout=30)

            await _a_second(send, 2)
            for _ in effort.rounds():
                line.raw.append([await _a_second(publish, raw)])
                line.ours.append([await _a_second(send, ours)])
    return [line]


async def _a_second(act: Callable[[], Awaitable[None]], each: int) -> float:
    async def call() -> None:
        for _ in range(each):
            await act()

    began = perf_counter()
    await asyncio.gather(*(call() for _ in range(FLYING)))
    return FLYING * each / (perf_counter() - began)
