"""The network cards of this machine (edge): those that can wake it, and the networks it can shout into.

A card counts when it is one that can be touched: bridges, tunnels and the cables between containers are the kernel's
own, and nothing sleeps behind them. On Linux the kernel says so; elsewhere the name has to.
"""

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Interface, ip_address
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.model.ways import Nic

# As many as a node tells of itself (`Ways.nics`).
LIMIT = 8
# Wired and wireless cards by the names that systems without /sys give them; macOS calls both en0, en1, …
_NAMES = ("en", "eth", "wl")
LINUX = sys.platform.startswith("linux")
_NO_MAC = "00:00:00:00:00:00"


class Reach(NamedTuple):
    """One of our addresses, and the broadcast of its network (empty: it has none)."""

    host: str
    broadcast: str


def cards(configured: Sequence[str] = ()) -> tuple[Nic, ...]:
    """The cards that wake this machine: the configured hardware addresses, else those found; each with the IPv4 address
    of whatever interface bears it, for a bridge takes the address of its card."""
    seen = list(_interfaces())
    found = {mac: reach for _, mac, reach in seen}
    for _, mac, reach in seen:
        if reach.host and mac in found:
            found[mac] = reach
    wanted = [mac.lower().replace("-", ":") for mac in configured if mac] or _real(seen)
    nics = (Nic(mac, *found.get(mac, Reach("", ""))) for mac in dict.fromkeys(wanted))
    return tuple(nics)[:LIMIT]


def networks() -> list[Reach]:
    """Every network this machine is on, but for loopback: its address there, and the broadcast. A card that is down
    would take a packet and drop it."""
    down = {name for name, stats in psutil.net_if_stats().items() if not stats.isup}
    found = (reach for name, _, reach in _interfaces() if name not in down)
    return [reach for reach in found if reach.host and not reach.host.startswith("127.")]


def beside(host: str) -> bool:
    """Whether a numeric IPv4 address is another machine's on a network of ours."""
    with suppress(ValueError):
        there = ip_address(host)
        return any(
            there in one.network and there not in (one.ip, one.network.network_address, one.network.broadcast_address)
            for one in _own()
        )
    return False


def _own() -> list[IPv4Interface]:
    found = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
    named = (f"{one.address}/{one.netmask}" for one in found if one.family == socket.AF_INET and one.netmask)
    return [one for one in map(IPv4Interface, named) if not one.is_loopback and one.network.prefixlen < 31]


def _real(seen: list[tuple[str, str, Reach]]) -> list[str]:
    """The hardware addresses of cards that can be touched."""
    return sorted({mac for name, mac, _ in seen if mac not in ("", _NO_MAC) and _touchable(name)})


def _touchable(name: str) -> bool:
    if LINUX:
        return Path("/sys/class/net", name, "device").exists()
    return name.startswith(_NAMES)


def _interfaces() -> Iterator[tuple[str, str, Reach]]:
    """Name, hardware address, and one IPv4 address with its broadcast; a line for each address."""
    for name, addresses in psutil.net_if_addrs().items():
        mac = next((one.address.lower() for one in addresses if one.family == psutil.AF_LINK), "")
        hosts = [Reach(one.address, one.broadcast or "") for one in addresses if one.family == socket.AF_INET]
        for reach in hosts or [Reach("", "")]:
            yield name, mac, reach
