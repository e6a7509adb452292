"""The other end of the API, against the real server."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.api.client import Client
from engine.errors import FleetError, exit_code
from tests.engine.api.understudy import Stage, stage


@pytest.fixture
def up() -> Iterator[Stage]:
    with stage() as running:
        yield running


def test_no_node_is_said_with_the_next_step(tmp_path: Path) -> None:
    """Exit code 3, and how to start one."""
    with pytest.raises(FleetError) as caught:
        Client(tmp_path / "api.sock").get("/status")
    assert (caught.value.code, exit_code(caught.value.code)) == ("node.absent", 3)
    assert "fleet up" in caught.value.next_step


def test_a_socket_nobody_serves_is_no_node(up: Stage, tmp_path: Path) -> None:
    """The file alone does not make a node."""
    (tmp_path / "api.sock").touch()
    assert not Client(tmp_path / "api.sock").alive()


def test_an_error_comes_out_as_it_went_in(up: Stage) -> None:
    """The five parts survive the socket."""
    with pytest.raises(FleetError) as caught:
        up.client.why("no-such")
    assert (caught.value.code, caught.value.title) == ("unknown.message", "No such message")
    with pytest.raises(FleetError, match="Nothing at this path"):
        up.client.why("../status")


@pytest.mark.parametrize(("limit", "count"), [(None, 25), (7, 7), (100, 25), (0, 0)])
def test_the_log_is_read_to_its_end(up: Stage, monkeypatch: pytest.MonkeyPatch, limit: int | None, count: int) -> None:
    """Page after page, each line once, until there are no more or enough."""
    monkeypatch.setattr("engine.api.client.PAGE", 10)
    found = [line["id"] for line in up.client.lines(limit)]
    assert found == [f"m{row}" for row in range(count)]


def test_a_stream_keeps_order_and_survives_what_does_not_fit(up: Stage) -> None:
    """Each line is answered on the line of the same number; a bad one is an error there and ends nothing."""

    def asks() -> Iterator[dict[str, Any]]:
        for number in range(1_000):
            yield {"to": "birch" if number % 100 else "nobody", "payload": {"body": str(number)}}

    answers = list(up.client.stream(asks()))
    assert [n for n, answer in enumerate(answers) if "error" in answer] == list(range(0, 1_000, 100))
    sent = [int(call[2]) for call in up.engine.asked]
    assert sent == sorted(sent)
    assert len(sent) == 990


def test_a_stream_answers_while_it_is_being_asked(up: Stage) -> None:
    """The first line's answer comes although the second was not yet said."""
    answered = threading.Event()

    def asks() -> Iterator[dict[str, Any]]:
        yield {"to": "birch", "payload": {"body": "1"}}
        assert answered.wait(10)
        yield {"to": "birch", "payload": {"body": "2"}, "wait": "on_host"}

    answers = up.client.stream(asks())
    assert next(answers)["rung"] == "accepted"
    answered.set()
    assert [answer["rung"] for answer in answers] == ["on_host"]


def test_the_client_is_light() -> None:
    """A command pays for no server and no event loop."""
    said = "import sys, engine.api.client; print({'asyncio', 'starlette', 'uvicorn', 'textual'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
