"""The process, put together: what a node holds in memory that nobody has asked for anything."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.house import ROOT

# Each with what brings it in when it is needed. A megabyte here is one for every node, for as long as it lives.
ONLY_SOME_NEED = {
    "asyncssh": "a peer that is reached by ssh",
    "zeroconf": "an address beyond loopback",
    "httpx": "P0, where it is configured",
    "watchfiles": "a system without inotify",
    "textual": "a terminal that is lent",
    "rich": "a terminal that is lent",
    "engine.doctor.catalogue": "an examination",
    "statistics": "nobody",
    "difflib": "somebody who looks at the configuration",
    "sysconfig": "nobody",
}

LIVES = """
import asyncio, sys
from pathlib import Path
from fleet_tui import parts

node = parts.Running(Path(sys.argv[1]))
node.start()
looked = node.engine.core.loop.until(lambda fleet: fleet.broker.state == "up" and fleet.watch.vitals.memory_mb)
asyncio.run_coroutine_threadsafe(looked, node.loop).result(30)
print(*sorted(name for name in sys.argv[2:] if name in sys.modules))
node.stop()
"""


@pytest.mark.slow
def test_a_node_at_rest_holds_only_what_it_needs() -> None:
    """Started, looked around, alone: none of what only some nodes need is in memory."""
    home = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    ports = {f"FLEET_NET_{port}_PORT": "0" for port in ("HTTP", "NATS", "CLUSTER", "LEAF", "UDP")}
    command = [sys.executable, "-c", LIVES, str(home), *ONLY_SOME_NEED]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT), "FLEET_NET_LISTEN": "127.0.0.1"}
    done = subprocess.run(command, env=environ | ports, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
