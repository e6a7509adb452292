"""T15: ten thousand messages between two nodes while one or the other is killed with -9, two hundred times at random.

A message counts as accepted once its id was told to the caller. At the end every such id must be in the receiver's
inbox, and none twice. The seed decides who dies and when; what was under way at that moment nobody decides.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.effort import Effort
from bench.figures import Line, worst_at_most
from bench.nodes import Remote, folder, joined, remote, until
from engine.errors import FleetError

NUMBERS = ("T15",)
CALLERS = 8
SEED = 15
ALIVE_S = (0.05, 0.8)
DRAIN_S = 300.0
PAGE = 1_000


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines of one run."""
    messages, kills = effort.of(10_000, 50), effort.of(200, 2)
    lost = Line("T15", f"{messages:,} messages, {kills} random kill -9: lost", "messages", worst_at_most(0, "lost"))
    twice = Line("T15", "the same: taken twice", "messages", worst_at_most(0, "twice"))
    with folder() as place, remote(place / "a", "aa") as frm, remote(place / "b", "bb") as to:
        joined(frm, to)
        accepted = _under_fire(frm, to, messages, kills)
        until(lambda: frm.client.get("/status")["outbox"]["waiting"] == 0, "the outbox to be empty", DRAIN_S)
        arrived = Counter(inbox(to))
        lost.ours.append([sum(arrived[one] == 0 for one in accepted)])
        twice.ours.append([sum(count > 1 for count in arrived.values())])
        lost.note = f"{len(accepted):,} accepted, {sum(arrived.values()):,} in the inbox"
    return [lost, twice]


def _under_fire(frm: Remote, to: Remote, messages: int, kills: int) -> list[str]:
    """Send, and kill meanwhile; the ids that were told."""
    accepted: list[str] = []
    killed = threading.Event()

    def call() -> None:
        while len(accepted) < messages or not killed.is_set():
            try:
                told = frm.client.post("/message", {"to": to.name, "payload": {"body": "x" * 256}}, 5.0)
            except FleetError:
                time.sleep(0.02)
            else:
                accepted.append(told["id"])
                # Once there are enough, the rest is only there to be under way when the last kills come.
                time.sleep(0.05 if len(accepted) > messages else 0.0)

    with ThreadPoolExecutor(CALLERS) as callers:
        futures = [callers.submit(call) for _ in range(CALLERS)]
        _kill(random.Random(SEED), (frm, to), kills)
        killed.set()
        for future in futures:
            future.result()
    return accepted


def _kill(chance: random.Random, nodes: tuple[Remote, Remote], kills: int) -> None:
    for _ in range(kills):
        time.sleep(chance.uniform(*ALIVE_S))
        for victim in chance.choice(((nodes[0],), (nodes[1],), nodes)):
            victim.kill()
            victim.begin()
        for node in nodes:
            node.answers()


def inbox(node: Remote) -> Iterator[str]:
    """The ids in a node's inbox, oldest first."""
    after = "0"  # no letter has this id, so it stands before the first
    while letters := node.client.get("/inbox", limit=PAGE, after=after):
        yield from (letter["id"] for letter in letters)
        after = letters[-1]["id"]
