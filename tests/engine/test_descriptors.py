"""What a process does that has few file descriptors, while strangers take what they can get."""

import asyncio
import logging
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine import descriptors
from engine.descriptors import Complaints

HERE = Path(__file__)


def test_a_limit_is_raised_and_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the hard one goes, up to a bound; who has more keeps it."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: asked.append(pair))
    endless = resource.RLIM_INFINITY
    for soft, hard in ((256, endless), (256, 512), (256, 256), (20_000, 20_000), (endless, endless)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, pair=(soft, hard): pair)
        descriptors.raised()
    assert asked == [(descriptors.MOST, endless), (512, 512)]


def test_places_are_a_share_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are wanted, unless that is more than the share."""
    for soft, places in ((20_000, 128), (1_024, 128), (128, 16), (4, 1), (resource.RLIM_INFINITY, 128)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, soft=soft: (soft, soft))
        assert descriptors.share(128, 8) == places


async def test_the_same_trouble_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback, then how often it came again; another trouble is said as well."""
    loop, complaints = asyncio.get_running_loop(), Complaints()
    caplog.set_level(logging.WARNING)
    for number in range(1_000):
        try:
            [][number]
        except IndexError as error:
            complaints(loop, {"message": f"callback {number}", "exception": error})
    complaints(loop, {"message": "another"})
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == ["callback 0", "another"]
    (kind, _) = complaints._again
    complaints._sum_up(kind, "it")
    assert caplog.records[-1].getMessage() == "it: 999 times more within a minute"
    assert not complaints.none_left(loop.time())


def test_a_flood_of_strangers() -> None:
    """Two hundred that say nothing at a port of a process with 128 descriptors: they get its strangers' places and no
    more. Where it really has none left, that is said once, however often it is tried, and it goes on by itself."""
    process = subprocess.Popen(
        [sys.executable, str(HERE.with_name("flooded.py"))],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    strangers: list[socket.socket] = []
    with process:
        assert process.stdin
        assert process.stdout
        try:
            number = int(process.stdout.readline().split()[1])
            strangers += [socket.create_connection(("127.0.0.1", number)) for _ in range(200)]
            assert process.stdout.readline() == "well 200 0\n"
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert process.stdout.readline() == "full\n"
            strangers.append(socket.create_connection(("127.0.0.1", number)))
            assert process.stdout.readline().startswith("none left True 1 socket.accept() out of system resource: ")
            assert process.stdout.readline() == "let in\n"
        finally:
            for one in strangers:
                one.close()
            process.kill()
