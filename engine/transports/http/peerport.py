"""The peer port: the one door of a node that strangers can knock at (edge).

    POST /deliver   sealed frames in, sealed frames back; 403 when none of them could be opened, 503 when the node is
                    too busy to take them
    GET  /health    {"id", "version"}, and no more
    POST /join      only while an invitation is open

TLS with the node's own certificate, on loopback until told otherwise. Nothing is trusted here: frames carry their own
proof and the engine checks it. What a stranger can cost is bounded instead: so many connections, so many bytes of
unfinished bodies, so many seconds (`conversation`). When their places are taken, the connection that has waited longest
without earning an answer makes room for the next; those that have earned one keep theirs.
"""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path

import msgspec

from engine import descriptors
from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.base import Arrivals
from engine.transports.http.conversation import JSON, OCTETS, Answer, Conversation, Question
from engine.transports.http.tunnel import answering

LOOPBACK = "127.0.0.1"
# Four connections for each of a hundred peers and room for strangers; never more than half of all descriptors.
PLACES, OF_ALL = 512, 2
# Of these, connections that have not earned an answer yet: 60 KiB each while they are at it.
STRANGERS, OF_ALL_THEIRS = 128, 8
# Bytes of bodies that are not complete: two of the largest from honest peers at one time, and never more of anybody's.
ROOM = 2 * CARRIAGE_LIMIT
JOIN_LIMIT = 64 << 10
_REACH = 64
# A port of our own is asked for so often, so far apart, before it is given up.
_REGAINED, _REGAIN_S = 10, 0.02

Joining = Callable[[bytes], Awaitable[bytes]]
Say = Callable[[Answer], None]


