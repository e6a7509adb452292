"""A process of few descriptors with an open peer port, for a flood: see `test_descriptors`.

port P    it listens; 128 descriptors        well N      N were met, none was ever missing
now it may have no more than are open  ->    none left N said M      N times none was left, which was said M times
now it may have them all again         ->    let in
"""

import asyncio
import logging
import os
import resource
import sys
from asyncio import constants

from engine.descriptors import Complaints, none_left
from engine.transports.http import conversation
from tests.nodes import LOOPBACK, Inbox, Node

MANY, TIMES = 200, 20


def allowed(count: int) -> None:
    """From now on this process may have so many."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


async def main() -> None:
    """The story above; each line waits for what it tells."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    complaints, times, met = Complaints(), 0, 0
    # Nobody is late: who leaves would leave a descriptor behind.
    conversation.PATIENCE_S = 3_600.0

    def complained(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        nonlocal times
        times += 1
        complaints(loop, context)

    loop, port = asyncio.get_running_loop(), Node(1).port()
    loop.set_exception_handler(complained)
    port.arrived = Inbox()
    await port.rebind((LOOPBACK,))
    admit = port.admit

    def counted(one: object) -> bool:
        nonlocal met
        met += 1
        return admit(one)  # type: ignore[arg-type]

    port.admit = counted  # type: ignore[method-assign]
    allowed(128)
    print("port", port.port, flush=True)
    while met < MANY:
        await asyncio.sleep(0)
    print("well", met, times, flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    constants.ACCEPT_RETRY_DELAY = 0.001  # type: ignore[misc]
    highest = max(map(int, os.listdir("/dev/fd")))
    # A number that is free below the limit would be given out again.
    held = [os.dup(0) for _ in range(highest)]
    allowed(max(*held, highest) + 1)
    print("full", flush=True)
    while times < TIMES:
        await asyncio.sleep(0)
    loop.set_exception_handler(complaints)
    print("none left", times >= TIMES and none_left(), len(said), said[0], flush=True)
    allowed(128)
    while met == MANY:
        await asyncio.sleep(0)
    print("let in", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
