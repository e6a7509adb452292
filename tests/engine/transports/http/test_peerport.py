"""The peer port before strangers: what it answers, what it refuses, and what it costs."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from engine.errors import FleetError
from engine.model.channel import Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.model.roster import Address
from engine.transports.http import conversation, peerport
from engine.transports.http.channel import Http
from engine.transports.http.peerport import PeerPort
from tests.nodes import LOOPBACK, Inbox, Node

FOREVER_S = 20.0


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PeerPort]:
    """A port open on loopback; its patience is short so that its end is seen soon."""
    monkeypatch.setattr(conversation, "PATIENCE_S", 0.2)
    node = Node(1)
    made = node.port()
    made.arrived = Inbox()
    await made.rebind((LOOPBACK,))
    yield made
    await made.close()
    await node.close()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def said(port: PeerPort, *parts: bytes) -> bytes:
    """Everything the port says to somebody who sends this and then waits, until it hangs up."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port.port, ssl=trusting())
    heard = b""
    async with asyncio.timeout(FOREVER_S):
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            while data := await reader.read(65_536):
                heard += data
        except (ConnectionError, ssl.SSLError):
            pass
    writer.close()
    return heard


async def status(port: PeerPort, *parts: bytes) -> int:
    """The first status it answers with; 0 for none."""
    answer = await said(port, *parts)
    return int(answer.split(b" ", 2)[1]) if answer else 0


def post(path: str, body: bytes = b"x", *more: str, kind: str = "application/octet-stream") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: fleet", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + body


async def test_health_tells_id_and_version_and_no_more(port: PeerPort) -> None:
    """Anybody may ask who is there."""
    answer = await said(port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"id": Node(1).id, "version": "0.1"}
    assert b"server" not in answer.lower()


