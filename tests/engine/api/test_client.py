"""The other end of the API, against a real node."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.api.client import Client
from engine.errors import FleetError, exit_code
from tests.engine.api.stage import Stage


def test_no_node_is_said_with_the_next_step(tmp_path: Path) -> None:
    """Exit code 3, and how to start one."""
    with pytest.raises(FleetError) as caught:
        Client(tmp_path / "api.sock").get("/status")
    assert (caught.value.code, exit_code(caught.value.code)) == ("node.absent", 3)
    assert "fleet up" in caught.value.next_step


def test_a_file_is_no_node(tmp_path: Path) -> None:
    """What a dead node left behind does not answer."""
    (tmp_path / "api.sock").touch()
    assert not Client(tmp_path / "api.sock").alive()


def test_an_error_comes_out_as_it_went_in(trio: Stage) -> None:
    """The five parts survive the socket; an id cannot be a path."""
    with pytest.raises(FleetError) as caught:
        trio.client.why("no-such")
    assert (caught.value.code, caught.value.title) == ("unknown.message", "No such message")
    with pytest.raises(FleetError, match="Nothing at this path"):
        trio.client.why("../status")


CUTS = {
    "at once": b"",
    "in the status": b"HTTP/1.1",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
}


@pytest.mark.parametrize("said", CUTS.values(), ids=CUTS.keys())
def test_a_node_that_goes_away_is_said(home: Path, said: bytes) -> None:
    """Wherever its answer ends, it is an error with a next step, and never half an answer."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(home / "api.sock"))
        door.listen()

        def answer() -> None:
            client, _ = door.accept()
            client.recv(65_536)
            client.sendall(said)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FleetError) as caught:
            Client(home / "api.sock").get("/status")
        thread.join()
    assert caught.value.code == "node.gone"


def test_a_question_waits_as_long_as_it_was_told(home: Path) -> None:
    """A node that takes its time is given up when the asker's patience ends, not before, and its error says so."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(home / "api.sock"))
        door.listen()
        with pytest.raises(FleetError, match=r"no answer in 0\.02 s") as caught:
            Client(home / "api.sock").get("/doctor", patience_s=0.02)
    assert caught.value.code == "timeout.api"


@pytest.fixture(scope="module")
def sent(trio: Stage) -> list[str]:
    """Two pages and a half of the log, oldest first."""
    asks = ({"to": "cedar", "type": "sync", "payload": {"body": "page"}} for _ in range(25))
    return [answer["id"] for answer in trio.client.stream(asks)]


@pytest.mark.parametrize(("limit", "count"), [(None, 25), (7, 7), (17, 17), (100, 25), (0, 0)])
def test_the_log_is_read_to_its_end(
    trio: Stage, sent: list[str], monkeypatch: pytest.MonkeyPatch, limit: int | None, count: int
) -> None:
    """Page after page, newest first, each line once, until there are no more or enough."""
    monkeypatch.setattr("engine.api.client.PAGE", 10)
    assert [line["id"] for line in trio.client.lines(limit, kind="sync")] == sent[::-1][:count]


def test_a_stream_keeps_order_and_survives_what_does_not_fit(trio: Stage) -> None:
    """Each line is answered on the line of the same number; a bad one is an error there and ends nothing."""

    def asks() -> Iterator[dict[str, Any]]:
        for number in range(1_000):
            yield {"to": "birch" if number % 100 else "nobody", "type": "reply", "payload": {"body": str(number)}}

    answers = list(trio.client.stream(asks()))
    assert [n for n, answer in enumerate(answers) if "error" in answer] == list(range(0, 1_000, 100))
    sent = [answer["id"] for answer in answers if "id" in answer]
    assert [line["id"] for line in trio.client.lines(None, kind="reply")] == sent[::-1]


def test_a_stream_answers_while_it_is_being_asked(trio: Stage) -> None:
    """The first line's answer comes although the second was not yet said."""
    answered = threading.Event()

    def asks() -> Iterator[dict[str, Any]]:
        yield {"to": "birch", "payload": {"body": "1"}}
        assert answered.wait(10)
        yield {"to": "birch", "payload": {"body": "2"}, "wait": "on_host"}

    answers = trio.client.stream(asks())
    assert next(answers)["rung"] == "accepted"
    answered.set()
    assert [answer["rung"] for answer in answers] == ["on_host"]


def test_the_client_is_light() -> None:
    """A command pays for no server, no event loop and no TLS."""
    heavy = "{'asyncio', 'starlette', 'uvicorn', 'textual', 'ssl', 'http'}"
    said = f"import sys, engine.api.client; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
