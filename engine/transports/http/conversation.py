"""One connection to the peer port, from accept to close (edge).

    HEAD --request line, headers--> BODY --all of it--> ANSWER --said--> IDLE --next byte--> HEAD
      every arrow has a deadline; whoever misses it, lies or speaks out of turn is told so and cut off

A stranger can open connections, so each phase costs little and ends soon: a head is small and complete within three
seconds, a body states its length and keeps coming, nothing may be sent while an answer is due. Framing is h11's, and
stricter: no Transfer-Encoding and no bytes beyond the stated length, so that one request can never be read as two.

It decides nothing about a request's content; the hall it stands in does (`peerport`).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol

import h11
import msgspec

from engine.transports.http.tunnel import Tunnel

# A head is a request line and four headers; an honest client sends it in one packet.
HEAD_LIMIT = 8 << 10
PATIENCE_S = 3.0
# A body may take longer on a thin line, as long as it is no trickle.
_PACE = 64 << 10
# The engine answers once what came is durable; longer than this and the asker has gone elsewhere.
ANSWER_S = 5.0
IDLE_S = 60.0
# After a refusal the rest of what was being sent is read and thrown away, or its sender might never see the answer.
_LINGER_S = 1.0

OCTETS, JSON = "application/octet-stream", "application/json"


class Question(msgspec.Struct, frozen=True):
    """A complete request. `kind`: its content type."""

    method: str
    path: str
    kind: str
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What is said back."""

    status: int
    body: bytes = b""
    kind: str = OCTETS


class Hall(Protocol):
    """What the connections of one port share."""

    context: ssl.SSLContext

    def admit(self, one: "Conversation") -> bool:
        """Whether there is a place; somebody less trusted may have lost theirs for it."""
        ...

    def vouch(self, one: "Conversation") -> None:
        """Frames were answered with frames, which only a member's earn: this is no stranger."""
        ...

    def left(self, one: "Conversation") -> None:
        """The connection is gone."""
        ...

    def claim(self, size: int) -> bool:
        """Set bytes aside for a body (given back when negative); False when no more are to be had."""
        ...

    def allows(self, method: str, path: str) -> int:
        """The largest body this request may have; a negative HTTP status when there is no such thing here."""
        ...

    def ask(self, question: Question, say: Callable[[Answer], None]) -> None:
        """Answer through `say`, now or later, once."""
        ...


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()
    OVER = auto()


