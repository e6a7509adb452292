"""The ports: where somebody wanted this node to listen, and who sits there instead (edge)."""

import socket
from contextlib import suppress

import msgspec
import psutil

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged
from engine.model.finding import Finding, Severity

# net.<key> -> the field of an announced address that says where it listens really; nats_port is the broker's url's.
KEYS = {"http_port": "http", "cluster_port": "nats", "leaf_port": "leaf", "udp_port": "udp", "nats_port": ""}


class Port(msgspec.Struct, frozen=True):
    """One port. `real`: where it listens (0: it does not). `chosen`: a person asked for `wanted`. `holder`: who sits
    at `wanted`, `ours`: whether that is a node of Fleet or its broker."""

    key: str
    wanted: int
    real: int
    chosen: bool
    holder: str = ""
    ours: bool = False


def look(scene: Scene) -> Saw:
    """Every configured port, and its place now."""
    ports = [_port(scene, key) for key in KEYS]
    real = ", ".join(f"{one.key.removesuffix('_port')} {one.real}" for one in ports if one.real)
    free = "the usual ones are free" if all(not one.holder for one in ports) else "some are taken; the next are used"
    return judged(real or free, judge(ports))


def judge(ports: list[Port]) -> list[Finding]:
    """A port that a person chose and somebody else has. Of the usual ones the next free one is as good."""
    found = []
    for one in ports:
        if not one.chosen or not one.wanted or one.real == one.wanted or not (one.real or one.holder):
            continue
        who = one.holder or "another process"
        instead = f"; the node uses {one.real} instead" if one.real else ""
        what = f"{one.wanted} is held by {who}{' (Fleet)' if one.ours else ''}{instead}"
        step = f"end it, or set net.{one.key} to another port (0: any), then `fleet restart`"
        found.append(Finding("ports.taken", "A port is taken", Severity.MEDIUM, what, f"net.{one.key}", step))
    return found


def _port(scene: Scene, key: str) -> Port:
    wanted = int(getattr(scene.config.net, key))
    origin = scene.origins.get(f"net.{key}", "default")
    chosen = not origin.startswith(("default", "preset", "the last start"))
    real = _real(scene, key)
    if not wanted or real == wanted or not _taken(wanted, udp=key == "udp_port"):
        return Port(key, wanted, real, chosen)
    holder, ours = _holder(wanted)
    return Port(key, wanted, real, chosen, holder, ours)


def _real(scene: Scene, key: str) -> int:
    if scene.fleet is None:
        return 0
    if key == "nats_port":
        return int(scene.fleet.broker.url.rpartition(":")[2] or 0) if scene.fleet.broker.pid else 0
    return max((int(getattr(one, KEYS[key])) for one in scene.fleet.me.addresses), default=0)


def _taken(port: int, *, udp: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as tried:
        if not udp:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


def _holder(port: int) -> tuple[str, bool]:
    """Who has a port, as far as this user may know."""
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("inet"):
            if (
                one.laddr
                and one.laddr.port == port
                and one.pid
                and one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
            ):
                process = psutil.Process(one.pid)
                ours = any("fleet" in word for word in process.cmdline())
                return f"{process.name()} (pid {one.pid})", ours
    return "a process of another user", False


CHECK = Check("ports", "ports", look)
