"""The API behind its real doors: a Unix socket and a loopback port."""

import http.client
import json
import socket
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from engine.api import server
from engine.api.asks import REQUEST_LIMIT
from engine.model.event import RosterMoved
from tests.engine.api.understudy import Stage, stage


@pytest.fixture
def up() -> Iterator[Stage]:
    with stage() as running:
        yield running


@pytest.fixture
def tcp() -> Iterator[Stage]:
    with stage(0) as running:
        yield running


def raw(up: Stage) -> socket.socket:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(10)
    door.connect(str(up.path))
    return door


def over_tcp(up: Stage, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, Any]:
    assert up.server.port
    connection = http.client.HTTPConnection("127.0.0.1", up.server.port, timeout=10)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


LOOKS = [
    "/status",
    "/peers",
    "/channels",
    "/messages",
    "/inbox",
    "/health",
    "/refusals",
    "/body/m1",
    "/config",
    "/preview",
]


@pytest.mark.parametrize("path", LOOKS)
def test_every_look_is_json(up: Stage, path: str) -> None:
    """Looking needs nothing but the path."""
    assert up.client.get(path)


def test_only_its_owner_may_open_the_socket(up: Stage) -> None:
    """The file has mode 0600 from its first moment."""
    assert stat.S_IMODE(up.path.stat().st_mode) == 0o600


