"""Discovery: what is said of machines nearby, by real files, a real program and real multicast, made one list."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from engine.membership import discovery_mdns, discovery_ssh, discovery_tailscale
from engine.membership.discovery import Sighting, merged
from engine.membership.discovery_mdns import Beacon, Telling
from engine.model.roster import Address
from engine.model.suggestion import Suggestion
from tests.engine.script import fleet
from tests.lan import Lan

# What the program of version 1.86 prints for a tailnet of three, shortened by the fields that nobody reads here.
TAILNET = b"""{
  "Version": "1.86.2-t1234", "TUN": true, "BackendState": "Running", "HaveNodeKey": true, "AuthURL": "",
  "TailscaleIPs": ["100.101.1.1", "fd7a:115c:a1e0::1"],
  "Self": {"ID": "n1", "HostName": "here", "DNSName": "here.tail1234.ts.net.", "OS": "linux", "Online": true,
    "TailscaleIPs": ["100.101.1.1"]},
  "Health": [], "MagicDNSSuffix": "tail1234.ts.net",
  "Peer": {
    "nodekey:aa": {"ID": "n2", "PublicKey": "nodekey:aa", "HostName": "Mac2", "DNSName": "mac2.tail1234.ts.net.",
      "OS": "macOS", "TailscaleIPs": ["100.101.1.2", "fd7a:115c:a1e0::2"], "Addrs": null, "CurAddr": "",
      "Online": true, "ExitNode": false, "InNetworkMap": true},
    "nodekey:bb": {"ID": "n3", "PublicKey": "nodekey:bb", "HostName": "old", "DNSName": "", "OS": "windows",
      "TailscaleIPs": ["100.101.1.3"], "Online": false}
  },
  "User": {"1": {"LoginName": "somebody@example.com"}}
}"""


# --------------------------------------------------------------------------------------------------- ~/.ssh/config


def test_the_hosts_of_ssh_config(tmp_path: Path) -> None:
    """Every host that is named, also in included files; patterns, commands and comments are no hosts."""
    more = tmp_path / "config.d"
    more.mkdir()
    (more / "work.conf").write_text("Host cedar\n\tHostName=10.1.0.7\nInclude ../config\n")
    (tmp_path / "config").write_text(
        "# machines\n"
        "Include config.d/*.conf missing/*.conf\n"
        'Host birch "birch.local" *.corp !dune\n'
        "  HostName 10.1.0.6 # on the shelf\n"
        "  User ann\n"
        "  PORT 2222\n"
        "Host *\n"
        "  User nobody\n"
        "Match host elm exec \"echo 'elm\n"
        "  HostName 10.9.9.9\n"
        'Host "unclosed\n'
        "Host elm\n"
        "  HostName %h.lan\n"
    )
    found = discovery_ssh.sightings(tmp_path / "config")
    assert [(one.name, one.host, one.note, one.hosts) for one in found] == [
        ("cedar", "cedar", "10.1.0.7", ("10.1.0.7",)),
        ("birch", "birch", "ann@10.1.0.6 port 2222", ("10.1.0.6",)),
        ("birch.local", "birch.local", "ann@10.1.0.6 port 2222", ("10.1.0.6",)),
        ("elm", "elm", "elm.lan", ("elm.lan",)),
    ]


def test_no_ssh_config_names_nobody(tmp_path: Path) -> None:
    """A file that is not there, is a folder, or is no text says nothing."""
    assert discovery_ssh.sightings(tmp_path / "config") == []
    assert discovery_ssh.sightings(tmp_path) == []
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00Host \xff")
    assert discovery_ssh.sightings(tmp_path / "config") == []


def test_an_include_that_leads_nowhere(tmp_path: Path) -> None:
    """Nobody's home, a pipe, a circle with two ways round: the hosts beside it are found, each file is read once."""
    os.mkfifo(tmp_path / "pipe")
    text = "Include ~nosuchuser/x\nInclude pipe\nInclude config\nInclude config\nHost elm\n"
    (tmp_path / "config").write_text(text)
    found = list(discovery_ssh._lines(tmp_path / "config", tmp_path, 0, known := set()))
    assert found == [("host", ["elm"])]
    assert [Path(one).name for one in sorted(known)] == ["config", "pipe"]
    assert [one.name for one in discovery_ssh.sightings(tmp_path / "config")] == ["elm"]


