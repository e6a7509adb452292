"""Waking, with real nodes on real wires: atlas and birch share one, birch and cedar another; atlas and cedar never
meet, and where cedar's card would listen there is an ear."""

import socket
from collections.abc import Iterator

import pytest

from engine.transports.wol.magic import packet
from tests.e2e.node import Node, start
from tests.e2e.until import until
from tests.lan import Lan
from tests.sshd import Sshd

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "sshd")]

OFFICE, CELLAR = "10.77.5", "10.77.6"


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    with Lan({OFFICE: "ab", CELLAR: "bc"}) as lan:
        yield lan


@pytest.fixture(scope="module")
def server(lan: Lan) -> Iterator[Sshd]:
    """The sshd of cedar's machine, which lets birch in."""
    made = lan.inside("c", lambda: Sshd(host=lan.host("c", CELLAR)))
    try:
        yield lan.inside("c", made.start)
    finally:
        made.end()


@pytest.fixture(scope="module")
def nodes(lan: Lan, server: Sshd) -> Iterator[list[Node]]:
    """atlas, birch, cedar: joined by birch, whom both others reach; each told everybody of its card."""
    ssh = {"birch": {"FLEET_SSH_KEYS": str(server.key)}, "cedar": server.environ}
    made = []
    for name, machine, wire in (("atlas", "a", OFFICE), ("birch", "b", CELLAR), ("cedar", "c", CELLAR)):
        settings = {
            "FLEET_NET_LISTEN": "0.0.0.0",
            "FLEET_WAKE_MACS": lan.mac(machine, wire),
            "FLEET_BROKER_ENABLED": "false",
            "FLEET_DISCOVERY_MDNS": "false",
            **ssh.get(name, {}),
        }
        made.append(Node(name, settings, inside=lan.command(machine)))
    try:
        start(made)
        atlas, birch, cedar = made
        for other in (atlas, cedar):
            other.api.post("/join", {"code": birch.api.post("/invite")["code"]})
        until(lambda: birch.sees(atlas, cedar, channels=["http"]), "birch to see both")
        until(lambda: all(one.sees(birch, channels=["http"]) for one in (atlas, cedar)), "both to see birch")
        until(lambda: present(atlas, "cedar"), "atlas to hear of cedar through birch")
        until(lambda: all(knows_card(one, "cedar") for one in (atlas, birch)), "cedar's card to be known")
        until(lambda: knows_card(atlas, "birch"), "birch's card to be known")
        yield made
    finally:
        for node in made:
            node.end()


def present(node: Node, name: str) -> bool:
    """Whether it holds this one for alive."""
    seen = node.peer(name)
    return bool(seen and seen["standing"] == "ALIVE")


def knows_card(node: Node, name: str) -> bool:
    """Whether it could send a magic packet to this one."""
    seen = node.peer(name)
    return bool(seen and seen["channels"].get("wol", "ABSENT") != "ABSENT")


def ear(lan: Lan) -> socket.socket:
    """What cedar's card would hear while cedar sleeps."""

    def opened() -> socket.socket:
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard.bind(("", 9))
        heard.settimeout(60)
        return heard

    return lan.inside("c", opened)


def test_who_is_there_is_not_woken(nodes: list[Node]) -> None:
    """The health check comes first: no packet, no waiting."""
    atlas, _, _ = nodes
    woken = atlas.must("wake", "cedar")
    assert woken["awake"] is True
    assert woken["steps"] == ["it is there"]


def test_a_machine_is_woken_through_a_neighbour(nodes: list[Node], lan: Lan) -> None:
    """cedar sleeps; atlas's own packets cannot reach it, birch's do. Sent is not awake: the command ends when cedar's
    node is heard, and mail that waited goes."""
    atlas, birch, cedar = nodes
    cedar.kill()
    until(lambda: not present(atlas, "cedar"), "cedar to be missed")
    waiting = atlas.post("cedar", "good morning")["id"]
    with ear(lan) as listening:
        waking = atlas.spawn("wake", "cedar", "--wait", "90", "--json")
        for _ in range(3):
            data, (host, _) = listening.recvfrom(2_048)
            assert data == packet(lan.mac("c", CELLAR))
            assert host in (lan.host("b", CELLAR), lan.host("b", OFFICE))
    assert waking.poll() is None, waking.communicate()
    cedar.up()
    out, err = waking.communicate(timeout=100)
    assert waking.returncode == 0, out + err
    assert '"awake": true' in out
    assert "asked birch to send it there" in out
    until(lambda: atlas.rung(waiting) == "on_host", "the mail that waited")
    until(lambda: present(birch, "cedar"), "birch to see it too")


def test_a_node_that_does_not_run_is_started_over_ssh(nodes: list[Node]) -> None:
    """The machine is there and its node is not: whoever its sshd lets in starts it by its own command."""
    _, birch, cedar = nodes
    until(lambda: birch.sees(cedar, channels=["http", "ssh"]), "cedar's sshd to be known")
    cedar.kill()
    until(lambda: not present(birch, "cedar"), "cedar to be missed")
    woken = birch.must("wake", "cedar", "--wait", "60")
    assert woken["awake"] is True
    assert "over ssh: it was started" in woken["steps"]


def test_sent_is_not_awake_and_three_a_minute_are_enough(nodes: list[Node]) -> None:
    """Nobody wakes: status 5, with what was done. With --wait 0 it is not waited for. After three bursts within a
    minute the next is refused: status 4, with when."""
    atlas, _, cedar = nodes
    cedar.down()
    until(lambda: not present(atlas, "cedar"), "cedar to be missed")
    ran = atlas.fleet("wake", "cedar", "--wait", "1")
    assert ran.status == 5, ran
    assert ran.error["code"] == "timeout.wake"
    assert "magic packet sent to 1 network; asked birch to send it there" in ran.error["detail"]
    assert atlas.must("wake", "cedar", "--wait", "0")["awake"] is False
    more = (atlas.fleet("wake", "cedar", "--wait", "0") for _ in range(4))
    refused = next(ran for ran in more if ran.status)
    assert refused.status == 4, refused
    assert "woken 3 times within a minute; again in" in refused.error["detail"]
    cedar.up()


def test_who_never_told_of_a_card_cannot_be_woken(nodes: list[Node]) -> None:
    """An unknown machine is an error at once, as everywhere."""
    atlas, _, _ = nodes
    assert atlas.fleet("wake", "nobody").error["code"] == "unknown.recipient"
    assert atlas.fleet("wake", "cedar", "--readonly").status == 4
