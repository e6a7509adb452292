"""T9 and T10: our own broker is killed with twenty messages on their way.

    T9    from the kill until the last of the twenty is proved (over whatever channel)
    T10   from the kill until P1 to the peer is HEALTHY again

The control is twenty raw requests in flight over the same broker in the same moment, each asked again until it is
answered: nats-py alone, with the options it comes with.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from time import perf_counter

import nats.errors
from nats.aio.client import Client

from bench.echo import BODY, SUBJECT, asking, echoing
from bench.effort import Effort
from bench.figures import Line, worst_at_most
from bench.nodes import healthy, pair, soon
from bench.watching import receipts
from engine.engine import Engine
from engine.model.channel import Channel, ChannelState

NUMBERS = ("T9", "T10")
FLYING = 20
TEXT = BODY.decode()
CALM_S = 1.0
# Turns of the loop after which what was sent is on its way to the broker.
TURNS = 4


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines, of the same kills."""
    proved = Line("T9", "broker kill -9, 20 in flight: the last is proved", "ms", worst_at_most(50, "ms"), "nats-py")
    back = Line("T10", "own broker kill -9 to P1 HEALTHY", "ms", worst_at_most(250, "ms"))
    unproved: list[int] = []
    async with pair() as (engine, there, peer), receipts(engine) as found, echoing(there):
        client = await asking(engine)
        # Five rounds: a broker that dies more often in a minute is held back, which is another story.
        for _ in effort.rounds(5):
            await asyncio.sleep(CALM_S)
            stories = await asyncio.gather(*(engine.send(there.name, TEXT) for _ in range(FLYING)))
            ids = [story.id for (story,) in stories]
            raw = [asyncio.create_task(_asked(client)) for _ in range(FLYING)]
            for _ in range(TURNS):
                await asyncio.sleep(0)
            unproved.append(sum(one not in found.at for one in ids))
            os.kill(engine.fleet.broker.pid, signal.SIGKILL)
            killed = perf_counter()
            watch = asyncio.create_task(_healthy_again(engine, peer, there.name, killed))
            last = max(await asyncio.gather(*(found.of(one) for one in ids)))
            proved.ours.append([max(0.0, last - killed) * 1000])
            back.ours.append([(await watch - killed) * 1000])
            proved.raw.append([(max(await asyncio.gather(*raw)) - killed) * 1000])
            await healthy(engine, peer)
        await client.close()
    proved.note = f"not yet proved at the kill: {', '.join(map(str, unproved))} of {FLYING}"
    return [proved, back]


async def _asked(client: Client) -> float:
    """One raw request, until it is answered; when it was."""
    while True:
        try:
            await client.request(SUBJECT, BODY, timeout=1)
        except (nats.errors.Error, OSError, TimeoutError):
            await asyncio.sleep(0.01)
        else:
            return perf_counter()


async def _healthy_again(engine: Engine, peer: str, name: str, killed: float) -> float:
    """When P1 was HEALTHY by an answer that came after the kill. A probe asks for it, lest nobody noticed the kill."""
    await engine.probe(name, Channel.NATS)

    def proved() -> bool:
        health = engine.fleet.health(peer, Channel.NATS)
        return health.state is ChannelState.HEALTHY and health.ok_at is not None and health.ok_at > killed

    await soon(proved, "P1 to be healthy again")
    return perf_counter()
