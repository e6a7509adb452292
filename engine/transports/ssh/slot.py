"""The letter slot: the Unix socket through which a peer that came in by ssh hands us sealed frames (edge).

    connect -> whose process?  another user's: cut off
            -> slips of frames in, an answer or "busy" back, in any order, for as long as it likes

Whoever stands here has signed in to this machine as this user, so little is to be feared; but a program may be broken.
A slip is complete within three seconds or keeps coming, is no larger than a delivery may be, and answers are read.
When all places are taken, whoever was silent the longest makes room. Frames carry their own proof, which the engine
checks.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine import descriptors
from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import CARRIAGE_LIMIT
from engine.security import peercred
from engine.transports.base import Arrivals
from engine.transports.ssh.slip import ANSWER, BUSY, FRAMES, Garbled, SlipReader, packed

# As short as `api.sock`: the run folder's rule for long homes counts on it.
NAME = "in.sock"
# One for each of a hundred peers, and as many again while lines are renewed.
PLACES = 256
# As at the peer port: two of the largest deliveries under way at one time, and a body is no trickle.
ROOM = 2 * CARRIAGE_LIMIT
PATIENCE_S = 3.0
PACE = 64 << 10


class Slot:
    """The socket at `path`. `arrived`: where deliveries go."""

    def __init__(self, path: Path):
        self.path = path
        self.arrived: Arrivals | None = None
        self._listener: asyncio.Server | None = None
        self._open: dict[_Guest, None] = {}
        self._room = ROOM

    async def listen(self, arrived: Arrivals) -> None:
        """Take deliveries. Raises `FleetError` `node.slot` when the socket cannot be opened."""
        self.arrived = arrived
        if self._listener is None:
            loop, once = asyncio.get_running_loop(), descriptors.AT_ONCE
            self._listener = await loop.create_unix_server(lambda: _Guest(self), sock=_bound(self.path), backlog=once)
            descriptors.queued(self._listener.sockets)

    async def close(self) -> None:
        """Take nothing more, and hang up; idempotent."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        for guest in tuple(self._open):
            guest.abort()
        self.path.unlink(missing_ok=True)

    def admit(self, guest: "_Guest") -> None:
        """A place for one more."""
        if len(self._open) >= PLACES:
            next(iter(self._open)).abort()
        self._open[guest] = None

    def heard(self, guest: "_Guest") -> None:
        """It is not the one that was silent the longest."""
        self._open[guest] = self._open.pop(guest, None)

    def left(self, guest: "_Guest") -> None:
        """Its place is free."""
        self._open.pop(guest, None)

    def claim(self, size: int) -> bool:
        """Take from, or give back to, the room for slips that are not complete."""
        if size > self._room:
            return False
        self._room -= size
        return True


class _Guest(asyncio.Protocol):
    """One connection."""

    def __init__(self, slot: Slot):
        self._slot = slot
        self._reader = SlipReader(FRAMES, claim=slot.claim)
        self._transport: asyncio.Transport | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._paced = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._slot.admit(self)
        if not peercred.ours(transport.get_extra_info("socket")):
            return self.abort()
        # What never says anything is no peer; one that did may rest.
        self._reading = _later(PATIENCE_S, self._trickled)
        return None

    def data_received(self, data: bytes) -> None:
        """Bytes."""
        try:
            for slip in self._reader.feed(data):
                self._slot.heard(self)
                self._read()
                self._take(slip.token, slip.data)
        except Garbled:
            return self.abort()
        self._pace()
        return None

    def pause_writing(self) -> None:
        """It does not read its answers."""
        self._writing = self._writing or _later(PATIENCE_S, self.abort)

    def resume_writing(self) -> None:
        """It does again."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._over()

    def abort(self) -> None:
        """Cut it off."""
        self._over()
        if self._transport is not None:
            self._transport.abort()

    def _take(self, token: int, data: bytes | None) -> None:
        arrived = self._slot.arrived
        if data is None or arrived is None or not arrived(data, Channel.SSH, self._way_back(token)):
            self._say(packed(BUSY, token))

    def _way_back(self, token: int) -> Callable[[bytes], None]:
        return lambda data: self._say(packed(ANSWER, token, data))

    def _say(self, slip: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > ROOM:
            self.abort()
        else:
            transport.write(slip)

    def _read(self) -> None:
        """A slip is complete: the next one has its own time."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _pace(self) -> None:
        """While a slip is incomplete it has to grow; between two nothing is expected."""
        if self._reader.partial and self._reading is None:
            self._paced = self._reader.partial
            self._reading = _later(PATIENCE_S, self._trickled)

    def _trickled(self) -> None:
        self._reading = None
        if self._reader.partial - self._paced < PACE * PATIENCE_S:
            return self.abort()
        return self._pace()

    def _over(self) -> None:
        self._read()
        self.resume_writing()
        self._reader.forget()
        self._slot.left(self)


def _later(seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, act)


def _bound(path: Path) -> socket.socket:
    """The socket file, for this user alone. One that is already there is stale: this process holds the home's lock."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        door.bind(str(path))
    except OSError as error:
        door.close()
        why = f"{path}: {error.strerror or error}"
        step = "peers cannot hand us mail over ssh; see who owns that folder"
        raise FleetError("node.slot", "The letter slot cannot open", why, step, Fault.WORLD) from None
    finally:
        os.umask(before)
    return door
