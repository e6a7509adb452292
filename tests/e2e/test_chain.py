"""Three machines in a row: the ends share no network and only the middle one reaches both (faults.md, rows 37 and 39).

Each node lives in a network namespace of its own with its own addresses, and listens as it does by default. A cable
that is pulled drops packets without a word, which is what a machine that lost its power looks like.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.node import Node, start
from tests.e2e.until import until

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip")]

PLACES = ("west", "middle", "east")


def ip(*words: str) -> None:
    """One `ip` command that has to succeed."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Row:
    """The namespaces and their cables: west–middle and middle–east."""

    def __init__(self) -> None:
        self.names = {place: f"fl{os.getpid()}{place}" for place in PLACES}

    def lay(self) -> None:
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        for number, end in ((1, "west"), (2, "east")):
            here, there = self.names[end], self.names["middle"]
            ip("link", "add", "cable", "netns", here, "type", "veth", "peer", "name", end, "netns", there)
            for name, device, host in ((here, "cable", 1), (there, end, 2)):
                ip("-n", name, "addr", "add", f"10.201.{number}.{host}/24", "dev", device)
                ip("-n", name, "link", "set", device, "up")

    def carries(self) -> bool:
        """Whether every end of every cable is up, which the kernel takes up to a second to see."""
        shown = (
            subprocess.run(["ip", "-n", name, "link"], capture_output=True, text=True) for name in self.names.values()
        )
        return sum(one.stdout.count("state UP") for one in shown) == 4

    def pull(self, end: str) -> None:
        """Pull the cable between the middle and one end."""
        ip("-n", self.names["middle"], "link", "set", end, "down")

    def plug(self, end: str) -> None:
        """Put it back."""
        ip("-n", self.names["middle"], "link", "set", end, "up")

    def node(self, place: str) -> Node:
        """A node that lives there."""
        return Node(place, {"FLEET_NET_LISTEN": ""}, inside=("ip", "netns", "exec", self.names[place]))

    def clear(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    laid = Row()
    try:
        try:
            laid.lay()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs network namespaces, and making one is not permitted: {error.stderr.strip()}")
        until(laid.carries, "the cables to carry")
        yield laid
    finally:
        laid.clear()


@pytest.fixture(scope="module")
def three(row: Row) -> Iterator[list[Node]]:
    """West, middle and east, in the fleet of the middle one."""
    west, middle, east = nodes = [row.node(place) for place in PLACES]
    try:
        start(nodes)
        for end in (west, east):
            end.must("join", middle.must("invite")["code"])
        for end in (west, east):
            until(lambda end=end: middle.sees(end) and end.sees(middle), f"{end.name} to be well")
        yield nodes
    finally:
        for node in nodes:
            node.end()


def test_the_middle_carries(three: list[Node]) -> None:
    """The ends, which have no way to each other, exchange mail through the middle, and take each other for alive."""
    west, middle, east = three
    for here, there in ((west, east), (east, west)):
        story = here.send(there.name, f"hello from {here.name}")
        assert story["channel"] == "relay" or story["channel"] == "nats", story
        assert there.bodies()[f"hello from {here.name}"] == 1
    for here, there in ((west, east), (east, west)):
        until(lambda here=here, there=there: here.peer(there.name)["standing"] == "ALIVE", "the ends to be alive")
    assert middle.letters() == []


def test_a_machine_that_changes_networks(three: list[Node], row: Row) -> None:
    """West gets another address while it runs, as a laptop does: it tells, and is reached there over every channel."""
    west, middle, _ = three
    ip("-n", row.names["west"], "addr", "add", "10.201.1.77/24", "dev", "cable")
    ip("-n", row.names["west"], "addr", "del", "10.201.1.1/24", "dev", "cable")
    ip("-n", row.names["west"], "addr", "replace", "10.201.1.77/24", "dev", "cable")

    def told() -> bool:
        middle.api.post("/check", {"name": "west"})
        return middle.sees(west) and west.sees(middle)

    until(told, "west to be well at its new address")
    assert middle.send("west", "at the new address", via="http")["channel"] == "http"


def test_a_pulled_cable(three: list[Node], row: Row) -> None:
    """East's cable is pulled, which nobody is told: what is sent to it, from the middle and from the far end, waits;
    with the cable back it arrives, once, and the channels heal by themselves."""
    west, middle, east = three
    row.pull("east")
    sent = [(node, node.post("east", f"{node.name} {number}")["id"]) for node in (west, middle) for number in range(20)]
    sent += [(east, east.post(name, f"out {name}")["id"]) for name in ("west", "middle")]
    until(lambda: middle.peer("east")["standing"] == "UNREACHABLE", "east to be missed")
    assert middle.peer("west")["standing"] == "ALIVE"
    assert {node.rung(msg_id) for node, msg_id in sent} == {"accepted"}
    assert middle.send("west", "the other side goes on")["rung"] == "on_host"
    row.plug("east")
    for node, msg_id in sent:
        until(lambda node=node, msg_id=msg_id: node.rung(msg_id) == "on_host", f"{node.name}'s on its host")
    until(lambda: middle.sees(east) and east.sees(middle), "the channels to heal")
    came = east.bodies()
    assert [body for body in (f"{name} {n}" for name in ("west", "middle") for n in range(20)) if came[body] != 1] == []
    assert west.bodies()["out west"] == middle.bodies()["out middle"] == 1
