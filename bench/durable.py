"""T2: one message over P1, on the disk at both ends, proved; against a raw request and two single commits.

ours      send() -> accepted and fsynced -> P1 -> fsynced in the peer's inbox -> receipt opened here
control   a raw request of the same size and way, plus two FULL commits of one such row, one after the other
"""

from collections.abc import Iterable
from time import perf_counter

from bench.commits import Commits
from bench.echo import BODY, SUBJECT, asking, echoing
from bench.effort import Effort
from bench.figures import Line, ratio_at_most
from bench.nodes import folder, pair
from bench.watching import receipts

NUMBERS = ("T2",)
TEXT = BODY.decode()


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    count = effort.of(100, 10)
    line = Line(
        "T2",
        "P1 durable at both ends, idle, 1 KB",
        "ms",
        ratio_at_most(1.6, "≤ 1.6x of the sum"),
        "raw request + two single FULL commits",
    )
    with folder() as place:
        commits = Commits(place)
        async with pair() as (engine, there, _), receipts(engine) as proved, echoing(there):
            client = await asking(engine)
            for _ in effort.rounds():
                line.raw.append([])
                line.ours.append([])
                for _ in range(count):
                    began = perf_counter()
                    await client.request(SUBJECT, BODY, timeout=5)
                    raw_ms = (perf_counter() - began) * 1000
                    line.raw[-1].append(raw_ms + commits.one_ms(BODY) + commits.one_ms(BODY))
                    began = perf_counter()
                    (story,) = await engine.send(there.name, TEXT)
                    line.ours[-1].append((await proved.of(story.id) - began) * 1000)
            await client.close()
        commits.close()
    return [line]
