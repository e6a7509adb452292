"""HTTP/1.1 on asyncio, as much of it as a local API needs (edge).

    head within PATIENCE_S -> handler -> answer, each write within PATIENCE_S -> the next request, or the end

h11 knows the protocol; here bytes are moved and clients are held to limits. A client that is slow to say what it wants,
does not read what it asked for, or sends more than was read of it is cut off, once it could hear why; nobody else waits
for it. Why not a framework: `docs/decisions/0032-http-by-h11.md`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11
import msgspec

# A request's head, and each write to a client that does not read, get this long.
PATIENCE_S = 10.0
# Screens, scripts and dashboards of one person; each connection costs a descriptor, never more than a quarter of all.
CONNECTIONS, OF_ALL = 256, 4
HEAD_LIMIT = 16_384
PIECE = 65_536
# What is still coming when the last answer goes out is read so long, and so much of it, before the line is cut.
PARTING_S, PARTING_BYTES = 2.0, 16 << 20


class Gone(Exception):
    """The client closed its end; there is nobody to answer."""


class Garbled(Gone):
    """What it sends as a body is none; it is told so where no answer has begun."""


class Request:
    """One request. `query`: the URL's parameters, of several of one name the last. `tail`: what the path's `*` stood
    for, set by whoever routes it."""

    def __init__(self, asked: h11.Request, body: AsyncIterator[bytes]) -> None:
        path, _, query = asked.target.decode("ascii").partition("?")
        self.method = asked.method.decode("ascii")
        self.path = path
        self.tail = ""
        self.query = dict(parse_qsl(query))
        self.headers = [(bytes(name), bytes(value)) for name, value in asked.headers]
        self.body = body

    def header(self, name: str) -> str | None:
        """The first header of that name, or None."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    @property
    def length(self) -> int:
        """The bytes its body is said to have; 0 where that is not said."""
        return int(self.header("content-length") or 0)

    def route(self) -> tuple[str, str]:
        """The path, and the path with its last part as `*`, which becomes the tail."""
        folder, _, self.tail = unquote(self.path).rpartition("/")
        return self.path, f"{folder}/*"


class Response(msgspec.Struct, frozen=True):
    """An answer. `pieces`: its body, as it comes. `close`: what was not read of the request is not waited for. `after`:
    done once the client has it all. `retry_after_s`: when it is worth asking again (RFC 9110, section 10.2.3). `link`:
    where this goes on (RFC 8288)."""

    status: int = 200
    type: str = "application/json"
    body: bytes = b""
    pieces: AsyncIterator[bytes] | None = None
    close: bool = False
    after: Callable[[], None] | None = None
    retry_after_s: int | None = None
    link: str = ""


Handler = Callable[[Request], Awaitable[Response]]
# What is answered where there is no request to hand over: status, title, detail.
Refusal = Callable[[int, str, str], Response]


class Connection:
    """One client, from its first byte to its last."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, refusal: Refusal):
        self._reader, self._writer, self._handler, self._refusal = reader, writer, handler, refusal
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._bodyless = False

    async def serve(self, *, busy: int = 0) -> None:
        """Answer until one side closes. `busy`: so many are open; say so, and close."""
        try:
            while await self._one(busy):
                self._http.start_next_cycle()
            await self._part()
        except (h11.RemoteProtocolError, Garbled) as error:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                with suppress(Gone, ConnectionError, TimeoutError):
                    await self._answer(self._refusal(400, "That is not HTTP/1.1", str(error)))
        except (Gone, ConnectionError, TimeoutError):
            self._writer.transport.abort()
        finally:
            self._writer.close()

    async def _one(self, busy: int) -> bool:
        """One request and its answer; whether another may follow."""
        self._bodyless = False
        async with asyncio.timeout(PATIENCE_S):
            event = await self._next()
        if not isinstance(event, h11.Request):
            return False
        self._bodyless = event.method == b"HEAD"
        request = Request(event, self._body())
        if not _has_body(request):
            self._http.next_event()  # its end
        if busy:
            response = self._refusal(503, "Too many connections", f"{busy} are open")
        else:
            response = await self._handler(request)
        await self._answer(response)
        if response.after:
            response.after()
        return not response.close and response.pieces is None and self._at_rest()

    async def _part(self) -> None:
        """Hang up so that the last answer is read: closing upon what nobody read resets the line, and takes the answer
        with it (RFC 9112, section 9.6)."""
        if self._http.their_state is not h11.SEND_BODY:
            return
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                unread = PARTING_BYTES
                while unread > 0 and (data := await self._reader.read(PIECE)):
                    unread -= len(data)

    def _at_rest(self) -> bool:
        """Whether both sides are done with this request: what nobody read of a body is not waited for."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _body(self) -> AsyncIterator[bytes]:
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            while self._http.their_state is h11.SEND_BODY:
                if isinstance(event := await self._next(), h11.Data):
                    yield bytes(event.data)
        except h11.RemoteProtocolError as error:
            raise Garbled(str(error)) from error

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(PIECE)
            if not data and self._http.their_state is h11.SEND_BODY:
                raise Gone
            self._http.receive_data(data)
        return event

    async def _answer(self, response: Response) -> None:
        headers = [("Content-Type", response.type), ("Cache-Control", "no-store")]
        if response.pieces is None:
            headers.append(("Content-Length", str(len(response.body))))
        if response.retry_after_s is not None:
            headers.append(("Retry-After", str(response.retry_after_s)))
        if response.link:
            headers.append(("Link", response.link))
        if response.close:
            headers.append(("Connection", "close"))
        await self._send(h11.Response(status_code=response.status, headers=headers))
        if self._bodyless:
            pass  # the length is of what a GET would have brought
        elif response.pieces is None:
            await self._send(h11.Data(data=response.body))
        else:
            await self._stream(response.pieces)
        await self._send(h11.EndOfMessage())

    async def _stream(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the pieces as they come. A client that has said all it wanted and hangs up ends them."""
        sending = asyncio.create_task(self._send_all(pieces))
        watching = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if sending not in done:
                raise Gone
            sending.result()
        finally:
            for task in (sending, watching):
                task.cancel()
            await asyncio.gather(sending, watching, return_exceptions=True)

    async def _send_all(self, pieces: AsyncIterator[bytes]) -> None:
        async with aclosing(pieces) as given:  # type: ignore[type-var]
            async for piece in given:
                await self._send(h11.Data(data=piece))

    async def _watch(self) -> None:
        """Return when the client has hung up. While it is still asking, whoever reads its questions notices."""
        if self._http.their_state is h11.SEND_BODY:
            await asyncio.Event().wait()
        while await self._reader.read(PIECE):
            pass

    async def _send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            async with asyncio.timeout(PATIENCE_S):
                await self._writer.drain()


def _has_body(request: Request) -> bool:
    return request.header("transfer-encoding") is not None or request.header("content-length") not in (None, "0")
