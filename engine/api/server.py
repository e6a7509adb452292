"""The doors of the API (edge): a Unix socket always, a loopback TCP port where it is asked for.

Everything runs on the engine's own loop, so a handler may touch the engine directly. The socket has mode 0600 and
whoever connects must have this node's user id (or be root). The TCP port is guarded by `engine.api.gate`.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import descriptors
from engine.api import gate
from engine.api.faults import not_http, trouble
from engine.api.http import CONNECTIONS, OF_ALL, Connection, Handler, Request, Response
from engine.api.node import Node
from engine.api.routes import app
from engine.errors import Fault, FleetError
from engine.home import API_PORT
from engine.security import peercred

if TYPE_CHECKING:
    from engine.engine import Engine

PORTS_TRIED = 100


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
        self._clients: set[asyncio.Task[Any]] = set()
        self.port: int | None = None

    async def start(self) -> None:
        """Answer from now on. Raises `FleetError` `node.socket` or `node.port` where a door cannot be opened."""
        tcp = None if self._wanted is None else _loopback(self._wanted)
        self.port = tcp.getsockname()[1] if tcp else None
        inner = app(Node(self._engine, str(self._path), self.port, self._origins, self._stop))
        await self._open(_unix(self._path), inner, peercred.ours)
        if tcp and self.port:
            await self._open(tcp, guarded(inner, self.port, self._engine.token), anybody)
        _record(self._engine.home / API_PORT, self.port)

    async def stop(self) -> None:
        """Close the doors and cut whoever is still inside; idempotent."""
        for door in self._doors:
            door.close()
        self._doors.clear()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)
        _record(self._engine.home / API_PORT, None)

    async def _open(self, sock: socket.socket, inner: Handler, welcome: Callable[[socket.socket], bool]) -> None:
        async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
            places, there = descriptors.share(CONNECTIONS, OF_ALL), len(self._clients)
            # As many again are told that it is busy; one that is told has its descriptor until it has asked.
            if not welcome(writer.get_extra_info("socket")) or there > 2 * places:
                writer.transport.abort()
                return
            # Whoever cancels this is `stop`; asyncio 3.11 would call it an error of ours if it got through.
            with suppress(asyncio.CancelledError):
                await Connection(reader, writer, inner, not_http).serve(busy=there if there > places else 0)

        door = await asyncio.start_server(came, sock=sock, backlog=descriptors.AT_ONCE)
        self._doors.append(door)
        descriptors.queued(door.sockets)


def guarded(inner: Handler, port: int, token: str) -> Handler:
    """The API behind the gate of its TCP port."""

    async def answered(request: Request) -> Response:
        refused = gate.refusal(request.headers, port, token)
        return trouble(refused) if refused else await inner(request)

    return answered


def anybody(sock: Any) -> bool:
    """The TCP port asks for a token instead."""
    return True


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
