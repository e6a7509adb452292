"""A node comes back where it was, so that whoever was away meanwhile finds it."""

from pathlib import Path

import pytest

from engine.config import resolve
from engine.home import PORTS
from engine.ports import ORIGIN, Ports, keep, remembered

LAST = Ports(9_001, 9_002, 9_003, 9_004, 9_005)


def test_the_last_ports_are_tried_first(home: Path) -> None:
    """Where the configuration leaves a port to us it is the one of the last start, and says so."""
    keep(home, LAST)
    found = remembered(resolve("", {}), home)
    net = found.config.net
    assert (net.http_port, net.nats_port, net.cluster_port, net.leaf_port, net.udp_port) == (
        9001,
        9002,
        9003,
        9004,
        9005,
    )
    assert found.origins["net.http_port"] == ORIGIN


def test_a_persons_word_stands(home: Path) -> None:
    """A port from the file or the environment is not replaced."""
    keep(home, LAST)
    found = remembered(resolve("[net]\nhttp_port = 1\n", {"FLEET_NET_UDP_PORT": "2"}), home)
    assert (found.config.net.http_port, found.config.net.udp_port, found.config.net.leaf_port) == (1, 2, 9004)
    assert found.origins["net.http_port"] == "config.toml"


def test_any_port_is_the_last_one(home: Path) -> None:
    """Whoever asks for any port is found where it was."""
    keep(home, LAST)
    assert remembered(resolve("[net]\nhttp_port = 0\n", {}), home).config.net.http_port == 9_001


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"http_port":"x"}', '{"http_port":70000}', '{"http_port":0}', "\ufffd"]
)
def test_a_file_that_says_nothing_useful(home: Path, text: str) -> None:
    """The usual ports are tried then."""
    (home / PORTS).write_text(text)
    plain = resolve("", {})
    assert remembered(plain, home).config == plain.config


def test_what_cannot_be_written_is_no_error(home: Path) -> None:
    """A full or foreign disk costs the memory of a port and nothing else."""
    keep(home / "nowhere", LAST)
    assert remembered(resolve("", {}), home / "nowhere").config == resolve("", {}).config


def test_nothing_is_written_twice(home: Path) -> None:
    """The same ports again leave the file alone."""
    keep(home, LAST)
    before = (home / PORTS).stat().st_mtime_ns
    keep(home, LAST)
    assert (home / PORTS).stat().st_mtime_ns == before
