"""A tunnel to a peer that only ssh reaches: real nodes on a wire, a real sshd, and a packet filter that lets nothing
else through."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.node import Node, start, together
from tests.e2e.until import until
from tests.lan import Lan
from tests.sshd import Sshd

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "nft", "sshd")]

WIRE = "10.77.7"


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    with Lan({WIRE: "ab"}) as lan:
        yield lan


@pytest.fixture(scope="module")
def server(lan: Lan) -> Iterator[Sshd]:
    """The sshd of birch's machine."""
    made = lan.inside("b", lambda: Sshd(host=lan.host("b", WIRE)))
    try:
        yield lan.inside("b", made.start)
    finally:
        made.end()


@pytest.fixture(scope="module")
def pair(lan: Lan, server: Sshd) -> Iterator[tuple[Node, Node]]:
    """atlas and birch, well; birch told of its sshd."""
    quiet = {"FLEET_NET_LISTEN": "0.0.0.0", "FLEET_DISCOVERY_MDNS": "false", "FLEET_HEALTH_BACKOFF_MAX_S": "2"}
    atlas = Node("atlas", {**quiet, "FLEET_SSH_KEYS": str(server.key)}, inside=lan.command("a"))
    birch = Node("birch", {**quiet, **server.environ}, inside=lan.command("b"))
    try:
        start([atlas, birch])
        birch.api.post("/join", {"code": atlas.api.post("/invite")["code"]})
        together([atlas, birch])
        until(lambda: atlas.sees(birch, channels=["ssh"]), "birch's sshd to be known")
        yield atlas, birch
    finally:
        for node in (atlas, birch):
            node.end()


def only_ssh(lan: Lan, server: Sshd) -> None:
    """What birch's machine lets through to and from the wire."""
    rules = f"""
    table inet wall {{
        chain input {{
            type filter hook input priority 0;
            iifname "e0" tcp dport != {server.port} drop
            iifname "e0" meta l4proto udp drop
        }}
        chain output {{
            type filter hook output priority 0;
            oifname "e0" tcp sport != {server.port} drop
            oifname "e0" meta l4proto udp drop
        }}
    }}
    """
    subprocess.run((*lan.command("b"), "nft", "-f", "-"), input=rules, text=True, check=True)


def broken(node: Node, *channels: str) -> bool:
    """Whether these do not work to birch."""
    seen = node.peer("birch")["channels"]
    return all(seen[one] in ("BROKEN", "HEALING") for one in channels)


def line(node: Node) -> dict[str, object]:
    """The one tunnel of a node."""
    (one,) = node.must("tunnel", "list")
    assert isinstance(one, dict)
    return one


def is_up(atlas: Node, birch: Node) -> bool:
    """Whether it stands and P1 and P2 work through it."""
    return line(atlas)["state"] == "up" and atlas.sees(birch)


def test_it_takes_over_where_it_stood_before_the_cut(pair: tuple[Node, Node], lan: Lan, server: Sshd) -> None:
    """Added while all is well it changes nothing; once nothing but ssh passes P1 goes through it, both ways, though the
    broker had found its route to be one too many."""
    atlas, birch = pair
    atlas.must("tunnel", "add", "birch")
    until(lambda: is_up(atlas, birch), "the tunnel beside the direct links")
    only_ssh(lan, server)
    until(lambda: broken(atlas, "nats"), "P1 to break")
    until(lambda: is_up(atlas, birch), "P1 and P2 through the tunnel")
    assert atlas.send("birch", "over nats", via="nats")["channel"] == "nats"
    assert birch.send("atlas", "and back", via="nats")["channel"] == "nats"


def test_it_comes_back_when_sshd_and_when_the_node_does(pair: tuple[Node, Node], server: Sshd, lan: Lan) -> None:
    """Without its sshd it retries and says why; with it, it is up again; so it is after the repair `restart_tunnel` and
    after another start of the node."""
    atlas, birch = pair
    until(lambda: is_up(atlas, birch), "the tunnel")
    server.stop()
    until(lambda: line(atlas)["state"] == "retrying" and "refused" in str(line(atlas)["reason"]), "the reason")
    lan.inside("b", server.start)
    until(lambda: is_up(atlas, birch), "the tunnel once more")
    mended = atlas.must("repair", "--local", "restart_tunnel")
    assert "tunnels opened anew: birch" in json.dumps(mended)
    until(lambda: is_up(atlas, birch), "the tunnel after its repair")
    atlas.down()
    atlas.up()
    until(lambda: is_up(atlas, birch), "the tunnel after a start")


def test_removed_it_is_gone(pair: tuple[Node, Node]) -> None:
    """No tunnel, no P1 and P2; what is not kept cannot be removed; a host that is none is refused."""
    atlas, _ = pair
    assert atlas.must("tunnel", "remove", "birch") == []
    until(lambda: broken(atlas, "nats", "http"), "P1 and P2 to break again")
    assert atlas.must("tunnel", "list") == []
    assert atlas.fleet("tunnel", "remove", "birch").error["code"] == "unknown.tunnel"
    assert atlas.fleet("tunnel", "add", "nobody").error["code"] == "unknown.recipient"
    assert atlas.fleet("tunnel", "add", "birch", "--ssh", "-oProxyCommand=x").status == 2
    assert atlas.fleet("tunnel", "add").status == 2
    assert atlas.fleet("tunnel", "add", "birch", "--readonly").status == 4


def test_p1_and_p2_work_through_it(pair: tuple[Node, Node]) -> None:
    """Added where nothing else passes, it comes up by what birch told; P1 and P2 are healthy through it, and mail goes
    over either, both ways."""
    atlas, birch = pair
    added = atlas.must("tunnel", "add", "birch")
    assert added["peer"] == "birch"
    until(lambda: is_up(atlas, birch), "P1 and P2 through the tunnel")
    shown = line(atlas)
    assert shown["http"]
    assert shown["nats"]
    for channel in ("http", "nats"):
        assert atlas.send("birch", f"over {channel}", via=channel)["channel"] == channel
    assert birch.send("atlas", "and back", via="nats")["channel"] == "nats"
    kept = atlas.home / "tunnels.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [one["ssh"] for one in json.loads(kept.read_text())] == [""]
