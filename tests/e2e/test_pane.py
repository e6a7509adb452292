"""A real node in a real tmux: a message from the keyboard, and panes that go while mail comes."""

import sys
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import ROOT, Node
from tests.e2e.until import until
from tests.fleet_tui.pane import Pane

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux")]

SIZES = ((120, 40), (80, 24), (60, 20))


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(2)


@pytest.fixture
def panes() -> Iterator[list[Pane]]:
    opened: list[Pane] = []
    yield opened
    for pane in opened:
        pane.close()


def attached(node: Node, panes: list[Pane], size: tuple[int, int] = (120, 40)) -> Pane:
    """`fleet` in a new pane, once it shows the map with both on it."""
    line = f"cd {ROOT}; {sys.executable} -m fleet_tui --home {node.home}; echo EXIT $?; cat"
    panes.append(Pane(line, size))
    panes[-1].until("atlas", "birch", "1 Peers", "? help")
    return panes[-1]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_a_message_from_the_keyboard(duo: list[Node], panes: list[Pane], size: tuple[int, int]) -> None:
    """`m`, a few words, `ctrl+s`: the peer has them, once, and the log shows the message on its host."""
    atlas, birch = duo
    pane = attached(atlas, panes, size)
    body = f"typed at {size[0]} by {size[1]}"
    pane.keys("2")
    pane.until("birch", "enter history")
    pane.keys("m")
    pane.until("ctrl+s")
    pane.tmux("send-keys", "-l", body)
    pane.until(body)
    pane.keys("C-s")
    until(lambda: birch.bodies()[body] == 1, "the message")
    pane.keys("Escape")
    # Until the question is gone: an escape with a key behind it is another key.
    until(lambda: "esc closes" not in pane.text(), "the question to close")
    pane.keys("6")
    pane.until("receipt", "birch", "on host")
    if size == SIZES[0]:
        pane.keys("8")
        until(lambda: looked_at(atlas), "the doctor to look at this terminal")
        pane.keys("6")
        pane.until("receipt", "birch", "on host")
    pane.keys("D")
    pane.until("the node goes on", "EXIT 0")


def test_detached_killed_and_attached_again(duo: list[Node], panes: list[Pane]) -> None:
    """While mail comes in both directions: detach, attach, kill the pane, attach again, and take over from another
    pane. It is the same process throughout; every message is there, once; nobody was suspected."""
    atlas, birch = duo
    pid, count = atlas.pid, 300
    out, back = [f"out {number}" for number in range(count)], [f"back {number}" for number in range(count)]
    suspicions = len(ledger(birch))
    busy = [
        Thread(target=lambda: [atlas.send("birch", body) for body in out]),
        Thread(target=lambda: [birch.send("atlas", body) for body in back]),
    ]
    for thread in busy:
        thread.start()
    pane = attached(atlas, panes)
    pane.keys("D")
    pane.until("the node goes on", "EXIT 0")
    attached(atlas, panes).tmux("kill-pane")
    until(lambda: atlas.status()["node"]["terminal"] == "detached", "the killed pane to be a detach")
    first = attached(atlas, panes)
    attached(atlas, panes)
    first.until("EXIT 0")
    for thread in busy:
        thread.join()
    assert atlas.pid == pid
    assert {body: birch.bodies()[body] for body in out} == dict.fromkeys(out, 1)
    assert {body: atlas.bodies()[body] for body in back} == dict.fromkeys(back, 1)
    assert len(ledger(birch)) == suspicions


def looked_at(node: Node) -> bool:
    """Whether the last look of a screen was at the terminal it is drawn on."""
    found = node.api.get("/doctor", last=1)
    return any(one["check"] == "terminal" and one["health"] != "unused" for one in found)


def ledger(node: Node) -> list[dict[str, Any]]:
    """The entries that tell of a peer that was lost."""
    return [one for one in node.api.get("/ledger", limit=1_000) if one["verb"] == "peer.unreachable"]