async def test_a_delivery_is_answered_by_the_engine(port: PeerPort) -> None:
    """Frames in, frames out."""
    answer = await said(port, post("/deliver", b"frames"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"got frames")


HEAD = b"POST /deliver HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((post("/deliver", kind="text/plain"),), 415),
        ((post("/deliver", b""),), 400),
        ((post("/elsewhere"),), 404),
        ((b"GET /deliver HTTP/1.1\r\nHost: x\r\n\r\n",), 405),
        ((b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",), 405),
        ((b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",), 413),
        ((b"GET /../deliver HTTP/1.1\r\nHost: x\r\n\r\n",), 404),
        ((b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",), 404),
        ((b"\x00\x01\x02garbage\r\n\r\n",), 400),
        ((b"GET /health HTTP/1.1\r\n\r\n",), 400),
        ((b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",), 505),
        # A header bomb, with and without an end.
        ((b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5_000,), 400),
        ((b"GET /" + b"a" * 100_000,), 400),
        # 100 MB are refused before they come.
        ((HEAD + b"Content-Length: 104857600\r\n\r\n", b"x" * 65_536), 413),
        ((HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",), 400),
        ((HEAD + b"Content-Length: -1\r\n\r\n",), 400),
        ((HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",), 400),
        # No chunks, and so none that lie.
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",), 400),
        ((HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1\r\nx\r\n0\r\n\r\n",), 400),
        ((HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",), 400),
        ((HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",), 400),
        # A second request hidden behind the first one's body.
        ((HEAD + b"Content-Length: 1\r\n\r\nxGET /health HTTP/1.1\r\nHost: x\r\n\r\n",), 400),
        # Whoever does not finish a head, or trickles a body.
        ((b"GET /health HT",), 408),
        ((b"GET /health HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n"), 408),
        ((HEAD + b"Content-Length: 1000\r\n\r\n", b"x"), 408),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else value[0][:60].decode("latin-1"),
)
async def test_what_is_refused(port: PeerPort, parts: tuple[bytes, ...], expected: int) -> None:
    """Each has its status and is cut off, and nothing of it reaches the engine."""
    assert await status(port, *parts) == expected
    assert isinstance(port.arrived, Inbox)
    assert port.arrived.came.empty()
    assert port._room == peerport.ROOM


async def test_silence_and_plain_text_are_cut_off(port: PeerPort) -> None:
    """Whoever says nothing, or no TLS, is hung up on."""
    for hello in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"):
        reader, writer = await asyncio.open_connection(LOOPBACK, port.port)
        writer.write(hello)
        async with asyncio.timeout(FOREVER_S):
            with contextlib.suppress(ConnectionError):
                assert b"200" not in await reader.read()
        writer.close()
    assert not port._open


async def test_older_tls_is_refused(port: PeerPort) -> None:
    """TLS 1.3 or nothing."""
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(LOOPBACK, port.port, ssl=context)


async def test_who_speaks_out_of_turn_is_refused(port: PeerPort) -> None:
    """A second request while the first is being answered ends the conversation."""
    port.arrived = Inbox(None)
    answer = await said(port, HEAD + b"Content-Length: 1\r\n\r\nx", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


async def test_an_engine_that_never_answers_is_not_waited_for(port: PeerPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the asker is told that nothing will come."""
    monkeypatch.setattr(conversation, "ANSWER_S", 0.1)
    port.arrived = Inbox(None)
    assert await status(port, post("/deliver")) == 504


async def test_busy_is_said(port: PeerPort) -> None:
    """A node that takes nothing now says 503; so does one that does not listen yet."""
    assert isinstance(port.arrived, Inbox)
    port.arrived.busy = True
    assert await status(port, post("/deliver")) == 503
    port.arrived = None
    assert await status(port, post("/deliver")) == 503


async def test_unfinished_bodies_share_a_bounded_room(port: PeerPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the room is full the next byte is refused, and what was held is given back."""
    monkeypatch.setattr(conversation, "PATIENCE_S", FOREVER_S)
    half = HEAD + f"Content-Length: {CARRIAGE_LIMIT}\r\n\r\n".encode() + bytes(CARRIAGE_LIMIT - 1)
    held = []
    for _ in range(peerport.ROOM // CARRIAGE_LIMIT):
        _, writer = await asyncio.open_connection(LOOPBACK, port.port, ssl=trusting())
        writer.write(half)
        await writer.drain()
        held.append(writer)
    while port._room > 2:
        await asyncio.sleep(0)
    assert await status(port, post("/deliver", b"x" * 100)) == 503
    for writer in held:
        writer.transport.abort()
    while port._room < peerport.ROOM:
        await asyncio.sleep(0)
    assert await status(port, post("/deliver")) == 200


async def test_when_places_run_out_the_oldest_stranger_makes_room(
    port: PeerPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent connections by the hundred keep no peer out, and one that was answered keeps its place."""
    monkeypatch.setattr(peerport, "STRANGERS", 8)
    monkeypatch.setattr(conversation, "PATIENCE_S", FOREVER_S)
    reader, good = await asyncio.open_connection(LOOPBACK, port.port, ssl=trusting())
    delivery = post("/deliver").replace(b"Connection: close\r\n", b"")
    good.write(delivery)
    assert b"200" in await reader.readline()
    silent = [await asyncio.open_connection(LOOPBACK, port.port) for _ in range(50)]
    assert len(port._open) <= 9
    while await reader.readline() != b"\r\n":
        pass
    await reader.readexactly(len(b"got x"))
    good.write(delivery)
    assert b"200" in await reader.readline()
    for _, writer in (*silent, (reader, good)):
        writer.transport.abort()


async def test_who_is_refused_is_told_so_and_stays_a_stranger(port: PeerPort) -> None:
    """Nothing of what came could be opened: 403 on a line that may go on, and no place of its own for it."""
    port.arrived = Inbox(answer=lambda data: b"")
    delivery = post("/deliver").replace(b"Connection: close\r\n", b"")
    reader, writer = await asyncio.open_connection(LOOPBACK, port.port, ssl=trusting())
    for _ in range(2):
        writer.write(delivery)
        assert b" 403 " in await reader.readuntil(b"\r\n\r\n")
    assert len(port._strangers) == 1
    writer.transport.abort()


async def test_join_is_there_only_while_an_invitation_is_open(port: PeerPort) -> None:
    """Closed: not found. Open: the handler's bytes. Its refusal: 403 with the five parts of the error."""

    async def welcome(data: bytes) -> bytes:
        return b"welcome " + data

    async def refuse(data: bytes) -> bytes:
        raise FleetError("refused.invite", "The code was used", "once is enough", "ask for a new one")

    assert await status(port, post("/join")) == 404
    port.join = welcome
    assert (await said(port, post("/join", b"bundle"))).endswith(b"welcome bundle")
    assert await status(port, post("/join", bytes(peerport.JOIN_LIMIT + 1))) == 413
    port.join = refuse
    answer = await said(port, post("/join"))
    assert answer.startswith(b"HTTP/1.1 403")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "refused.invite"
    port.join = None
    assert await status(port, post("/join")) == 404


def listens(port: PeerPort) -> set[str]:
    return {one.getsockname()[0] for listener in port._listeners for one in listener.sockets}


async def test_it_is_on_loopback_until_told_otherwise(port: PeerPort) -> None:
    """Rebinding keeps the port and the connections, in both directions."""
    first = port.port
    assert listens(port) == {LOOPBACK}
    reader, writer = await asyncio.open_connection(LOOPBACK, port.port, ssl=trusting())
    await port.rebind(("0.0.0.0",))
    assert (port.port, listens(port)) == (first, {"0.0.0.0"})
    writer.write(post("/deliver"))
    assert b"200" in await reader.readline()
    writer.close()
    await port.rebind((LOOPBACK,))
    assert (port.port, listens(port)) == (first, {LOOPBACK})


async def test_a_copy_in_a_program_that_starts_does_not_move_it(port: PeerPort) -> None:
    """Whatever is started holds a copy of every socket until it runs; the port is worth that moment."""
    first = port.port
    copies = [one.dup() for listener in port._listeners for one in listener.sockets]
    for copy in copies:
        asyncio.get_running_loop().call_later(0.03, copy.close)
    await port.rebind(("0.0.0.0",))
    assert port.port == first


async def test_a_taken_port_gives_the_next(port: PeerPort) -> None:
    """Somebody listens there already: the node does not fail, it moves on."""
    node = Node(2)
    other = PeerPort(node.id, "0.1", node.cert, node.key, port.port)
    await other.rebind((LOOPBACK,))
    assert other.port > port.port
    await other.close()
    await node.close()


async def test_an_impossible_address_is_an_error(port: PeerPort) -> None:
    """An address this machine does not have names itself and the setting."""
    with pytest.raises(FleetError) as caught:
        await port.rebind(("192.0.2.1",))
    assert caught.value.code == "node.listen"
    assert "net.listen" in caught.value.next_step


async def test_close_is_idempotent_and_leaves_no_listener(port: PeerPort) -> None:
    """Closed, the port is free for anybody."""
    number = port.port
    reader, writer = await asyncio.open_connection(LOOPBACK, number, ssl=trusting())
    await port.close()
    await port.close()
    with pytest.raises(ConnectionError):
        await reader.read()
    writer.close()
    with socket.create_server((LOOPBACK, number)):
        pass
    assert not port._open


@pytest.mark.slow
async def test_hundreds_of_slow_strangers(port: PeerPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """They open, dawdle and are cut off, while a peer's deliveries pass (fault 44)."""
    monkeypatch.setattr(conversation, "PATIENCE_S", 1.0)

    async def dawdle() -> None:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port.port)
            writer.write(b"\x16")
            await reader.read()
            writer.close()
        except OSError:
            pass

    node = Node(2)
    peer = Http(node.port())
    known = Node(1).target(Address(LOOPBACK, http=port.port))
    assert (await peer.deliver(b"x", known, FOREVER_S)).verdict is Verdict.CONFIRMED
    strangers = [asyncio.create_task(dawdle()) for _ in range(400)]
    for _ in range(50):
        assert (await peer.deliver(b"x", known, FOREVER_S)).verdict is Verdict.CONFIRMED
    await peer.close()
    await node.close()
    async with asyncio.timeout(FOREVER_S):
        await asyncio.gather(*strangers)
        while port._open:
            await asyncio.sleep(0)
