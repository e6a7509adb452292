"""Ports that change hands while nodes are down: everybody is found again, and nobody is taken for an impostor."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.node import Node, living, start, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow

DOORS = ("HTTP", "NATS", "CLUSTER", "UDP")


def free_ports(count: int) -> list[int]:
    """Ports of the system's choice, all different."""
    with ExitStack() as held:
        doors = [held.enter_context(socket.socket()) for _ in range(count)]
        for door in doors:
            door.bind(("127.0.0.1", 0))
        return [door.getsockname()[1] for door in doors]


@pytest.fixture
def trio() -> Iterator[list[Node]]:
    """Three nodes, each with ports of its own."""
    nodes = [Node(name) for name in ("atlas", "birch", "cedar")]
    sets = [free_ports(len(DOORS)) for _ in nodes]
    settle(nodes, sets)
    with living(*nodes):
        yield nodes


def settle(nodes: list[Node], sets: list[list[int]]) -> None:
    """Give each of these one of these sets of ports, from its next start on."""
    for node, ports in zip(nodes, sets, strict=True):
        node.settings = {f"FLEET_NET_{door}_PORT": str(port) for door, port in zip(DOORS, ports, strict=True)}


def sets_of(nodes: list[Node]) -> list[list[int]]:
    """The ports these were given."""
    return [[int(port) for port in node.settings.values()] for node in nodes]


def delivered(sent: list[tuple[Node, str]]) -> None:
    """Return when all these messages, each with its sender, are on their hosts."""
    for here, msg_id in sent:
        until(lambda here=here, msg_id=msg_id: here.rung(msg_id) == "on_host", f"{here.name}'s")


@pytest.mark.parametrize("together_down", [True, False])
def test_everybody_takes_anothers_ports(trio: list[Node], together_down: bool) -> None:
    """Every node comes back where another one was, all at once or one after another: all channels heal by themselves,
    what waited arrives once, and no certificate is held against anybody. One after another, each is known at its new
    place by somebody before the next one goes: where all have moved unseen, nobody could know where to call."""
    sets = sets_of(trio)
    turned = [*sets[1:], sets[0]]
    if together_down:
        for node in trio:
            node.down()
        settle(trio, turned)
        start(trio)
    else:
        for node, ports in zip(trio, [free_ports(len(DOORS)), *turned[1:]], strict=True):
            node.down()
            settle([node], [ports])
            node.up()
            others = [other for other in trio if other is not node]
            delivered([(one, one.post(node.name, f"{one.name} finds", via="http")["id"]) for one in others])
    sent = [
        (here, here.post(there.name, f"{here.name} to {there.name}")["id"])
        for here in trio
        for there in trio
        if here is not there
    ]
    delivered(sent)
    together(trio)
    for node in trio:
        assert set(node.bodies().values()) == {1}
        assert not node.findings()


def test_a_port_borrowed_by_a_fellow(trio: list[Node]) -> None:
    """While birch is down cedar sits where it was, and is gone from there before birch is back: atlas met cedar at
    birch's address, and does not hold it against birch."""
    atlas, birch, cedar = trio
    (_, bs, cs) = sets_of(trio)
    birch.down()
    cedar.down()
    settle([cedar], [bs])
    cedar.up()
    until(lambda: atlas.sees(cedar), "cedar to be well elsewhere")
    atlas.fleet("check", "birch")  # every channel is tried, at the addresses known
    cedar.down()
    settle([cedar], [cs])
    cedar.up()
    birch.up()
    together(trio)
    assert atlas.send("birch", "home again", via="http")["channel"] == "http"
