"""Processes that stand still and go on (faults.md, row 40)."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.until import until
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab
from tests.faults.scale import scaled

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "nft")]


@contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """A process that stands still inside the `with`."""
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_broker_that_stands_still(lab: Lab[Bridge]) -> None:
    """SIGSTOP of one nats-server for five seconds and longer: the two others are not held up by it, its node's mail
    goes over other channels, and it goes on where it stood."""
    atlas, birch, cedar = lab.nodes
    with lab.case() as books:
        with stopped(birch.broker_pid):
            ends = time.monotonic() + scaled(5, 15)
            while time.monotonic() < ends:
                stories = [books.send(*pair) for pair in ((atlas, birch), (birch, cedar), (atlas, cedar))]
                assert {story["channel"] for story in stories[:2]} <= {"http", "relay"}
                time.sleep(0.1)
        assert birch.brokers() == [birch.broker_pid]


def test_a_node_that_stands_still(lab: Lab[Bridge]) -> None:
    """SIGSTOP of a node until everybody has missed it, as a laptop that is shut: when it goes on it hears what came for
    it before it judges anybody, so it calls nobody gone; and it is believed at once."""
    atlas, birch, cedar = lab.nodes
    with lab.case() as books:
        with stopped(birch.pid):
            ids = [books.post(here, birch) for here in (atlas, cedar) for _ in range(20)]
            for node in (atlas, cedar):
                until(lambda node=node: node.peer("birch")["standing"] == "UNREACHABLE", f"{node.name} to miss birch")
        seen: set[str] = set()

        def back() -> bool:
            seen.update(peer["standing"] for peer in birch.status()["peers"])
            return all(node.peer("birch")["standing"] == "ALIVE" for node in (atlas, cedar))

        until(back, "birch to be believed again")
        books.proved(ids)
        assert seen <= {"ALIVE", "SUSPECT"}