def test_another_user_is_cut_off(up: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another uid gets the connection closed before a byte is read."""
    monkeypatch.setattr(server, "peer_uid", lambda _: 54_321)
    with raw(up) as door:
        door.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _all_of(door) == b""


def _all_of(door: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := door.recv(65_536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_the_issue_s_own_example_over_tcp(tcp: Stage) -> None:
    """`POST /message` with the bearer token returns the message's id and rung."""
    ask = {"type": "context", "to": "birch", "payload": {"body": "hello"}}
    headers = {"Authorization": f"Bearer {tcp.engine.token}"}
    code, story = over_tcp(tcp, "POST", "/message", headers, json.dumps(ask).encode())
    assert (code, story["rung"]) == (202, "accepted")
    code, story = over_tcp(tcp, "POST", "/message", headers, json.dumps(ask | {"wait": "on_host"}).encode())
    assert (code, story["rung"], story["channel"]) == (200, "on_host", "nats")


def test_tcp_without_the_token_is_refused(tcp: Stage) -> None:
    """Nothing is answered to it, not even the status, and the error says how to get in."""
    code, answer = over_tcp(tcp, "GET", "/status", {})
    assert (code, answer["error"]["code"]) == (401, "auth.token")
    code, answer = over_tcp(tcp, "GET", "/status", {"Host": "evil.example", "Authorization": "Bearer open-sesame"})
    assert (code, answer["error"]["code"]) == (403, "refused.host")


def test_the_port_is_written_down_while_it_answers(tcp: Stage) -> None:
    """`<home>/api.port` and the status name it."""
    assert int((tcp.engine.home / "api.port").read_text()) == tcp.server.port
    assert tcp.client.get("/status")["api"]["tcp"] == tcp.server.port


def test_a_taken_port_is_not_the_end() -> None:
    """The next free one is used."""
    with stage(0) as first:
        assert first.server.port
        with stage(first.server.port) as second:
            assert second.server.port not in (None, first.server.port)


def test_a_recipient_who_does_not_exist_is_an_error_at_once(up: Stage) -> None:
    """The error comes out as it went in, with its status."""
    with raw(up) as door:
        body = b'{"to":"nobody","payload":{"body":"hi"}}'
        door.sendall(
            b"POST /message HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        answer = _all_of(door)
    assert answer.startswith(b"HTTP/1.1 404")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "unknown.recipient"


def test_a_wait_that_ends_too_early_still_tells_the_story(up: Stage) -> None:
    """The message is accepted and goes on: 202, where it is, and the reason."""
    story = up.client.post("/message", {"to": "cedar", "payload": {"body": "hi"}, "wait": "on_host", "timeout": 0.1})
    assert (story["rung"], story["error"]["code"]) == ("accepted", "timeout.rung")


def test_a_group_gets_a_message_each(up: Stage) -> None:
    """One story a recipient."""
    answer = up.client.post("/message", {"to": "all", "payload": {"body": "hi"}})
    assert [story["to"] for story in answer["messages"]] == ["birch", "cedar"]


VERBS = [
    ("/join", {"code": "c"}, ("join", "c")),
    ("/leave", {}, ("leave",)),
    ("/role", {"name": "birch", "role": "captain"}, ("role", "birch", "captain")),
    ("/probe", {"name": "birch"}, ("probe", "id-birch", None)),
    ("/hold", {"name": "birch", "channel": "nats"}, ("hold", "id-birch", "nats", True)),
]


@pytest.mark.parametrize(("path", "body", "call"), VERBS)
def test_a_verb_reaches_the_engine(up: Stage, path: str, body: dict[str, Any], call: tuple[Any, ...]) -> None:
    """A path is one verb; members may be named by name or id."""
    up.client.post(path, body)
    assert up.engine.asked == [call]


def test_invite_and_check_answer(up: Stage) -> None:
    """What the verb returns is the answer."""
    assert up.client.post("/invite", {"role": "observer", "ttl": 60}) == {"code": "observer-code", "expires_at": 60}
    assert up.client.post("/check", {"name": "birch"})["nats"]["outcome"] == "confirmed"


def test_down_drains_then_stops(up: Stage) -> None:
    """The answer comes before the end, and `now` leaves the draining out."""
    assert up.client.post("/down") == {"pid": 7, "waiting": 0}
    assert up.engine.stopped.wait(10)
    assert up.engine.asked == [("drain",)]


def test_our_own_mistake_is_said_and_survived(up: Stage) -> None:
    """An exception nobody expected is an answer of fault OURS, and the next request works."""
    with pytest.raises(Exception, match="Fleet made a mistake"):
        up.client.post("/revoke", {"name": "birch"})
    assert up.client.alive()


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/nowhere", 404), ("GET", "/message", 405)])
def test_a_wrong_path_or_method_is_said(up: Stage, method: str, path: str, code: int) -> None:
    """Even these are the five parts of an error."""
    with raw(up) as door:
        door.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = _all_of(door)
    assert answer.startswith(f"HTTP/1.1 {code}".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["next_step"]


def test_a_body_past_the_limit_is_cut_off(up: Stage) -> None:
    """413 and the connection closes; it is never read to its end."""
    with raw(up) as door:
        door.sendall(b"POST /message HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            door.sendall(b"x" * 100 * REQUEST_LIMIT)
    assert up.client.alive()


def test_a_client_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request holds a connection only for so long."""
    monkeypatch.setattr(server, "PATIENCE_S", 0.05)
    with stage() as up, raw(up) as door:
        door.sendall(b"GET /status HTTP/1.1\r\nHo")
        assert _all_of(door) == b""


def test_garbage_is_answered_and_closed(up: Stage) -> None:
    """What is not HTTP gets a 400."""
    with raw(up) as door:
        door.sendall(b"\x00\x01\x02\r\n\r\n")
        assert _all_of(door).startswith(b"HTTP/1.1 400")


def test_events_begin_with_a_snapshot_and_go_on(up: Stage) -> None:
    """A reader first sees where things stand, then what happens."""
    feed = up.client.events()
    name, snapshot = next(feed)
    assert (name, snapshot["node"]["name"]) == ("snapshot", "atlas")
    assert up.engine.bus.came.wait(10)
    up.publish(RosterMoved(4, "birch joined"))
    assert next(feed) == ("RosterMoved", {"type": "RosterMoved", "version": 4, "why": "birch joined"})


def test_a_reader_that_comes_back_gets_what_it_missed(up: Stage) -> None:
    """`since` (or Last-Event-ID) names the last event it has."""
    for version in (1, 2, 3):
        up.publish(RosterMoved(version, ""))
    feed = up.client.events(since=1)
    assert [next(feed)[0] for _ in range(3)] == ["snapshot", "RosterMoved", "RosterMoved"]


def test_a_stalled_reader_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stops reading its events loses its connection, and the node keeps nothing for it."""
    monkeypatch.setattr(server, "PATIENCE_S", 0.05)
    with stage() as up, raw(up) as door:
        door.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert up.engine.bus.came.wait(10)
        for _ in range(200):
            up.publish(RosterMoved(1, "x" * 10_000))
        connections = up.server._state.connections
        while connections:
            up.client.alive()
        assert len(_all_of(door)) < 2_000_000
