"""T26: five hundred messages a second to a node whose terminal comes and goes: detach, kill-pane, re-attach, take-over.

Sender and receiver are processes of their own, the terminals are panes of a real tmux. Every message that was accepted
must be in the inbox, once.
"""

import asyncio
import shlex
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, Samples, tail_at_most, worst_at_most
from bench.killed import inbox
from bench.needs import program
from bench.nodes import ROOT, environ, pair, soon
from bench.watching import receipts
from engine.engine import Engine
from tests.fleet_tui.pane import Pane

NUMBERS = ("T26",)
A_SECOND = 500
SHOWN = "Messages"
SIZE = (120, 40)
STAY_S = 0.4
TEXT = "x" * 256


async def measure(effort: Effort) -> Iterable[Line]:
    """Three lines of one run a round."""
    program("tmux")
    missed = Line("T26", "detach, kill-pane, re-attach, take-over at 500/s: missed", "messages", worst_at_most(0, ""))
    doubled = Line("T26", "the same: doubled", "messages", worst_at_most(0, ""))
    took = Line("T26", "the same: send() to receipt", "ms", tail_at_most(0.99, 250, "ms"))
    for _ in effort.rounds():
        async with pair() as (engine, there, _), receipts(engine) as proved:
            sending = asyncio.create_task(_sent(engine, there.name, proved.of, effort.of(4_500, 500)))
            await asyncio.to_thread(_terminals, there.home)
            ids, samples = await sending
            await soon(lambda engine=engine: not engine.fleet.mail.waiting, "the outbox to be empty")
            arrived = Counter(await asyncio.to_thread(lambda node=there: list(inbox(node))))
        missed.ours.append([sum(arrived[one] == 0 for one in ids)])
        doubled.ours.append([sum(count > 1 for count in arrived.values())])
        took.ours.append(samples)
    missed.note = f"{len(ids)} messages a round"
    return [missed, doubled, took]


def _terminals(home: Path) -> None:
    """Open, detach, open, kill the pane, open, and take over from a second one."""
    for end in (_detached, _killed, _taken_over):
        pane = _opened(home)
        time.sleep(STAY_S)
        end(pane, home)


def _opened(home: Path) -> Pane:
    command = shlex.join([sys.executable, "-m", "fleet_tui", "--home", str(home)])
    pane = Pane(f"cd {shlex.quote(str(ROOT))}; {command}; echo EXIT $?; read -r _", SIZE, environ("bb"))
    try:
        pane.until(SHOWN)
    except BaseException:
        pane.close()
        raise
    return pane


def _detached(pane: Pane, home: Path) -> None:
    pane.keys("C-z")
    pane.until("EXIT 0")
    pane.close()


def _killed(pane: Pane, home: Path) -> None:
    pane.close()


def _taken_over(pane: Pane, home: Path) -> None:
    other = _opened(home)
    pane.until("taken over")
    pane.close()
    _detached(other, home)


async def _sent(
    engine: Engine, to: str, proved: Callable[[str], Awaitable[float]], count: int
) -> tuple[list[str], Samples]:
    """Start one every two milliseconds; the ids, and how long each took until its receipt."""

    async def one() -> tuple[str, float]:
        began = perf_counter()
        (story,) = await engine.send(to, TEXT)
        return story.id, (await proved(story.id) - began) * 1000

    began, flying = perf_counter(), []
    for at in range(count):
        await asyncio.sleep(max(0.0, began + at / A_SECOND - perf_counter()))
        flying.append(asyncio.create_task(one()))
    found = await asyncio.gather(*flying)
    return [msg_id for msg_id, _ in found], [took_ms for _, took_ms in found]