class PeerPort:
    """The listener. `port`: where it listens (0: nowhere yet). `arrived`: where deliveries go; without it they are
    refused as busy. `join`: answers a joiner's bytes while an invitation is open, else None; its `FleetError` becomes a
    403."""

    def __init__(self, me: str, version: str, cert: Path, key: Path, port: int):
        self.context = answering(cert, key)
        self.port, self.hosts = 0, ()
        self.arrived: Arrivals | None = None
        self.join: Joining | None = None
        self._wanted = port
        self._health = Answer(HTTPStatus.OK, msgspec.json.encode({"id": me, "version": version}), JSON)
        self._listeners: list[asyncio.Server] = []
        self._open: dict[Conversation, None] = {}
        self._strangers: dict[Conversation, None] = {}
        self._room = ROOM
        self._joining: set[asyncio.Task[None]] = set()

    hosts: tuple[str, ...]

    async def rebind(self, hosts: Sequence[str]) -> None:
        """Listen on these addresses instead, on the same port or the next free one; connections stay. Raises
        `FleetError` `node.listen` when none can be opened."""
        held, wanted = self.port, self.port or self._wanted
        self._silence()
        near = range(wanted, min(wanted + _REACH, 65_536)) if wanted else ()
        for port in (*([held] * _REGAINED if held else []), *near, 0):
            try:
                await self._listen(hosts, port)
            except OSError as error:
                self._silence()
                if error.errno != errno.EADDRINUSE:
                    raise _no_door(hosts, str(error)) from None
                # A program that is being started has a copy of our own for a moment more.
                await asyncio.sleep(_REGAIN_S if port == held else 0)
            else:
                self.hosts = tuple(hosts)
                return
        raise _no_door(hosts, "every port is taken")

    async def reopen(self) -> None:
        """Listen on the next free port instead, on the same addresses; connections stay. Raises `FleetError`
        `node.listen`, and listens where it did before."""
        left, hosts = self.port, self.hosts
        self.port, self._wanted = 0, left + 1 if left < 65_535 else 0
        try:
            await self.rebind(hosts)
        except FleetError:
            self._wanted = left
            await self.rebind(hosts)
            raise

    async def close(self) -> None:
        """Stop listening and hang up on everybody; idempotent."""
        self._silence()
        self.port, self.arrived, self.join = 0, None, None
        for one in tuple(self._open):
            one.abort()
        for task in tuple(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)

    def admit(self, one: Conversation) -> bool:
        """A place for one more, if need be that of the oldest who has earned none."""
        strangers = descriptors.share(STRANGERS, OF_ALL_THEIRS)
        if len(self._strangers) >= strangers or len(self._open) >= descriptors.share(PLACES, OF_ALL):
            oldest = next(iter(self._strangers), None)
            if oldest is None:
                return False
            oldest.abort()
            self.left(oldest)
        self._open[one] = self._strangers[one] = None
        return True

    def vouch(self, one: Conversation) -> None:
        """Its place is its own from now on."""
        self._strangers.pop(one, None)

    def left(self, one: Conversation) -> None:
        """Their place is free."""
        self._open.pop(one, None)
        self._strangers.pop(one, None)

    def claim(self, size: int) -> bool:
        """Take from, or give back to, the room for unfinished bodies."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def allows(self, method: str, path: str) -> int:
        """The largest body a request may have, or minus the status it gets."""
        limits = {("POST", "/deliver"): CARRIAGE_LIMIT, ("GET", "/health"): 0}
        if self.join is not None:
            limits["POST", "/join"] = JOIN_LIMIT
        known = any(path == there for _, there in limits)
        return limits.get((method, path), -HTTPStatus.METHOD_NOT_ALLOWED if known else -HTTPStatus.NOT_FOUND)

    def ask(self, question: Question, say: Say) -> None:
        """Answer a complete request."""
        {"/deliver": self._deliver, "/health": self._tell, "/join": self._admit_joiner}[question.path](question, say)

    def _tell(self, question: Question, say: Say) -> None:
        say(self._health)

    def _deliver(self, question: Question, say: Say) -> None:
        if question.kind != OCTETS:
            return say(Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE))
        if not question.body:
            return say(Answer(HTTPStatus.BAD_REQUEST))
        taken = self.arrived is not None and self.arrived(question.body, Channel.HTTP, _way_back(say))
        return None if taken else say(Answer(HTTPStatus.SERVICE_UNAVAILABLE))

    def _admit_joiner(self, question: Question, say: Say) -> None:
        join = self.join
        if join is None:
            return say(Answer(HTTPStatus.NOT_FOUND))
        task = asyncio.create_task(_answer_joiner(join, question.body, say))
        self._joining.add(task)
        return task.add_done_callback(self._joining.discard)

    async def _listen(self, hosts: Sequence[str], port: int) -> None:
        for host in hosts:
            loop = asyncio.get_running_loop()
            once = descriptors.AT_ONCE
            listener = await loop.create_server(self._meet, host, port, backlog=once, reuse_address=True)
            self._listeners.append(listener)
            descriptors.queued(listener.sockets)
            port = int(listener.sockets[0].getsockname()[1])
        self.port = port

    def _meet(self) -> Conversation:
        return Conversation(self)

    def _silence(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []


def _way_back(say: Say) -> Callable[[bytes], None]:
    """What was opened is answered with frames; nothing to say is a refusal."""
    return lambda data: say(Answer(HTTPStatus.OK if data else HTTPStatus.FORBIDDEN, data))


async def _answer_joiner(join: Joining, body: bytes, say: Say) -> None:
    try:
        say(Answer(HTTPStatus.OK, await join(body)))
    except FleetError as error:
        say(Answer(HTTPStatus.FORBIDDEN, msgspec.json.encode({"error": error.facts()}), JSON))
    except asyncio.CancelledError:
        with contextlib.suppress(RuntimeError):
            say(Answer(HTTPStatus.SERVICE_UNAVAILABLE))
        raise


def _no_door(hosts: Sequence[str], why: str) -> FleetError:
    return FleetError(
        "node.listen",
        "The peer port cannot be opened",
        f"{', '.join(hosts)}: {why}",
        "set net.listen to an address of this machine",
        Fault.WORLD,
    )
