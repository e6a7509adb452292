"""A process that writes until it is killed, for crash tests: `python doomed.py HOME COUNT`.

Submits COUNT turns, a message of ours and one for us with its stream and a ledger entry in each, two dozen at a time.
Prints `told N` when it was told that turn N is durable, `tick` a hundred times a second while its loop runs, and
`fatal CODE` when the store says that the process must end.
"""

import asyncio
import os
import sys
from pathlib import Path

from engine.config import StoreConfig
from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.model.records import AddEntry, AddOutbox, Record, SetStream
from engine.store.store import Alarms, Store
from tests.engine.store.records import EPOCH, arrival, letter

AT_ONCE = 24


def turn(number: int) -> tuple[Record, ...]:
    """What is kept together."""
    return (
        AddOutbox(letter(number, body=b"%d" % number * 50)),
        arrival(number),
        SetStream("B", EPOCH, number, b""),
        AddEntry(number, "me", "turn", str(number), {}),
    )


def say(text: str) -> None:
    """To whoever watches, at once: what is buffered dies with the process."""
    os.write(1, f"{text}\n".encode())


def fatal(error: FleetError) -> None:
    say(f"fatal {error.code}")
    os._exit(70)


async def write(home: Path, count: int) -> None:
    store = Store(home, link, StoreConfig(ballast_mb=0))
    first = store.open(1).lanes.get("B")
    store.start(Alarms(lambda free_mb: None, lambda: None, fatal))
    done = len(first.open) if first else 0
    turns = iter(range(done + 1, count + 1))

    async def caller() -> None:
        for number in turns:
            await store.submit(turn(number))
            say(f"told {number}")

    async def clock() -> None:
        while True:
            say("tick")
            await asyncio.sleep(0.01)

    say("ready")
    ticking = asyncio.ensure_future(clock())
    await asyncio.gather(*[caller() for _ in range(AT_ONCE)])
    ticking.cancel()
    await asyncio.to_thread(store.close)
    say(f"commits {store.commits}")
    say("finished")


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
