"""HTTP/1.1 as the API speaks it, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from engine.api import http
from engine.api.http import Connection, Request, Response

Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: Request) -> Response:
    """Path, query and body, as they were understood."""
    body = b"".join([piece async for piece in request.body])
    return Response(type="text/plain", body=f"{request.method} {request.path} {request.query} ".encode() + body)


async def deaf(request: Request) -> Response:
    """Answers without reading."""
    return Response(body=b"{}")


def refusal(status: int, title: str, detail: str) -> Response:
    return Response(status, body=title.encode(), close=True)


@asynccontextmanager
async def served(handler: Callable[[Request], Awaitable[Response]], busy: int = 0) -> AsyncIterator[Talk]:
    """A client of this handler. When the block ends, the server has let go of it."""
    over = asyncio.Event()

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Connection(reader, writer, handler, refusal).serve(busy=busy)
        finally:
            over.set()

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(20):
        yield reader, writer
        writer.close()
        await over.wait()
    server.close()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one response with a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_requests_follow_each_other_on_one_connection() -> None:
    """One after another, and several said at once."""
    async with served(echo) as (reader, writer):
        writer.write(b"GET /a?x=1&y=%20 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await answer(reader))[1] == b"GET /a {'x': '1', 'y': ' '} "
        writer.write(b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /c HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await answer(reader))[1] == b"POST /b {} hi"
        assert (await answer(reader))[1] == b"GET /c {} "


async def test_a_body_in_chunks_is_one_body() -> None:
    """However it was cut."""
    async with served(echo) as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n ho\r\n0\r\n\r\n"
        )
        assert (await answer(reader))[1].endswith(b"hi ho")


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    """`Expect: 100-continue`, as curl says with larger bodies."""
    async with served(echo) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"hi")
        assert (await answer(reader))[1].endswith(b"hi")


async def test_a_body_nobody_reads_ends_the_connection() -> None:
    """It is answered, and never taken for the next request."""
    async with served(deaf) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await answer(reader))[1] == b"{}"
        assert await reader.read() == b""


@pytest.mark.parametrize("said", [b"\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000])
async def test_what_is_not_http_is_refused(said: bytes) -> None:
    """With 400 where an answer can still be given, and the connection ends: garbage, no Host, a head without end."""
    async with served(echo) as (reader, writer):
        writer.write(said)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


SMUGGLED = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


async def test_a_request_with_two_lengths_carries_no_second_one() -> None:
    """A proxy and we must not disagree on where a body ends."""
    async with served(echo) as (reader, writer):
        writer.write(SMUGGLED + b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n")
        writer.write_eof()
        assert b"GET /evil" not in (await reader.read()).partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[0]


BROKEN = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_body_that_is_none_is_refused() -> None:
    """A chunk without a length: 400, and the connection ends."""
    async with served(echo) as (reader, writer):
        writer.write(BROKEN + b"2\r\nhi\r\nzz\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


async def test_half_a_body_is_cut_off() -> None:
    """An end in the middle: nobody is there to be answered."""
    async with served(echo) as (reader, writer):
        writer.write(BROKEN + b"5\r\nhi")
        writer.write_eof()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readuntil(b"\r\n")


async def test_who_asks_for_the_head_gets_no_body() -> None:
    """HEAD is told the length and not the body, and its connection goes on."""
    async with served(deaf) as (reader, writer):
        writer.write(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"Content-Length: 2\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert (await answer(reader))[1] == b"{}"


async def test_who_hangs_up_ends_a_stream() -> None:
    """What makes the pieces is told at once, though it had nothing to send."""
    ended = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"first\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def endless(request: Request) -> Response:
        return Response(pieces=pieces())

    async with served(endless) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"first\n")
        writer.close()
        await ended.wait()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces stop being made once the buffers are full, and the client is let go."""
    monkeypatch.setattr(http, "PATIENCE_S", 0.05)
    made, ended = 0, asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 65_536
        finally:
            ended.set()

    async def flood(request: Request) -> Response:
        return Response(pieces=pieces())

    async with served(flood) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await ended.wait()
    assert made < 1_000


async def test_one_too_many_is_told_so() -> None:
    """503, and the connection ends."""
    async with served(echo, busy=257) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503")