# ------------------------------------------------------------------------------------------------------- tailscale


def program(folder: Path, script: str) -> Path:
    """A `tailscale` for PATH."""
    path = folder / "tailscale"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder


@pytest.mark.slow
async def test_the_machines_of_the_tailnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others in the status, with the name that the tailnet resolves, else an address."""
    (tmp_path / "status.json").write_bytes(TAILNET)
    program(tmp_path, f'[ "$*" = "status --json" ] && exec cat {tmp_path}/status.json')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = await discovery_tailscale.sightings()
    assert [(one.name, one.host, one.note) for one in found] == [
        ("mac2", "mac2.tail1234.ts.net", "macOS"),
        ("old", "100.101.1.3", "windows, offline"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["echo no json", "exit 1", "exec sleep 60", "exec cat /dev/zero"])
async def test_a_program_that_does_not_answer(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails, talks nonsense, hangs or never ends: nobody is found, in time, and nothing is left running."""
    monkeypatch.setenv("PATH", f"{program(tmp_path, script)}:{os.environ['PATH']}")
    monkeypatch.setattr(discovery_tailscale, "DEADLINE_S", 0.3)
    assert await discovery_tailscale.sightings() == []


def test_a_tailnet_that_is_signed_out() -> None:
    """What it remembers from before is not there."""
    assert discovery_tailscale.read(TAILNET.replace(b"Running", b"Stopped")) == []
    assert discovery_tailscale.read(b'{"BackendState": "Running", "Peer": null}') == []


async def test_no_program_no_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed it is not asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await discovery_tailscale.sightings() == []


# ------------------------------------------------------------------------------------------------------------ mDNS

WIRE = "10.77.3"


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs("ip")
def test_a_beacon_is_seen_until_it_goes_dark() -> None:
    """Two machines on a wire: what one tells the other sees, its changes too; then it is silent and not seen."""
    first = Telling("ABCDEFGHIJKLMNOP", "birch", 8856, ())
    with Lan({WIRE: "ab"}) as lan:
        here, there = lan.host("a", WIRE), lan.host("b", WIRE)

        def seen(notes: list[str]) -> list[Sighting]:
            """Multicast is lost where a machine is busy: looked for again, as a person would."""
            for _ in range(10):
                found = lan.inside("b", lambda: asyncio.run(discovery_mdns.sightings(2.0, [there])))
                if [one.note for one in found] == notes:
                    break
            return found

        async def told() -> list[list[Sighting]]:
            beacon, found = Beacon(), []
            for port in (8856, 9000, 0):
                telling = msgspec.structs.replace(first, port=port, hosts=(here,)) if port else None
                await beacon.tell(telling)
                found.append(await asyncio.to_thread(seen, [f"peer port {port}"] if port else []))
            return found

        once, moved, dark = lan.inside("a", lambda: asyncio.run(told()))
    (sighting,) = once
    assert (sighting.name, sighting.host, sighting.node) == ("birch", here, first.node)
    assert [one.note for one in (*once, *moved)] == ["peer port 8856", "peer port 9000"]
    assert dark == []


# ---------------------------------------------------------------------------------------------------------- merged


def ssh(name: str, *hosts: str, note: str = "") -> Sighting:
    """A host of a person's configuration."""
    return Sighting(name, name, "ssh", note, hosts=hosts)


