"""`fleet discover` of a real node: a person's ssh configuration, a tailnet's program, a beacon on a real wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.node import Node, start, together
from tests.e2e.until import until
from tests.lan import Lan

pytestmark = pytest.mark.slow

WIRE = "10.77.8"
STATUS = """{"BackendState": "Running", "Peer": {"nodekey:aa": {"HostName": "Mac2", "DNSName": "mac2.tail1234.ts.net.",
"OS": "macOS", "TailscaleIPs": ["100.101.1.2"], "Online": true}}}"""


@pytest.fixture
def person(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with hosts to call and a program that knows a tailnet."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "config").write_text("Host dune\n  HostName 10.1.0.10\nHost mac2\nHost *\n  User ann\n")
    (tmp_path / "tailscale").write_text(f"#!/bin/sh\ncat <<'END'\n{STATUS}\nEND\n")
    (tmp_path / "tailscale").chmod(0o755)
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "FLEET_DISCOVERY_MDNS": "false"}


def test_what_the_person_and_the_tailnet_know(lone: Node, person: dict[str, str]) -> None:
    """One line a machine, with the host ssh takes; each source can be switched off."""
    lone.up(person)
    assert lone.must("discover") == [
        {"name": "dune", "host": "dune", "source": "ssh", "note": "10.1.0.10", "known_member": ""},
        {"name": "mac2", "host": "mac2", "source": "ssh, tailscale", "note": "macOS", "known_member": ""},
    ]
    shown = lone.spawn("discover")
    out, _ = shown.communicate(timeout=60)
    assert "dune" in out
    assert "`echo 'CODE' | ssh HOST fleet join -`" in out
    lone.down()
    lone.up({**person, "FLEET_DISCOVERY_SSH_CONFIG": "false"})
    assert [one["source"] for one in lone.must("discover")] == ["tailscale"]
    lone.down()
    lone.up({**person, "FLEET_DISCOVERY_SSH_CONFIG": "false", "FLEET_DISCOVERY_TAILSCALE": "false"})
    assert lone.must("discover") == []


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A wire with two machines."""
    with Lan({WIRE: "ab"}) as lan:
        yield lan


@pytest.fixture
def wired(lan: Lan) -> Iterator[tuple[Node, Node]]:
    """A node on each of them, in fleets of their own."""
    quiet = {"FLEET_DISCOVERY_SSH_CONFIG": "false", "FLEET_DISCOVERY_TAILSCALE": "false", "FLEET_NET_LISTEN": ""}
    nodes = Node("atlas", quiet, inside=lan.command("a")), Node("birch", quiet, inside=lan.command("b"))
    try:
        yield nodes
    finally:
        for node in nodes:
            node.end()


@pytest.mark.needs_root
@pytest.mark.needs("ip")
def test_a_node_shows_itself_while_others_can_reach_it(wired: tuple[Node, Node]) -> None:
    """Alone it listens on loopback and is not seen; while it invites it is, under its name; once the other has joined,
    as the member that it is."""
    atlas, birch = wired
    atlas.up()
    birch.up()
    assert birch.must("discover") == []
    code = atlas.must("invite")["code"]
    (seen,) = until(lambda: birch.must("discover"), "atlas to be seen")
    assert (seen["name"], seen["host"], seen["source"]) == ("atlas", f"{WIRE}.1", "mdns")
    assert seen["known_member"] == ""
    birch.must("join", code)
    until(lambda: [one["known_member"] for one in birch.must("discover")] == ["atlas"], "atlas to be known")


@pytest.mark.needs_root
@pytest.mark.needs("ip")
def test_all_get_other_addresses_at_once(lan: Lan, wired: tuple[Node, Node]) -> None:
    """A router starts anew, and nobody is where anybody tells it: they find each other by what they show, and what
    waited arrives once, over channels that have healed."""
    atlas, birch = wired
    start(wired)
    birch.must("join", atlas.must("invite")["code"])
    together(wired)
    lan.move("a", WIRE, f"{WIRE}.71")
    lan.move("b", WIRE, f"{WIRE}.72")
    msg_id = atlas.post("birch", "where are you?")["id"]
    until(lambda: atlas.rung(msg_id) == "on_host", "it to arrive")
    together(wired)
    assert birch.bodies() == {"where are you?": 1}
    assert not atlas.findings()
    assert not birch.findings()
