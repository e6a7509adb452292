"""Carriers: one a (peer, channel), where single envelopes become batches (edge).

What is asked for in one breath leaves at its end. While four batches are on their way the others gather and leave
together, up to 128 and half a megabyte, so that a slow path gets fewer and larger batches instead of a longer queue.
What is urgent, and the fleet's own pulses, leave before what else gathered. What was acknowledged while it waited is
not sent at all. Each try is sealed anew: its tag is its own.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from engine.effects import Deliver
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import KINDS, Kind
from engine.signals import Tried

FLYING_LIMIT = 4
BATCH_BYTES = 512 * 1024
# Of what waits for a path that does not move, only so much is kept: the rest has other channels and its next cascade.
WAITING_LIMIT = 4_096

Carry = Callable[[bytes, float], Awaitable[Outcome]]
Seal = Callable[[Deliver], bytes | None]
Done = Callable[[Tried, bytes], None]


class Carrier:
    """Gathers, seals and hands over; tells what each batch came to."""

    def __init__(self, peer: str, channel: Channel, batch: int, seal: Seal, carry: Carry, done: Done):
        self.peer, self.channel, self._batch = peer, channel, batch
        self._seal, self._carry, self._done = seal, carry, done
        self._first: deque[Deliver] = deque(maxlen=WAITING_LIMIT)
        self._then: deque[Deliver] = deque(maxlen=WAITING_LIMIT)
        self._flying: set[asyncio.Task[None]] = set()

    def take(self, delivery: Deliver) -> None:
        """Carry this envelope, with what else is asked for before `leave`."""
        envelope = delivery.envelope
        first = envelope.urgency.pressing or not KINDS[envelope.kind].durable
        (self._first if first else self._then).append(delivery)

    @property
    def _waits(self) -> bool:
        return bool(self._first or self._then)

    def stop(self) -> None:
        """Forget what waits and break off what flies."""
        self._first.clear()
        self._then.clear()
        for task in self._flying:
            task.cancel()

    def leave(self) -> None:
        """The breath is over: what was taken leaves, as far as a batch may."""
        while self._waits and len(self._flying) < FLYING_LIMIT:
            deliveries, frames = self._gathered()
            if not frames:
                continue
            task = asyncio.get_running_loop().create_task(self._try(deliveries, frames))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _gathered(self) -> tuple[list[Deliver], list[bytes]]:
        deliveries: list[Deliver] = []
        frames: list[bytes] = []
        size = 0
        while self._waits and len(frames) < self._batch and size < BATCH_BYTES:
            delivery = (self._first or self._then).popleft()
            frame = self._seal(delivery)
            if frame is not None:
                deliveries.append(delivery)
                frames.append(frame)
                size += len(frame)
        return deliveries, frames

    async def _try(self, deliveries: list[Deliver], frames: list[bytes]) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        budget_s = max(delivery.budget_s for delivery in deliveries)
        outcome = await self._carry(b"".join(frames) if len(frames) > 1 else frames[0], budget_s)
        numbers = tuple(number for one in deliveries for number in one.numbers)
        took_ms = (clock() - began) * 1000
        owed = any(one.envelope.kind is not Kind.RECEIPT for one in deliveries)
        heard = msgspec.structs.replace(outcome, reply=b"")
        pings = tuple(one.envelope.msg_id for one in deliveries if one.envelope.kind is Kind.PING)
        self._done(Tried(self.peer, self.channel, numbers, heard, took_ms, not numbers, owed, pings), outcome.reply)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self.leave()


NO_TRANSPORT = Outcome(Verdict.BARRED, "this channel is not set up", hard=True)
