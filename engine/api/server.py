"""The doors of the API (edge): a Unix socket always, a loopback TCP port where it is asked for.

Everything runs on the engine's own loop, so a handler may touch the engine directly. The socket has mode 0600 and
whoever connects must have this node's user id (or be root, who could read the key anyway). The TCP port is guarded by
`engine.api.gate`. A client that is slow to say what it wants, or does not read what it asked for, is cut off; nothing
here ever waits for one.
"""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from engine.api import gate
from engine.api.node import Node
from engine.api.routes import app, trouble
from engine.errors import Fault, FleetError

if TYPE_CHECKING:
    from engine.engine import Engine

# A request's head, the start of the next one on a kept connection, and a stalled reader, each get this long.
PATIENCE_S = 10.0
# Screens, scripts and dashboards of one person; each connection costs a descriptor.
CONNECTIONS = 256
HEAD_LIMIT = 16_384
PORTS_TRIED = 100
PORT_FILE = "api.port"


class Server:
    """The API of one engine, from `start` to `stop`. `port`: the TCP port, or None."""

    def __init__(
        self,
        engine: "Engine",
        socket_path: Path,
        tcp_port: int | None = None,
        origins: dict[str, str] | None = None,
        stop: Callable[[bool], None] | None = None,
    ) -> None:
        """`tcp_port`: None for no TCP, else the first port to try. `origins`: where each setting came from. `stop`:
        asks the process to end, True for at once; without it the engine is asked."""
        self._engine = engine
        self._origins = origins or {}
        self._stop = stop or (lambda now: engine.request_stop())
        self._path = socket_path
        self._wanted = tcp_port
        self._doors: list[asyncio.Server] = []
        self._state = ServerState()
        self.port: int | None = None

    async def start(self) -> None:
        """Answer from now on. Raises `FleetError` `node.socket` or `node.port` where a door cannot be opened."""
        tcp = None if self._wanted is None else _loopback(self._wanted)
        self.port = tcp.getsockname()[1] if tcp else None
        inner = app(Node(self._engine, str(self._path), self.port, self._origins, self._stop))
        await self._open(_unix(self._path), inner, LocalConnection)
        if tcp and self.port:
            await self._open(tcp, Guarded(inner, self.port, self._engine.token), Connection)
        _record(self._engine.home / PORT_FILE, self.port)

    async def stop(self) -> None:
        """Close the doors and cut whoever is still inside; idempotent."""
        for door in self._doors:
            door.close()
        self._doors.clear()
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            if connection.transport:
                connection.transport.close()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)
        _record(self._engine.home / PORT_FILE, None)

    async def _open(self, sock: socket.socket, inner: ASGIApp, connection: type["Connection"]) -> None:
        config = Config(
            inner,
            http=connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEAD_LIMIT,
        )
        config.load()
        loop = asyncio.get_running_loop()
        door = await loop.create_server(lambda: connection(config, self._state, {}, loop), sock=sock)
        self._doors.append(door)


class Connection(H11Protocol):
    """One client, with a limit on its patience and ours."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Greet, and wait for a request only so long."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the client."""
        super().connection_lost(exc)
        for timer in (self._head, self._stall):
            if timer:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: once its head is whole, the head timer is over."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        elif self._head:
            self._head.cancel()
            self._head = None

    def pause_writing(self) -> None:
        """The client does not read: it gets this long to begin again."""
        super().pause_writing()
        self._stall = self.loop.call_later(PATIENCE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._stall:
            self._stall.cancel()

    def _await_head(self) -> None:
        if not self._head:
            self._head = self.loop.call_later(PATIENCE_S, self.transport.abort)


class LocalConnection(Connection):
    """A client of the Unix socket: one of our own user, or root."""

    def connection_made(self, transport: Any) -> None:
        """Cut off anybody else before a byte is read."""
        if peer_uid(transport.get_extra_info("socket")) not in (os.getuid(), 0):
            transport.abort()
        super().connection_made(transport)


class Guarded:
    """The application behind the gate of the TCP port."""

    def __init__(self, inner: ASGIApp, port: int, token: str) -> None:
        self._inner = inner
        self._port = port
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        refused = gate.refusal(scope["headers"], self._port, self._token)
        await (trouble(refused) if refused else self._inner)(scope, receive, send)


def peer_uid(sock: Any) -> int:
    """The user id of the process at the other end of a Unix socket."""
    return PEER_UID.get(sys.platform, _linux_uid)(sock)


def _linux_uid(sock: Any) -> int:
    """unix(7), SO_PEERCRED: pid, uid, gid."""
    return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])


def _macos_uid(sock: Any) -> int:
    """unix(4), LOCAL_PEERCRED (1) at level 0: a `struct xucred`, which begins with a version and the uid."""
    return int(struct.unpack_from("2I", sock.getsockopt(0, 1, 76))[1])


PEER_UID: dict[str, Callable[[Any], int]] = {"linux": _linux_uid, "darwin": _macos_uid}


def _unix(path: Path) -> socket.socket:
    """The socket file. One that is already there is stale: this process holds the home's lock."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        door.bind(str(path))
    except OSError as error:
        door.close()
        raise _closed("node.socket", f"{path}: {error.strerror or error}", "see who owns that folder") from None
    finally:
        os.umask(before)
    return door


def _loopback(first: int) -> socket.socket:
    """The first free loopback port from `first` on."""
    for port in range(first, first + PORTS_TRIED) if first else (0,):
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError, OverflowError):
            door.bind(("127.0.0.1", port))
            door.listen(0)
            return door
        door.close()
    last = first + PORTS_TRIED - 1
    raise _closed("node.port", f"127.0.0.1:{first} to {last} are all taken", "set `api.tcp_port` to another")


def _closed(code: str, detail: str, next_step: str) -> FleetError:
    return FleetError(code, "The control API cannot open", detail, next_step, Fault.WORLD)


def _record(path: Path, port: int | None) -> None:
    """`<home>/api.port`, for scripts: there exactly while the port answers."""
    with suppress(OSError):
        path.write_text(f"{port}\n") if port else path.unlink(missing_ok=True)
