"""The ssh connections of this node: one to a peer, kept, and shared by all that goes over ssh (edge).

    line(target) -> kept and alive?  that one
                    else dial the peer's hosts, staggered, with the host keys it announced -> Wire
                      wrong key   WrongKey: an alarm, nothing was sent
                      no entry    NoEntry: for some minutes nobody knocks again, or its sshd would shut us out

A peer's own word, in its authenticated heartbeat, is the only source of host keys; that the sshd is its own is proved
before anything is carried there (`proofs`). A connection that was dialled by other words than those in force is hung
up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from engine.config import SshConfig
from engine.model.ways import SshWay
from engine.transports import staggered
from engine.transports.base import Target
from engine.transports.ssh import voucher
from engine.transports.ssh.faults import Broken, NoEntry, NoRoom, barred, lost
from engine.transports.ssh.proofs import Proofs
from engine.transports.staggered import Place

if TYPE_CHECKING:
    from engine.transports.ssh.files import Files
    from engine.transports.ssh.wire import Wire

# sshd counts refusals and shuts out whoever knocks too often (PerSourcePenalties).
REFUSED_S = 300.0
CLOSE_S = 1.0
UNPROVED = "nothing there proves that it is its own sshd"

T = TypeVar("T")


class SshLines:
    """Dials, keeps and shares; `config` is the section `ssh`. `proofs`: which sshd is known to be whose."""

    def __init__(self, config: SshConfig, proofs: Proofs | None = None):
        self._config = config
        self.proofs = proofs or Proofs()
        self._wires: dict[str, Wire] = {}
        self._extra: set[Wire] = set()
        self._good: dict[str, Place] = {}
        self._dialling: dict[str, asyncio.Lock] = {}
        self._refused: dict[str, tuple[SshWay, float]] = {}

    def why_not(self, target: Target) -> str | None:
        """Why this peer cannot be called, in six words or fewer."""
        way = target.ways.ssh
        if not self._config.enabled:
            return "ssh is switched off here"
        if way is None or not way.host_keys:
            return "it told of no sshd"
        if not _places(target, way):
            return "no address known"
        if self._is_refused(target.id, way):
            return "its sshd refuses our keys"
        return None

    def forgive(self, peer: str) -> None:
        """Knock again although it refused us: a person says so."""
        self._refused.pop(peer, None)

    async def line(self, target: Target) -> "Wire":
        """The connection to the peer, dialled if there is none. Raises `ConnectionError` as `faults` has it."""
        async with self._dialling.setdefault(target.id, asyncio.Lock()):
            wire = self._wires.get(target.id)
            if wire is not None and wire.alive and wire.way == target.ways.ssh:
                return wire
            if wire is not None:
                del self._wires[target.id]
                wire.hang_up()
            self._wires[target.id] = wire = await self._dial(target)
            return wire

    async def session(self, target: Target, begin: "Callable[[Wire], Awaitable[T]]") -> "tuple[Wire, T]":
        """Begin a session on the kept connection, or once on another where its sshd allows no more on one; `release`
        that one afterwards."""
        wire = await self.line(target)
        try:
            return wire, await begin(wire)
        except NoRoom:
            more = await self._dial(target)
            self._extra.add(more)
            try:
                return more, await begin(more)
            except BaseException:
                self.release(more)
                raise

    async def prove(self, target: Target, files: "Files") -> None:
        """Nothing is carried before this: the peer's own voucher lies in the folder that it announced. Found once, it
        is remembered. Raises `Broken`."""
        way = target.ways.ssh
        if way is None or self.proofs.vouched(target):
            return
        found = await files.kept(way.seeds, voucher.NAME, voucher.MODE, voucher.SIZE) if way.seeds else None
        if found is None or not voucher.holds(target, way, found):
            raise lost(UNPROVED)
        self.proofs.vouch(target, way)

    async def guarded(self, target: Target) -> bool:
        """Proved, and whether nobody but the user we sign in as can be at the peer's socket. Raises `Broken`."""
        way = target.ways.ssh
        if way is None or self.proofs.answered(target):
            return True
        try:
            wire, files = await self.session(target, lambda wire: wire.files())
            try:
                with wire.awaited():
                    await self.prove(target, files)
                    return await files.guards(way.socket)
            finally:
                files.close()
                self.release(wire)
        except Broken:
            if self.proofs.vouched(target):
                return False
            raise

    def release(self, wire: "Wire") -> None:
        """Hang up a connection that was opened for one session; the kept one stays."""
        if wire in self._extra:
            self._extra.discard(wire)
            wire.hang_up()

    async def close(self) -> None:
        """Hang up everything; idempotent."""
        wires = [*self._wires.values(), *self._extra]
        self._wires.clear()
        self._extra.clear()
        for wire in wires:
            wire.hang_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(*(wire.closed() for wire in wires))

    async def _dial(self, target: Target) -> "Wire":
        if why := self.why_not(target):
            raise barred(why)
        way = target.ways.ssh
        assert way is not None  # `why_not` has said so
        # Not on the loop, which would stand still for a third of a second.
        wires: Any = await asyncio.to_thread(import_module, "engine.transports.ssh.wire")
        places = _places(target, way)
        if (good := self._good.get(target.id)) in places:
            places = [good, *(one for one in places if one != good)]
        try:
            wire: Wire = await staggered.first(
                places, lambda place: wires.dial(place, way, self._config), wires.Wire.hang_up
            )
        except NoEntry:
            self._refused[target.id] = way, asyncio.get_running_loop().time() + REFUSED_S
            raise
        self._good[target.id] = wire.place
        return wire

    def _is_refused(self, peer: str, way: SshWay) -> bool:
        known, until = self._refused.get(peer, (None, 0.0))
        return known == way and asyncio.get_running_loop().time() < until


def _places(target: Target, way: SshWay) -> list[Place]:
    return list(dict.fromkeys((at.host, way.port) for at in target.addresses if at.host and way.port))
