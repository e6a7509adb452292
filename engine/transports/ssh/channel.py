"""P5: into the peer's letter slot, over the one ssh connection to its machine (edge).

    deliver --slip of frames--> CONFIRMED  the peer's own frames came back
                                REFUSED    it said that it is busy
                                LOST       the connection dropped, nobody at the socket, our keys refused, a host key
                                           that the peer did not announce (all hard, the last pinned), no voucher of
                                           the peer's there; no answer in time
                                BARRED     no sshd known, our keys were refused a moment ago, too large

A delivery is a slip on a stream that is kept (0.4 ms, where a new session would cost 5 and a shell far more); answers
come back under their tokens in any order. A kept stream may have ended a moment ago: what it loses goes once more over
a new one, because a message that comes twice takes effect once. It never starts a node: `start` does, when asked.
"""

import asyncio
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.base import Arrivals, Target
from engine.transports.ssh.faults import Dropped, ending, lost
from engine.transports.ssh.lines import SshLines
from engine.transports.ssh.slip import ANSWER, BUSY, FRAMES, TOKENS, Garbled, SlipReader, packed
from engine.transports.ssh.slot import Slot
from engine.transports.ssh.start import start_node

if TYPE_CHECKING:
    import asyncssh

    from engine.transports.ssh.wire import Wire

# What a peer has not read yet, beyond which more only waits for its deadline.
BACKLOG = 2 * CARRIAGE_LIMIT

_BUSY = Outcome(Verdict.REFUSED, "the peer is busy")


class Ssh:
    """Channel P5. `lines`: this node's connections; `slot`: where the Unix socket of its own lies."""

    channel = Channel.SSH

    def __init__(self, lines: SshLines, slot: Path):
        self._lines, self._slot = lines, Slot(slot)
        self._streams: dict[str, _Stream] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._closed = False

    def ready(self, target: Target) -> str | None:
        """Why not: no sshd known, none of our keys taken, no slot there."""
        if why := self._lines.why_not(target):
            return why
        return None if target.ways.ssh and target.ways.ssh.socket else "it takes no mail over ssh"

    def forgive(self, peer: str) -> None:
        """A person asks: whatever refused us is tried again."""
        self._lines.forgive(peer)

    async def listen(self, arrived: Arrivals) -> None:
        """Open the letter slot. Raises `FleetError` `node.slot`."""
        self._closed = False
        await self._slot.listen(arrived)

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Push it through the peer's slot; see the module for what each ending means."""
        if why := "closed" if self._closed else self.ready(target):
            return Outcome(Verdict.BARRED, why, hard=True)
        if len(data) > CARRIAGE_LIMIT:
            return Outcome(Verdict.BARRED, f"larger than {CARRIAGE_LIMIT >> 20} MiB", hard=True)
        try:
            async with asyncio.timeout(budget_s):
                outcome, stream = await self._push(data, target)
                if stream.guarded:
                    self._lines.proofs.heard(target, stream.way, outcome.reply)
                return outcome
        except OSError as error:
            return ending(error, budget_s)

    async def start_node(self, target: Target, budget_s: float) -> Outcome:
        """Start the peer's node with the command it announced, if it does not run: see `start`. Never part of a
        delivery."""
        return await start_node(self._lines, target, budget_s)

    async def close(self) -> None:
        """Close the slot and hang up the streams; the connections are their owner's."""
        self._closed = True
        await self._slot.close()
        for stream in self._streams.values():
            stream.end("we hung up")
        self._streams.clear()

    async def _push(self, data: bytes, target: Target) -> "tuple[Outcome, _Stream]":
        """What came of it, over which stream."""
        if (stream := self._kept(target)) is not None:
            try:
                return await stream.ask(data), stream
            except ConnectionError:
                if self._closed:
                    raise
        stream = await self._stream(target)
        return await stream.ask(data), stream

    def _kept(self, target: Target) -> "_Stream | None":
        stream = self._streams.get(target.id)
        return stream if stream is not None and stream.alive and stream.way == target.ways.ssh else None

    async def _stream(self, target: Target) -> "_Stream":
        async with self._opening.setdefault(target.id, asyncio.Lock()):
            if (kept := self._kept(target)) is not None:
                return kept
            if (old := self._streams.pop(target.id, None)) is not None:
                old.end("its announcement changed")
            guarded = await self._lines.guarded(target)
            _, stream = await self._lines.session(target, _opened)
            stream.guarded = guarded
            self._streams[target.id] = stream
            return stream


async def _opened(wire: "Wire") -> "_Stream":
    stream = _Stream(wire)
    await stream.open()
    return stream


class _Stream:
    """One stream to one peer's slot. `alive`: fit for a question. `guarded`: nobody but the user we sign in as can be
    at its other end."""

    def __init__(self, wire: "Wire"):
        self.way, self._wire = wire.way, wire
        self.alive, self.guarded = True, False
        self._channel: asyncssh.SSHUNIXChannel[bytes] | None = None
        self._reader = SlipReader(ANSWER, BUSY)
        self._flying: dict[int, asyncio.Future[Outcome]] = {}
        self._tokens = itertools.count(1)

    async def open(self) -> None:
        """Reach the slot. Raises `Broken`."""
        self._channel = await self._wire.slot(self.way.socket, self._heard, self._ended)

    async def ask(self, data: bytes) -> Outcome:
        """One delivery, one answer. Raises `Broken` when the stream ends first."""
        channel = self._channel
        if channel is None or not self.alive:
            raise Dropped
        if channel.get_write_buffer_size() > BACKLOG:
            return Outcome(Verdict.BARRED, "the peer does not read", hard=True)
        token = next(self._tokens) % TOKENS
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._flying[token] = answer
        try:
            channel.write(packed(FRAMES, token, data))
            self._wire.hasten()
            with self._wire.awaited():
                return await answer
        finally:
            del self._flying[token]

    def end(self, why: str) -> None:
        """Hang up; whoever waits is told."""
        if not self.alive:
            return
        self.alive = False
        for answer in self._flying.values():
            if not answer.done():
                answer.set_exception(lost(why))
                answer.exception()  # seen: nobody may be left to look at it
        if self._channel is not None:
            self._channel.abort()

    def _heard(self, data: bytes) -> None:
        try:
            for slip in self._reader.feed(data):
                answer = self._flying.get(slip.token)
                if answer is not None and not answer.done():
                    told = Outcome(Verdict.CONFIRMED, reply=slip.data or b"") if slip.kind == ANSWER else _BUSY
                    answer.set_result(told)
        except Garbled:
            self.end("it does not speak our protocol")

    def _ended(self) -> None:
        self.end("the peer hung up" if self._wire.alive else "the connection to its sshd dropped")