def test_a_machine_that_several_name_is_one_line() -> None:
    """By name or by address; the host is the person's own word, the sources and notes are all there."""
    found = [
        Sighting("mac2", "mac2.tail1234.ts.net", "tailscale", "macOS", hosts=("100.101.1.2",)),
        ssh("mac2", "10.1.0.9", note="ann@10.1.0.9"),
        Sighting("annas-mac", "10.1.0.9", "mdns", "peer port 8856", node="XYZ", hosts=("10.1.0.9",)),
        ssh("dune", "10.1.0.10"),
    ]
    for order in (found, found[::-1]):
        assert merged(order, fleet("A", "B")) == [
            Suggestion("dune", "dune", "ssh"),
            Suggestion("mac2", "mac2", "ssh, tailscale, mdns", "ann@10.1.0.9, macOS, peer port 8856"),
        ]


def test_two_machines_of_one_name_are_two_lines() -> None:
    """What only knows the name joins neither; what knows the address joins the one that has it."""
    one, two = (Sighting("mac.local", f"10.1.0.{at}", "mdns", node=f"N{at}", hosts=(f"10.1.0.{at}",)) for at in (5, 6))
    found = [one, two, Sighting("mac", "mac.tail1.ts.net", "tailscale", hosts=("100.1.1.1",)), ssh("mac", "10.1.0.6")]
    for order in (found, found[::-1]):
        lines = merged(order, fleet("A", "B"))
        assert sorted((line.host, line.source) for line in lines) == [
            ("10.1.0.5", "mdns"),
            ("mac", "ssh, mdns"),
            ("mac.tail1.ts.net", "tailscale"),
        ]


def test_a_node_on_two_networks_is_one_line() -> None:
    """Its beacons tell one id."""
    beacons = (Sighting("mac", f"10.{at}.0.5", "mdns", node="N", hosts=(f"10.{at}.0.5",)) for at in (1, 2))
    assert len(merged(beacons, fleet("A", "B"))) == 1


def test_who_is_a_member_already() -> None:
    """By the id it tells, by its address, by its name; a beacon with another id is another machine, whatever its
    name."""
    value = fleet("A", "birch", "cedar", "dune")
    members = tuple(
        msgspec.structs.replace(one, addresses=(Address("10.1.0.7", 1), Address("127.0.0.1", 1)))
        if one.id == "cedar"
        else one
        for one in value.roster.members
    )
    value = msgspec.structs.replace(value, roster=msgspec.structs.replace(value.roster, members=members))
    found = [
        Sighting("mini", "10.1.0.5", "mdns", node="birch"),
        Sighting("dune", "10.1.0.8", "mdns", node="STRANGER"),
        ssh("shelf", "10.1.0.7"),
        ssh("lo", "127.0.0.1"),
        ssh("Birch.example.org"),
    ]
    assert [(one.name, one.known_member) for one in merged(found, value)] == [
        ("dune", ""),
        ("lo", ""),
        ("Birch.example.org", "birch"),
        ("mini", "birch"),
        ("shelf", "cedar"),
    ]


def test_what_is_left_out() -> None:
    """Ourselves, and hosts that a shell or ssh would read as something else; what a stranger writes cannot drive a
    terminal."""
    value = fleet("A", "B")
    value = msgspec.structs.replace(
        value, me=msgspec.structs.replace(value.me, addresses=(Address("10.1.0.1", 1), Address("127.0.0.1", 1)))
    )
    found = [
        Sighting("me", "10.1.0.1", "mdns", node="A"),
        ssh("self", "10.1.0.1"),
        *(Sighting("x", host, "mdns", node=host) for host in ("-oProxyCommand=x", "a;b", "a b", "$(x)", "", "a\nb")),
        Sighting("\x1b[31mred\n" + "d" * 100, "10.1.0.9", "mdns", "\x07", node="N"),
    ]
    (line,) = merged(found, value)
    assert line.host == "10.1.0.9"
    assert line.name == ("[31mred" + "d" * 100)[:64]
    assert line.note == ""
