"""The control API on loopback TCP: a message by token, and nobody without it, nor any web page."""

import http.client
import json
import socket
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node
from tests.e2e.until import until

pytestmark = pytest.mark.slow

HELLO = {"type": "context", "to": "birch", "payload": {"body": "over tcp"}}


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(2, FLEET_API_TCP="true")


def asked(
    node: Node, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """One request as `node`'s user makes it; `headers` change it, and an empty one leaves it out."""
    port = node.status()["api"]["tcp"]
    given = {"Authorization": f"Bearer {node.must('token')['token']}", **(headers or {})}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        wanted = {name: value for name, value in given.items() if value}
        connection.request(method, path, None if body is None else json.dumps(body), wanted)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_a_message_by_token(duo: list[Node]) -> None:
    """`POST /message` answers with the id and the rung; the message arrives, once; `/why` tells it."""
    atlas, birch = duo
    status, story = asked(atlas, "POST", "/message", HELLO)
    assert status == 202
    assert story["rung"] == "accepted"
    until(lambda: asked(atlas, "GET", f"/why/{story['id']}")[1]["rung"] == "on_host", "it to arrive")
    assert birch.bodies()["over tcp"] == 1
    status, waited = asked(atlas, "POST", "/message", {**HELLO, "wait": "on_host"})
    assert (status, waited["rung"]) == (200, "on_host")


def test_the_port_file_and_token(duo: list[Node]) -> None:
    """Scripts find the port in `api.port` and the token in a file only its owner may read."""
    atlas = duo[0]
    assert (atlas.home / "api.port").read_text().strip() == str(atlas.status()["api"]["tcp"])
    assert (atlas.home / "token").stat().st_mode & 0o777 == 0o600
    assert duo[0].must("token")["token"] != duo[1].must("token")["token"]


REFUSED: dict[str, tuple[dict[str, str], int, str]] = {
    "no token": ({"Authorization": ""}, 401, "auth.token"),
    "a wrong token": ({"Authorization": "Bearer x"}, 401, "auth.token"),
    "another scheme": ({"Authorization": "Basic eDp4"}, 401, "auth.token"),
    "a foreign host": ({"Host": "evil.example"}, 403, "refused.host"),
    "a foreign origin": ({"Origin": "https://evil.example"}, 403, "refused.origin"),
    "no origin at all": ({"Origin": "null"}, 403, "refused.origin"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nobody_else_is_let_in(duo: list[Node], what: str) -> None:
    """Each is refused before anything is done, with an error of five parts."""
    atlas, birch = duo
    before = birch.bodies()
    headers, status, code = REFUSED[what]
    for method, path, body in (("POST", "/message", HELLO), ("GET", "/status", None), ("GET", "/events", None)):
        found, answer = asked(atlas, method, path, body, headers)
        assert (found, answer["error"]["code"]) == (status, code)
        assert answer["error"].keys() == {"code", "title", "detail", "next_step", "fault"}
    assert birch.bodies() == before


def test_the_token_of_another_node(duo: list[Node]) -> None:
    """Each node has its own."""
    other = duo[1].must("token")["token"]
    assert asked(duo[0], "GET", "/status", headers={"Authorization": f"Bearer {other}"})[0] == 401


WRONG: dict[str, tuple[Any, int, str]] = {
    "an unknown name": ({**HELLO, "to": "nobody"}, 404, "unknown.recipient"),
    "no body": ({"to": "birch"}, 400, "usage.body"),
    "a body of numbers": ({"to": "birch", "payload": {"body": 7}}, 400, "usage.body"),
    "an unknown kind": ({**HELLO, "type": "gossip"}, 400, "usage.body"),
    "a list": ([], 400, "usage.body"),
    "too large": ({**HELLO, "payload": {"body": "x" * ((1 << 20) + 1)}}, 400, "usage.size"),
    "a life no store can hold": ({**HELLO, "ttl": 10**20}, 400, "usage.ttl"),
    "a life that is over": ({**HELLO, "ttl": -1}, 400, "usage.ttl"),
    "a thread no frame can hold": ({**HELLO, "thread": "t" * 5_000}, 400, "usage.thread"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(duo: list[Node], what: str) -> None:
    """A mistake in the request names itself and changes nothing."""
    body, status, code = WRONG[what]
    found, answer = asked(duo[0], "POST", "/message", body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert answer["error"]["detail"]


def test_loopback_only(duo: list[Node]) -> None:
    """The port is bound to 127.0.0.1: no other address of this machine answers there."""
    port = duo[0].status()["api"]["tcp"]
    with closing(socket.socket()) as door:
        assert door.connect_ex(("127.0.0.2", port)) != 0


def test_without_the_setting_there_is_none(lone: Node) -> None:
    """By default there is the Unix socket alone, for its owner alone."""
    status = lone.up()
    assert status["api"]["tcp"] is None
    assert not (lone.home / "api.port").exists()
    assert (lone.home / "run" / "api.sock").stat().st_mode & 0o777 == 0o600
