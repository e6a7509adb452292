"""T14: how many messages a second an outbox accepts, each durable when its caller goes on, from 128 callers at once.

The peer is away, so nothing is measured but acceptance; the control commits one row after another.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter

from bench.commits import Commits
from bench.echo import BODY
from bench.effort import Effort
from bench.figures import Line, ratio_at_least
from bench.nodes import folder, pair
from engine.engine import Engine

NUMBERS = ("T14",)
CALLERS = 128
TEXT = BODY.decode()


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    each, singles = effort.of(40, 4), effort.of(300, 20)
    line = Line("T14", "accepted to outbox, 128 callers, 1 KB", "/s", ratio_at_least(6), "single FULL commits")
    with folder() as place:
        commits = Commits(place)
        async with pair() as (engine, there, _):
            there.kill()
            for _ in effort.rounds():
                took_ms = sum(commits.one_ms(BODY) for _ in range(singles))
                line.raw.append([singles / took_ms * 1000])
                line.ours.append([await _accepted_a_second(engine, there.name, each)])
        commits.close()
    return [line]


async def _accepted_a_second(engine: Engine, to: str, each: int) -> float:
    async def call() -> None:
        for _ in range(each):
            await engine.send(to, TEXT)

    began = perf_counter()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return CALLERS * each / (perf_counter() - began)
