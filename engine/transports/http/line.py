"""One kept connection to one peer's port, and how to get it (edge).

The certificate is compared before the first byte of a request is written: to a stranger nothing is sent, and there is
no plain text to fall back to. A line carries one request at a time; whoever stops waiting for an answer hangs up, so
that a late answer can never be taken for the next one.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence

import h11

from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports import staggered
from engine.transports.http.conversation import HEAD_LIMIT, OCTETS, Answer, tune
from engine.transports.http.tunnel import Tunnel, asking
from engine.transports.staggered import Impostor, Place

_CONTEXT = asking()

Trusts = Callable[[bytes], bool]


class Stranger(Impostor):
    """The other end, at `place`, showed a certificate (DER) that is not trusted."""

    def __init__(self, place: Place, shown: bytes):
        super().__init__("it showed a certificate that is not this peer's", place)
        self.shown = shown


class Line(asyncio.Protocol):
    """One end of a connection to `place`. `opened` is done once the peer has proved who it is. `alive`: fit for a
    request."""

    def __init__(self, place: Place, trusts: Trusts):
        self.place, self._trusts = place, trusts
        self._transport: asyncio.Transport | None = None
        self._tunnel = Tunnel(_CONTEXT, server_side=False)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._answer: asyncio.Future[Answer] | None = None
        self._status, self._body = 0, bytearray()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is there; TLS begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self.alive:
            return transport.abort()
        tune(transport)
        self._tunnel.feed(b"")
        return self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the wire."""
        try:
            plain = self._tunnel.feed(data)
            self._flush()
            if self._tunnel.open and not self.opened.done():
                self._recognise()
            if plain and self._answer is None:
                self._end(ConnectionAbortedError("it spoke without being asked"))
            elif plain:
                self._http.receive_data(plain)
                self._read()
        except (ssl.SSLError, h11.RemoteProtocolError) as error:
            self._end(ConnectionError(f"it does not speak our protocol: {type(error).__name__}"))

    def eof_received(self) -> bool:
        """They will say no more."""
        self._end(ConnectionResetError("the peer hung up"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(exc or ConnectionResetError("the connection dropped"))

    async def ask(self, method: str, path: str, body: bytes) -> Answer:
        """One request, one answer. Raises `ConnectionError` when the line ends first; the line is gone then, as it is
        when the caller stops waiting."""
        if not self.alive:
            raise ConnectionResetError("the peer hung up")
        self._answer = asyncio.get_running_loop().create_future()
        headers = [("Host", "fleet"), ("Content-Type", OCTETS), ("Content-Length", str(len(body)))]
        events = (h11.Request(method=method, target=path, headers=headers), h11.Data(body), h11.EndOfMessage())
        try:
            self._tunnel.write(b"".join(self._http.send(event) or b"" for event in events))
            self._flush()
            return await self._answer
        except asyncio.CancelledError:
            self.hang_up()
            raise
        finally:
            self._answer = None

    def hang_up(self) -> None:
        """End it at once."""
        self._end(ConnectionAbortedError("we hung up"))

    def _recognise(self) -> None:
        shown = self._tunnel.certificate()
        if self._trusts(shown):
            self.opened.set_result(None)
        else:
            self._end(Stranger(self.place, shown))

    def _read(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                self._status, self._body = event.status_code, bytearray()
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > CARRIAGE_LIMIT:
                    return self._end(ConnectionAbortedError("its answer is too large"))
            elif isinstance(event, h11.EndOfMessage):
                return self._heard()
            else:
                return None

    def _heard(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._status, bytes(self._body)))
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._end(ConnectionResetError("the peer hung up"))

    def _flush(self) -> None:
        if self._transport is not None and (cipher := self._tunnel.outgoing()):
            self._transport.write(cipher)

    def _end(self, why: Exception) -> None:
        if not self.alive:
            return
        self.alive = False
        for waiting in (self.opened, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(why)
                waiting.exception()  # seen: nobody may be left to look at it
        if self._transport is not None:
            self._transport.abort()


async def dial(places: Sequence[Place], trusts: Trusts) -> Line:
    """A line to the first of these places that proves to be the peer, tried in order and, when one is slow, side by
    side. Raises `Stranger` if one showed a wrong certificate and none the right one, else the first `OSError`."""
    return await staggered.first(places, lambda place: _call(place, trusts), Line.hang_up)


async def _call(place: Place, trusts: Trusts) -> Line:
    line = Line(place, trusts)
    try:
        await asyncio.get_running_loop().create_connection(lambda: line, *place)
        await line.opened
    except UnicodeError:
        line.hang_up()
        raise ConnectionError(f"{place[0]!r} cannot be a host's name") from None
    except BaseException:
        line.hang_up()
        raise
    return line
