"""Real parts on virtual time: keys, sealers, a core; a disk and channels whose every answer the test decides.

`virtual` runs a story on the simulator's loop. A `Disk` keeps what is submitted in the product's store in memory, and
only when told to; a `Line` holds what was handed to a channel until the test says what became of it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from engine.config import Config
from engine.core import Core
from engine.effects import ApplyRoster, Dismiss, Look, SendDatagram, SendMagic
from engine.evidence.ledger import link
from engine.first import first
from engine.model.channel import Channel, Outcome
from engine.model.records import Record
from engine.model.roster import Address, Member, Roster
from engine.security.identity import Identity
from engine.security.roster import admit, found
from engine.security.seal import Sealer
from engine.state import Me
from engine.store.memory import MemoryStore
from engine.transports.base import Target
from tests.sim.node import SimReader
from tests.sim.virtual import START_MS, VirtualClock, VirtualLoop

KEYS = {name: Identity(name.encode() * 32) for name in "abc"}
A, B, C = (KEYS[name].id for name in "abc")
_numbers = count(1)


def entropy(size: int) -> bytes:
    """Bytes that nobody needs to guess at here, and that never come twice."""
    return next(_numbers).to_bytes(size)


def _founded() -> Roster:
    roster = found(KEYS["a"], "a", "home", START_MS, entropy)
    for name in "bc":
        one = KEYS[name]
        where = (Address("127.0.0.1", 1, 1, 0, 1),)
        roster = admit(roster, KEYS["a"], Member(one.id, name, one.bundle, where), START_MS)
    return roster


ROSTER = _founded()


def sealer(name: str, roster: Roster = ROSTER) -> Sealer:
    """The sealer of one of the three."""
    made = Sealer(KEYS[name], roster.fleet_id, entropy)
    made.trust(roster)
    return made


def virtual(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `story` on virtual time, to its end."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(story())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


class Disk:
    """A store that commits when it is told to. `submitted`: what waits, in order."""

    def __init__(self) -> None:
        self.disk = MemoryStore(link)
        self.submitted: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self.at_once = False

    def submit(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Take these; they are durable once `commit` says so, or at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submitted.append((records, done))
        if self.at_once:
            self.commit()
        return done

    def commit(self, submissions: int | None = None) -> None:
        """Keep the first so many submissions (None: all) and tell whoever waits."""
        kept, self.submitted = self.submitted[:submissions], self.submitted[len(self.submitted[:submissions]) :]
        for records, done in kept:
            self.disk.submit(records)
            self.disk.commit()
            done.set_result(None)

    def fail(self, error: Exception) -> None:
        """The first submission cannot be kept."""
        (_, done), *self.submitted = self.submitted
        done.set_exception(error)


class Line:
    """A channel. `sent`: what was handed over and has no outcome yet, in order."""

    def __init__(self, channel: Channel = Channel.NATS, reason: str | None = None):
        self.channel, self.reason = channel, reason
        self.sent: list[tuple[bytes, asyncio.Future[Outcome]]] = []

    def ready(self, target: Target) -> str | None:
        """Whatever the test says."""
        return self.reason

    async def listen(self, arrived: Any) -> None:
        """Nothing comes this way."""

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """The outcome the test gives, or none within the budget."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.sent.append((data, outcome))
        return await outcome

    def end(self, outcome: Outcome, place: int = 0) -> bytes:
        """One delivery ends so; what it was."""
        data, future = self.sent.pop(place)
        future.set_result(outcome)
        return data

    async def close(self) -> None:
        """Nothing to close."""


class Node:
    """The product's core as node `a`, on a `Disk` and one `Line` a channel; its loop runs. Made on a running loop."""

    def __init__(self, disk: Disk | None = None, lines: Sequence[Line] = ()):
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.disk = disk or Disk()
        self.clock = VirtualClock(loop, 0)
        self.deeds: list[Any] = []
        now = self.clock.now()
        restored = self.disk.disk.open(now.wall_ms)
        me = Me(A, "a", restored.birth.epoch, "test", started_ms=now.wall_ms, started_mono=now.mono)
        kinds: tuple[type, ...] = (ApplyRoster, Dismiss, Look, SendDatagram, SendMagic)
        self.core = Core(
            first(restored, ROSTER, me, Config(), now),
            store=self.disk,
            reader=SimReader(self.disk),  # type: ignore[arg-type]
            sealer=sealer("a"),
            clock=self.clock,
            deeds=dict.fromkeys(kinds, self.deeds.append),
        )
        self.core.hands.transports = {line.channel: line for line in lines}
        self.runner = loop.create_task(self.core.loop.run())
