"""The ports of the last start (edge): kept in the home, and tried first at the next.

A peer that was down meanwhile knows a node only by where it was last. On a machine of many nodes, each of which takes
the next free port, two that come back in another order would look for each other in the wrong place; and with no third
one up, nobody could tell them. A port that a person configured is not replaced; 0 is none, but any.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from engine.config import Resolved
from engine.home import PORTS, write_private

ORIGIN = "the last start"
_OURS = ("default", "preset")


class Ports(msgspec.Struct, frozen=True):
    """Where a node listened, by the keys of `net`; 0 or nothing: nowhere yet."""

    http_port: int = 0
    nats_port: int = 0
    cluster_port: int = 0
    leaf_port: int = 0
    udp_port: int = 0


def remembered(resolved: Resolved, home: Path) -> Resolved:
    """The configuration with the ports of the last start, where it leaves them to us."""
    last = msgspec.structs.asdict(_read(home / PORTS))
    kept = {key: port for key, port in last.items() if 0 < port < 65_536 and _left_to_us(resolved, key)}
    net = msgspec.structs.replace(resolved.config.net, **kept)
    origins = {**resolved.origins, **{f"net.{key}": ORIGIN for key in kept}}
    return Resolved(msgspec.structs.replace(resolved.config, net=net), origins)


def keep(home: Path, ports: Ports) -> None:
    """Remember these. What cannot be written is no reason to stop: the usual ports are tried then."""
    path = home / PORTS
    if ports == _read(path):
        return
    with suppress(OSError):
        write_private(path, msgspec.json.encode(ports))


def _read(path: Path) -> Ports:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ports)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Ports()


def _left_to_us(resolved: Resolved, key: str) -> bool:
    return not getattr(resolved.config.net, key) or resolved.origins.get(f"net.{key}", "default").startswith(_OURS)
