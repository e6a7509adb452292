"""`fleet_tui/lending.py`: the words between a stub and its node."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_tui import lending
from fleet_tui.lending import End, Line


@pytest.fixture
def lines() -> Iterator[tuple[Line, Line]]:
    """Two ends of one line; the second is the node's and does not block."""
    here, there = socket.socketpair(socket.AF_UNIX)
    there.setblocking(False)
    ends = Line(here), Line(there)
    yield ends
    for end in ends:
        end.close()


def test_a_message_arrives_whole_with_its_descriptor(lines: tuple[Line, Line]) -> None:
    """A descriptor travels beside its message and opens the same thing, closed to programs we start."""
    stub, node = lines
    read, write = os.pipe()
    stub.send({"do": "lend", "text": "ä\n"}, [write])
    assert node.receive() == ([{"do": "lend", "text": "ä\n"}], True)
    (copy,) = node.take_fds()
    assert not os.get_inheritable(copy)
    os.write(copy, b"same pipe")
    assert os.read(read, 64) == b"same pipe"
    assert node.take_fds() == []
    for fd in (read, write, copy):
        os.close(fd)


def test_messages_are_cut_apart_and_put_together(lines: tuple[Line, Line]) -> None:
    """Two messages in one packet are two, one message in two packets is one."""
    stub, node = lines
    stub.send({"n": 1})
    stub.send({"n": 2})
    assert node.receive() == ([{"n": 1}, {"n": 2}], True)
    stub._sock.send(b'{"n"')
    assert node.receive() == ([], True)
    stub._sock.send(b": 3}\n")
    assert node.receive() == ([{"n": 3}], True)


def test_silence_is_not_the_end(lines: tuple[Line, Line]) -> None:
    """Nothing to read is told apart from nobody to read from."""
    stub, node = lines
    assert node.receive() == ([], True)
    stub.send({"n": 1})
    stub.close()
    assert node.receive() == ([{"n": 1}], True)
    assert node.receive() == ([], False)


@pytest.mark.parametrize("noise", [b"not json\n", b"[1]\n", b"\xff\xfe\n"])
def test_what_is_no_message_is_refused(lines: tuple[Line, Line], noise: bytes) -> None:
    """Anything but an object in JSON ends the talk with one exception type."""
    stub, node = lines
    stub._sock.send(noise)
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of noise says it in other words
        node.receive()


def test_a_message_without_end_is_refused(lines: tuple[Line, Line]) -> None:
    """More than `LONGEST` bytes without a line's end are not kept."""
    stub, node = lines
    for _ in range(lending.LONGEST // 16384):
        stub._sock.send(b"x" * 16384)
        assert node.receive() == ([], True)
    stub._sock.send(b"x")
    with pytest.raises(ValueError, match="without an end"):
        node.receive()


def test_descriptors_nobody_took_are_closed(lines: tuple[Line, Line]) -> None:
    """Hanging up closes what came and was not wanted."""
    stub, node = lines
    read, write = os.pipe()
    stub.send({"do": "lend"}, [write])
    os.close(write)
    node.receive()
    node.close()
    assert os.read(read, 1) == b""
    os.close(read)


def test_only_a_terminals_environment_is_lent() -> None:
    """The stub's other variables, which may be secrets, stay with it."""
    environ = {"TERM": "xterm", "NO_COLOR": "", "LANG": "C", "AWS_SECRET_ACCESS_KEY": "x", "TEXTUAL_LOG": "/tmp/x"}
    message = lending.lend_message((80, 24), environ, {"readonly": "1"})
    assert message["env"] == {"TERM": "xterm", "NO_COLOR": "", "LANG": "C"}
    assert message["options"] == {"readonly": "1"}
    assert json.loads(json.dumps(message))["size"] == [80, 24]


def test_the_socket_is_private_and_knows_its_peer(home: Path) -> None:
    """Mode 0600, and the kernel says who is at the other end."""
    listener = lending.listen(home)
    assert (home / lending.SOCKET).stat().st_mode & 0o777 == 0o600
    assert lending.accept(listener) is None
    stub = lending.connect(home)
    assert stub is not None
    node = lending.accept(listener)
    assert node is not None
    assert lending.peer_uid(node._sock) == os.getuid()
    for end in (stub, node, listener):
        end.close()


def test_another_users_stub_is_not_answered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer with another uid is hung up on before it can say anything."""
    listener = lending.listen(home)
    stub = lending.connect(home)
    assert stub is not None
    monkeypatch.setattr(lending, "peer_uid", lambda sock: os.getuid() + 1)
    assert lending.accept(listener) is None
    assert stub.receive() == ([], False)
    stub.close()
    listener.close()


def test_a_dead_nodes_socket_is_nobody_and_is_replaced(home: Path) -> None:
    """The file a killed node leaves behind neither answers nor stands in the way."""
    assert lending.connect(home) is None
    lending.listen(home).close()
    assert lending.connect(home) is None
    listener = lending.listen(home)
    stub = lending.connect(home)
    assert stub is not None
    stub.close()
    listener.close()


def test_ends_are_words_for_people() -> None:
    """The reasons are their own JSON."""
    assert json.dumps({"ended": End.TAKEN_OVER}) == '{"ended": "taken over"}'