class _Refused(Exception):
    """The conversation ends here, with this status."""

    def __init__(self, status: int):
        self.status = status


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, hall: Hall):
        self._hall = hall
        self._phase = _Phase.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._tunnel: Tunnel | None = None
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._paced = 0
        self._most = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody called."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tune(transport)
        self._within(PATIENCE_S, self._late)
        if not self._hall.admit(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """They, or we, hung up."""
        self._over()
        self._hall.left(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the wire."""
        if self._phase is _Phase.OVER:
            return None
        # Made here, not on accept: a connection that says nothing costs nothing.
        tunnel = self._tunnel = self._tunnel or Tunnel(self._hall.context, server_side=True)
        try:
            plain = tunnel.feed(data)
        except ssl.SSLError:
            self._transport.write(tunnel.outgoing())
            return self.abort()
        self._flush()
        if plain:
            self._hear(plain)
        if tunnel.ended:
            self.abort()
        return None

    def pause_writing(self) -> None:
        """They do not read our answer: they get as long as anyone."""
        self._within(PATIENCE_S, self.abort)

    def resume_writing(self) -> None:
        """They do again."""
        if self._phase is _Phase.IDLE:
            self._within(IDLE_S, self.abort)

    def abort(self) -> None:
        """Hang up at once."""
        self._over()
        self._transport.abort()

    def _hear(self, plain: bytes) -> None:
        try:
            if self._phase is _Phase.ANSWER:
                raise _Refused(HTTPStatus.BAD_REQUEST)
            if self._phase is _Phase.IDLE:
                self._phase = _Phase.HEAD
                self._within(PATIENCE_S, self._late)
            self._http.receive_data(plain)
            self._read()
        except h11.RemoteProtocolError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        except _Refused as refused:
            self._refuse(refused.status)

    def _read(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._take(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return self._ask()
            else:
                return None

    def _begin(self, request: h11.Request) -> None:
        lengths = [int(value) for name, value in request.headers if name == b"content-length"]
        if request.http_version not in (b"1.0", b"1.1"):
            raise _Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        if any(name in (b"transfer-encoding", b"expect") for name, _ in request.headers):
            raise _Refused(HTTPStatus.BAD_REQUEST)
        self._most = self._hall.allows(request.method.decode(), request.target.decode("latin-1"))
        if self._most < 0:
            raise _Refused(-self._most)
        if lengths and lengths[0] > self._most:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._head, self._phase, self._paced = request, _Phase.BODY, 0
        self._within(PATIENCE_S, self._trickled)

    def _take(self, data: bytes) -> None:
        if not self._hall.claim(len(data)):
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE)
        self._body += data

    def _ask(self) -> None:
        if self._http.trailing_data[0]:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        assert self._head is not None
        kinds = [value for name, value in self._head.headers if name == b"content-type"]
        kind = kinds[0].decode("latin-1") if kinds else ""
        method, path = self._head.method.decode(), self._head.target.decode("latin-1")
        question = Question(method, path, kind, bytes(self._body))
        self._forget_body()
        self._phase = _Phase.ANSWER
        self._within(ANSWER_S, lambda: self._refuse(HTTPStatus.GATEWAY_TIMEOUT))
        self._hall.ask(question, self._say)

    def _say(self, answer: Answer) -> None:
        if self._phase is not _Phase.ANSWER:
            return
        self._phase = _Phase.IDLE
        if answer.status == HTTPStatus.OK and answer.kind == OCTETS:
            self._hall.vouch(self)
        self._within(IDLE_S, self.abort)
        self._send(answer, keep=True)
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._hang_up()

    def _late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _trickled(self) -> None:
        grown, self._paced = len(self._body) - self._paced, len(self._body)
        if grown < _PACE * PATIENCE_S:
            return self._late()
        return self._within(PATIENCE_S, self._trickled)

    def _refuse(self, status: int) -> None:
        if self._phase is _Phase.OVER:
            return None
        if self._tunnel is None or not self._tunnel.open:
            return self.abort()
        with contextlib.suppress(h11.LocalProtocolError, ssl.SSLError):
            self._send(Answer(status), keep=False)
        return self._hang_up()

    def _send(self, answer: Answer, keep: bool) -> None:
        headers = [("Content-Length", str(len(answer.body))), ("Content-Type", answer.kind)]
        if not keep:
            headers.append(("Connection", "close"))
        events = (h11.Response(status_code=answer.status, headers=headers), h11.Data(answer.body), h11.EndOfMessage())
        assert self._tunnel is not None
        self._tunnel.write(b"".join(self._http.send(event) or b"" for event in events))
        self._flush()

    def _hang_up(self) -> None:
        self._over()
        with contextlib.suppress(OSError):
            self._transport.write_eof()
        self._within(_LINGER_S, self._transport.abort)

    def _over(self) -> None:
        self._phase = _Phase.OVER
        self._forget_body()
        if self._timer is not None:
            self._timer.cancel()

    def _forget_body(self) -> None:
        self._hall.claim(-len(self._body))
        self._body = bytearray()

    def _flush(self) -> None:
        if self._tunnel is not None and (cipher := self._tunnel.outgoing()):
            self._transport.write(cipher)

    def _within(self, seconds: float, otherwise: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, otherwise)


def tune(transport: asyncio.Transport) -> None:
    """Let the kernel give up a connection whose other end vanished without a word (fault 39): three seconds without an
    acknowledgement, and a question into the silence after as many."""
    wire = transport.get_extra_info("socket")
    if wire is None:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


_KEEPALIVE = (("TCP_KEEPIDLE", 3), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 2), ("TCP_USER_TIMEOUT", 3_000))
