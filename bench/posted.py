"""T3: a kilobyte over P2, sealed, taken through the peer's loop and acknowledged, against a raw httpx POST.

The control asks the same server for the least it can answer: a POST of the same size, TLS and all, whose content type
is refused once the whole body was read. Both keep their connection.
"""

from collections.abc import Iterable
from time import perf_counter

import httpx

from bench.echo import BODY
from bench.effort import Effort
from bench.figures import Line, ratio_at_most
from bench.nodes import pair
from bench.sealed import Pulses
from engine.model.channel import Channel

NUMBERS = ("T3",)
REFUSED = 415


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    count = effort.of(300, 20)
    line = Line("T3", "P2 sealed and acknowledged, 1 KB", "ms", ratio_at_most(1.5), "raw httpx POST, same server")
    async with pair() as (engine, _, peer), httpx.AsyncClient(verify=False) as client:
        port = next(at.http for at in engine.fleet.addresses_of(peer) if at.http)
        url = f"https://127.0.0.1:{port}/deliver"
        pulses = Pulses(engine, peer, Channel.HTTP)
        await pulses.one_ms()
        for _ in effort.rounds():
            line.raw.append([])
            line.ours.append([])
            for _ in range(count):
                began = perf_counter()
                answer = await client.post(url, content=BODY, headers={"Content-Type": "text/plain"})
                line.raw[-1].append((perf_counter() - began) * 1000)
                assert answer.status_code == REFUSED, answer.status_code
                line.ours[-1].append(await pulses.one_ms())
        pulses.close()
        line.note = "; ".join(pulses.lost)
    return [line]
