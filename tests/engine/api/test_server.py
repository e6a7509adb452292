"""The API behind its real doors: a Unix socket and a loopback port."""

import http.client
import json
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from engine.api import http as api_http
from engine.api.asks import REQUEST_LIMIT
from engine.errors import FleetError
from engine.model.envelope import Rung
from engine.model.event import RosterMoved
from engine.security import peercred
from tests.engine.api.stage import Stage, stage


@pytest.fixture(scope="module")
def tcp() -> Iterator[Stage]:
    with stage(tcp_port=0) as running:
        yield running


def raw(up: Stage) -> socket.socket:
    """A bare connection to the socket."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(10)
    door.connect(str(up.path))
    return door


def all_of(door: socket.socket) -> bytes:
    """What comes until the connection ends."""
    found = b""
    try:
        while chunk := door.recv(65_536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def asked(up: Stage, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Status and JSON of one bare request."""
    with raw(up) as door:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        door.sendall(head.encode() + body)
        answer = all_of(door)
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


def over_tcp(up: Stage, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON of one request over the loopback port."""
    assert up.server.port
    connection = http.client.HTTPConnection("127.0.0.1", up.server.port, timeout=10)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


LOOKS = ["/status", "/peers", "/channels", "/messages", "/inbox", "/health", "/refusals", "/config", "/preview"]
LOOKS += ["/ledger", "/ledger/verify"]


@pytest.mark.parametrize("path", LOOKS)
def test_every_look_is_json(trio: Stage, path: str) -> None:
    """Looking needs nothing but the path."""
    assert trio.client.get(path)


def test_metrics_are_text(trio: Stage) -> None:
    """For Prometheus, by its content type."""
    with raw(trio) as door:
        door.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = all_of(door)
    assert b"content-type: text/plain; version=0.0.4" in answer.lower()
    assert b"fleet_uptime_seconds " in answer


def test_only_its_owner_may_open_the_socket(trio: Stage) -> None:
    """The file has mode 0600."""
    assert stat.S_IMODE(trio.path.stat().st_mode) == 0o600


def test_another_user_is_cut_off(trio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another uid gets the connection closed before a byte is read."""
    monkeypatch.setattr(peercred, "peer_uid", lambda _: 54_321)
    with raw(trio) as door:
        with suppress(BrokenPipeError):
            door.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all_of(door) == b""


def test_a_message_over_the_socket(trio: Stage) -> None:
    """It is accepted with 202, on its host with 200, and told in full by `/why`."""
    ask = {"type": "context", "to": "birch", "payload": {"body": "hello"}}
    code, story = asked(trio, "POST", "/message", json.dumps(ask).encode())
    assert (code, story["rung"]) == (202, "accepted")
    code, story = asked(trio, "POST", "/message", json.dumps(ask | {"wait": "on_host"}).encode())
    assert (code, story["rung"], story["channel"]) == (200, "on_host", "http")
    assert trio.client.why(story["id"])["story"]
    assert trio.client.get(f"/body/{story['id']}")["body"] == "hello"


def test_a_page_of_the_inbox_says_where_it_goes_on(trio: Stage) -> None:
    """By a link (RFC 8288), in the direction that was asked for; the last page has none."""

    async def five() -> None:
        birch = trio.engines["birch"]
        for number in range(5):
            (story,) = await birch.send("atlas", f"page {number}")
            await birch.wait(story.id, Rung.ON_HOST, 30)

    trio.run(five())

    def page(query: str) -> tuple[list[str], str]:
        with raw(trio) as door:
            door.sendall(f"GET /inbox?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = all_of(door).decode().partition("\r\n\r\n")
        links = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("link:")]
        return [one["id"] for one in json.loads(body)], "".join(links)

    every, none = page("limit=1000")
    assert none == ""
    newest, link = page("limit=2")
    assert (newest, link) == (every[-2:], f'</inbox?before={every[-2]}&limit=2>; rel="prev"')
    assert page(f"before={every[-2]}&limit=2")[0] == every[-4:-2]
    first, link = page("after=0&limit=2")
    assert (first, link) == (every[:2], f'</inbox?after={every[1]}&limit=2>; rel="next"')
    assert page(f"after={every[-2]}&limit=2") == (every[-1:], "")


def test_tcp_takes_the_bearer_token(tcp: Stage) -> None:
    """With it everything is answered as on the socket."""
    headers = {"Authorization": f"Bearer {tcp.engine.token}"}
    assert over_tcp(tcp, "GET", "/status", headers)[0] == 200
    body = json.dumps({"type": "context", "to": "nobody", "payload": {"body": "hello"}}).encode()
    code, answer = over_tcp(tcp, "POST", "/message", headers, body)
    assert (code, answer["error"]["code"]) == (404, "unknown.recipient")


@pytest.mark.parametrize(
    "head", [f"Content-Length: {REQUEST_LIMIT + 1}\r\nExpect: 100-continue", "Transfer-Encoding: chunked"]
)
def test_a_client_on_tcp_hears_why_its_body_was_too_large(tcp: Stage, head: str) -> None:
    """Who asks first is not told to go on; who does not ask has the answer although more is on its way, which would
    reset a line that is closed upon it."""
    allowed = f"Host: localhost:{tcp.server.port}\r\nAuthorization: Bearer {tcp.engine.token}"
    head = f"POST /message HTTP/1.1\r\n{allowed}\r\n{head}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", tcp.server.port), timeout=10) as door:
        door.sendall(head.encode())
        if "chunked" in head:
            door.sendall((b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n") * 8)
        answer = all_of(door)
    assert answer.startswith(b"HTTP/1.1 413")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "size.request"


def test_tcp_without_the_token_is_refused(tcp: Stage) -> None:
    """Nothing is answered to it, not even the status, and the error says how to get in."""
    code, answer = over_tcp(tcp, "GET", "/status", {})
    assert (code, answer["error"]["code"]) == (401, "auth.token")
    headers = {"Host": "evil.example", "Authorization": f"Bearer {tcp.engine.token}"}
    code, answer = over_tcp(tcp, "GET", "/status", headers)
    assert (code, answer["error"]["code"]) == (403, "refused.host")


def test_the_port_is_written_down_while_it_answers(tcp: Stage) -> None:
    """`<home>/api.port` and the status name it."""
    assert int((tcp.home / "api.port").read_text()) == tcp.server.port
    assert tcp.client.get("/status")["api"]["tcp"] == tcp.server.port


def test_a_taken_port_is_not_the_end(tcp: Stage) -> None:
    """The next free one is used."""
    with stage(tcp_port=tcp.server.port) as second:
        assert second.server.port not in (None, tcp.server.port)


def test_a_recipient_who_does_not_exist_is_an_error_at_once(trio: Stage) -> None:
    """404 and the five parts."""
    code, answer = asked(trio, "POST", "/message", b'{"to":"nobody","payload":{"body":"hi"}}')
    assert (code, answer["error"]["code"]) == (404, "unknown.recipient")
    assert all(answer["error"].values())


def test_a_wait_that_ends_too_early_still_tells_the_story(trio: Stage) -> None:
    """The message is accepted and goes on: 202, where it is, and the reason."""
    ask = {"to": "cedar", "payload": {"body": "hi"}, "wait": "on_host", "timeout": 0.1}
    code, story = asked(trio, "POST", "/message", json.dumps(ask).encode())
    assert (code, story["rung"], story["error"]["code"]) == (202, "accepted", "timeout.rung")


def test_a_group_gets_a_message_each(trio: Stage) -> None:
    """One story a recipient."""
    answer = trio.client.post("/message", {"to": "all", "payload": {"body": "hi"}})
    assert sorted(story["to"] for story in answer["messages"]) == ["birch", "cedar"]


def test_roles_are_given_by_name(trio: Stage) -> None:
    """The answer is the status after it."""
    status = trio.client.post("/role", {"name": "birch", "role": "captain"})
    assert status["peers"][0]["role"] == "captain"
    assert trio.client.post("/role", {"name": "birch", "role": "worker"})["peers"][0]["role"] == "worker"


@pytest.mark.slow
def test_a_channel_is_checked_probed_and_held(trio: Stage) -> None:
    """A round trip is measured; a held channel says so in the answer already."""
    assert trio.client.post("/check", {"name": "birch"})["http"]["outcome"] == "confirmed"
    assert trio.client.post("/probe", {"name": "birch", "channel": "http"}) == {}
    for held in (True, False):
        answer = trio.client.post("/hold", {"name": "birch", "channel": "relay", "held": held})
        assert answer["birch"]["relay"]["held"] is held


@pytest.mark.slow
def test_a_node_that_wants_no_broker_has_no_p1(trio: Stage) -> None:
    """It is not set up, with the reason, to a peer that is there and to one that is away; nothing is broken."""
    for peer in ("birch", "cedar"):
        p1 = trio.client.post("/check", {"name": peer, "channel": "nats"})["nats"]
        assert (p1["state"], p1["outcome"], p1["reason"]) == ("ABSENT", "barred", "no broker on this node")
    with pytest.raises(FleetError, match=r"broker\.enabled"):
        trio.client.post("/message", {"to": "birch", "payload": {"body": "hi"}, "via": "nats"})


def test_a_code_that_is_none_is_refused(alone: Stage) -> None:
    """The reason is said."""
    with pytest.raises(FleetError) as caught:
        alone.client.post("/join", {"code": "fleet1-nonsense"})
    assert caught.value.next_step


def test_an_invite_is_a_code_and_its_end(alone: Stage) -> None:
    """As the command line prints it."""
    assert alone.client.post("/invite", {"role": "observer", "ttl": 60}).keys() == {"code", "expires_at"}


@pytest.mark.parametrize("now", [False, True])
def test_down_answers_then_stops(alone: Stage, now: bool) -> None:
    """The answer comes before the end."""
    assert alone.client.post("/down", {"now": now}).keys() == {"pid", "waiting", "plans"}
    assert alone.stopped.wait(10)
    assert alone.now is now


def test_our_own_mistake_is_said_and_survived(alone: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception nobody expected is an answer of fault OURS, and the next request works."""

    async def broken(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(alone.engine, "revoke", broken)
    code, answer = asked(alone, "POST", "/revoke", b'{"name":"birch"}')
    assert (code, answer["error"]["fault"]) == (500, "OURS")
    assert alone.client.alive()


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/nowhere", 404), ("GET", "/message", 405)])
def test_a_wrong_path_or_method_is_said(trio: Stage, method: str, path: str, code: int) -> None:
    """Even these are the five parts of an error."""
    status, answer = asked(trio, method, path)
    assert (status, bool(answer["error"]["next_step"])) == (code, True)


FAR = ("99999999999999999999999999", "-99999999999999999999999999", "9223372036854775808", "-1", "9" * 5_000, "1e400")
NUMBERED = ("/messages?before", "/messages?limit", "/inbox?limit", "/ledger?limit", "/session/x?after")


def test_no_number_is_too_large_to_be_answered(trio: Stage) -> None:
    """What the store could not hold is bounded or refused before it is asked; nothing of it is our mistake."""
    for path in NUMBERED:
        for number in FAR:
            status, answer = asked(trio, "GET", f"{path}={number}")
            assert status in (200, 400), (path, number, answer)
    for body in (b'{"session":"x","row":%s}' % number.encode() for number in FAR[:4]):
        assert asked(trio, "POST", "/session/ack", body)[0] in (200, 400)
    hello = b'{"to":"birch","payload":{"body":"x"},"ttl":%s}'
    assert asked(trio, "POST", "/message", hello % FAR[0].encode())[0] == 400


def test_a_body_past_the_limit_is_cut_off(trio: Stage) -> None:
    """The connection closes; it is never read to its end."""
    with raw(trio) as door:
        door.sendall(b"POST /message HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            door.sendall(b"x" * 100 * REQUEST_LIMIT)
    assert trio.client.alive()


def test_a_client_hears_why_its_body_was_too_large(trio: Stage) -> None:
    """Though it was still speaking when the answer came."""
    with pytest.raises(FleetError) as caught:
        trio.client.post("/message", {"to": "birch", "payload": {"body": "x" * 10 * REQUEST_LIMIT}})
    assert caught.value.code == "size.request"


def test_garbage_is_answered_and_closed(trio: Stage) -> None:
    """What is not HTTP gets a 400."""
    with raw(trio) as door:
        door.sendall(b"\x00\x01\x02\r\n\r\n")
        assert all_of(door).startswith(b"HTTP/1.1 400")


def test_a_client_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request holds a connection only for so long."""
    monkeypatch.setattr(api_http, "PATIENCE_S", 0.05)
    with stage() as up, raw(up) as door:
        door.sendall(b"GET /status HTTP/1.1\r\nHo")
        assert all_of(door) == b""


def test_events_begin_with_a_snapshot_and_go_on(alone: Stage) -> None:
    """A reader first sees where things stand, then what happens."""
    feed = alone.client.events()
    name, snapshot = next(feed)
    assert (name, snapshot["node"]["name"]) == ("snapshot", "atlas")
    alone.publish(RosterMoved(4, "birch joined"))
    wanted = ("RosterMoved", {"type": "RosterMoved", "version": 4, "why": "birch joined"})
    assert wanted in feed


def test_a_reader_that_comes_back_gets_what_it_missed(alone: Stage) -> None:
    """`since` (or Last-Event-ID) names the last event it has; a number of another life counts as none."""
    for version in (1, 2, 3):
        alone.publish(RosterMoved(version, "again"))
    published = threading.Event()
    alone.loop.call_soon_threadsafe(published.set)
    assert published.wait(10)
    feed = alone.client.events(since=alone.engine.bus.last - 2)
    assert [next(feed)[0] for _ in range(3)] == ["snapshot", "RosterMoved", "RosterMoved"]
    assert next(alone.client.events(since=10**9))[0] == "snapshot"


def test_a_stalled_reader_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stops reading its events loses its connection, and the node keeps nothing for it."""
    monkeypatch.setattr(api_http, "PATIENCE_S", 0.05)
    with stage() as up, raw(up) as door:
        door.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = b""
        while b"event: snapshot" not in seen:
            seen += door.recv(65_536)
        stalled = set(up.server._clients)
        for _ in range(200):
            up.publish(RosterMoved(1, "x" * 10_000))
        while stalled & up.server._clients:
            up.client.alive()
        assert len(all_of(door)) < 2_000_000
