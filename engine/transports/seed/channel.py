"""P4: leave the sealed frames as a file in the peer's seed folder, over the ssh connection to its machine (edge).

    deliver --<ulid>.seed.part: write, fsync--rename to <ulid>.seed-->
        LANDED   it lies there, on its disk
        REFUSED  its disk is full (hard)
        LOST     the folder is missing or read-only, no voucher of the peer's in it, and all that ssh may end with
                 (hard); too slow
        BARRED   no sshd known, too large

It needs the machine and not the node: what lies there is taken when the node comes back. So nothing comes back this
way, and the peer's receipt, which names what came over P4, is the only proof. The session is kept while it is used.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.signals import Signal
from engine.transports.base import Arrivals, Target
from engine.transports.seed.bed import SUFFIX, Seedbed
from engine.transports.ssh.faults import Dropped, ending
from engine.transports.ssh.lines import SshLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.transports.ssh.files import Files
    from engine.transports.ssh.wire import Wire

# A session is a process on the peer's machine: of a hundred peers that only probe now and then none keeps one there.
IDLE_S = 20.0

_UNSYNCED = "its server cannot fsync: safe from a crash of its node, not of its machine"


class Seed:
    """Channel P4. `lines`: this node's connections; `folder`: where its own seeds arrive; `post`: hears of what lay
    there and was not taken."""

    channel = Channel.SEED

    def __init__(self, lines: SshLines, folder: Path, post: "Callable[[Signal], None]"):
        self._lines, self._bed = lines, Seedbed(folder, post)
        self._clock = SystemClock()
        self._sessions: dict[str, _Session] = {}
        self._flying: set[asyncio.Timeout] = set()
        self._opening: dict[str, asyncio.Lock] = {}
        self._closed = False

    def ready(self, target: Target) -> str | None:
        """Why not: no sshd known, none of our keys taken, no folder there."""
        if why := self._lines.why_not(target):
            return why
        return None if target.ways.ssh and target.ways.ssh.seeds else "it takes no seeds"

    def forgive(self, peer: str) -> None:
        """A person asks: whatever refused us is tried again."""
        self._lines.forgive(peer)

    async def listen(self, arrived: Arrivals) -> None:
        """Take what lies in our own folder, and what comes."""
        self._closed = False
        await self._bed.open(arrived)

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Leave it in the peer's folder; see the module for what each ending means."""
        if why := "closed" if self._closed else self.ready(target):
            return Outcome(Verdict.BARRED, why, hard=True)
        if len(data) > CARRIAGE_LIMIT:
            return Outcome(Verdict.BARRED, f"larger than {CARRIAGE_LIMIT >> 20} MiB", hard=True)
        name = self._clock.new_id(self._clock.now()) + SUFFIX
        deadline = asyncio.timeout(budget_s)
        self._flying.add(deadline)
        try:
            async with deadline:
                synced = await self._put(name, data, target)
        except OSError as error:
            return Outcome(Verdict.LOST, "closed", hard=True) if self._closed else ending(error, budget_s)
        finally:
            self._flying.discard(deadline)
        return Outcome(Verdict.LANDED, "" if synced else _UNSYNCED)

    async def close(self) -> None:
        """Take nothing more, and end the sessions; the connections are their owner's."""
        self._closed = True
        await self._bed.close()
        for deadline in self._flying:
            deadline.reschedule(0.0)
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    async def _put(self, name: str, data: bytes, target: Target) -> bool:
        if (kept := self._kept(target)) is not None:
            try:
                return await kept.put(name, data)
            except Dropped:
                if self._closed:
                    raise
        return await (await self._session(target)).put(name, data)

    def _kept(self, target: Target) -> "_Session | None":
        session = self._sessions.get(target.id)
        return session if session is not None and session.alive and session.wire.way == target.ways.ssh else None

    async def _session(self, target: Target) -> "_Session":
        async with self._opening.setdefault(target.id, asyncio.Lock()):
            if (kept := self._kept(target)) is not None:
                return kept
            if (old := self._sessions.pop(target.id, None)) is not None:
                old.end()
            wire, files = await self._lines.session(target, lambda wire: wire.files())
            try:
                with wire.awaited():
                    await self._lines.prove(target, files)
            except BaseException:
                files.close()
                self._lines.release(wire)
                raise
            self._sessions[target.id] = session = _Session(wire, files, lambda: self._lines.release(wire))
            return session


class _Session:
    """One SFTP session with one peer. `alive`: fit for another file; `busy`: files under way."""

    def __init__(self, wire: "Wire", files: "Files", release: "Callable[[], None]"):
        self.wire, self._files, self._release = wire, files, release
        self.busy, self._ended = 0, False
        self._idle: asyncio.TimerHandle | None = None

    @property
    def alive(self) -> bool:
        return not self._ended and self.wire.alive

    async def put(self, name: str, data: bytes) -> bool:
        """Leave a file; whether it is synced. Raises `Broken`."""
        way = self.wire.way
        self.busy += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            with self.wire.awaited():
                return await self._files.put(way.seeds, name, data)
        except (Dropped, asyncio.CancelledError):
            # Somebody stopped waiting: what is half done there ends with its session.
            self.end()
            raise
        finally:
            self.busy -= 1
            if not self.busy and not self._ended:
                self._idle = asyncio.get_running_loop().call_later(IDLE_S, self.end)

    def end(self) -> None:
        """End it; idempotent."""
        if self._ended:
            return
        self._ended = True
        if self._idle is not None:
            self._idle.cancel()
        self._files.close()
        self._release()
