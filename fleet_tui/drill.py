"""`fleet demo --drill`: faults done to a running demo, and how it heals (edge).

Each fault is a real one that needs no privileges: a signal to a process of ours, a port that a stranger takes, channels
that a person holds. `Drill` does them, takes them back, and looks: what was HEALTHY before is what has to be so again.

    1 the second node's broker is killed     2 a stranger takes its peer port     3 the third node stands still
    4 P1 to P3 between the first two held     h everything of ours is taken back
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from engine.errors import FleetError
from fleet_tui.demo import Demo, DemoNode

HOT = ("nats", "http", "relay")
PORTS = "ports.json"
HELD = "held"

Pair = tuple[str, str, str]
Grid = dict[Pair, str]


class Fault(NamedTuple):
    """One fault. `does`: what is done; `then`: what Fleet does about it; `lasts`: until `h` takes it back."""

    key: str
    does: str
    then: str
    lasts: bool
    strike: Callable[[], str]


class Drill:
    """The faults over a demo of three nodes or more that are all well."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.first, self.second, self.third = demo.nodes[:3]
        self._stopped: list[tuple[DemoNode, int]] = []
        self._held: list[tuple[DemoNode, DemoNode, str]] = []
        self._stranger: socket.socket | None = None
        self._well = {pair for pair, state in self.grid().items() if state == "HEALTHY"}

    def faults(self) -> list[Fault]:
        """All of them, by key."""
        first, second, third = self.first.name, self.second.name, self.third.name
        return [
            Fault(
                "1",
                f"kill -9 of {second}'s nats-server",
                "its node starts another; mail takes P2 meanwhile",
                False,
                self._kill_broker,
            ),
            Fault(
                "2",
                f"{second} restarts, and a stranger has taken its peer port",
                "it takes another port and says so; nobody tells the stranger anything",
                True,
                self._take_port,
            ),
            Fault(
                "3",
                f"SIGSTOP of {third}: it stands still",
                "its peers suspect it, then miss it; what is sent to it waits on disk",
                True,
                self._stop_node,
            ),
            Fault(
                "4",
                f"P1 to P3 between {first} and {second} are held, on both sides",
                "colder channels carry, where there are any; else mail waits",
                True,
                self._hold,
            ),
        ]

    # ------------------------------------------------------------------------------------------------------- to look

    def grid(self) -> Grid:
        """(node, peer, channel) -> state, or `HELD`; a node that stands still cannot be asked, and says nothing."""
        return {
            (node.name, peer, channel): HELD if seen["held"] else seen["state"]
            for node in self.awake()
            for peer, row in node.api.get("/channels").items()
            for channel, seen in row.items()
        }

    def awake(self) -> list[DemoNode]:
        """The nodes that can be asked."""
        still = [node for node, _ in self._stopped]
        return [node for node in self.demo.nodes if node not in still]

    def broken(self) -> set[Pair]:
        """What was HEALTHY when the drill began and is not so now, and who is not ALIVE to whom."""
        now = self.grid()
        missed = {
            (node.name, peer["name"], "standing")
            for node in self.awake()
            for peer in node.api.get("/peers")
            if peer["standing"] != "ALIVE"
        }
        return {pair for pair in self._well if now.get(pair) != "HEALTHY"} | missed

    def standing(self, of: DemoNode) -> str:
        """How the first node sees another."""
        seen = (peer for peer in self.first.api.get("/peers") if peer["name"] == of.name)
        return str(next(seen)["standing"])

    def struck(self) -> bool:
        """Whether something that lasts is in force."""
        return bool(self._stopped or self._held or self._stranger)

    # -------------------------------------------------------------------------------------------------------- to do

    def send(self, to: DemoNode, body: str, **how: Any) -> Any:
        """A message from the first node; its story."""
        return self.first.api.post("/message", {"to": to.name, "payload": {"body": body}} | how, 60.0)

    def heal(self) -> str:
        """Take back everything that was done; what it was."""
        said = []
        for node, pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            said.append(f"{node.name} goes on")
        for here, there, channel in self._held:
            with suppress(FleetError):
                here.api.post("/hold", {"name": there.name, "channel": channel, "held": False})
        if self._held:
            said.append("the held channels are let go")
        if self._stranger is not None:
            self._stranger.close()
            said.append("the stranger is gone")
        self._stopped, self._held, self._stranger = [], [], None
        return "; ".join(said) or "nothing of ours is in force"

    def _kill_broker(self) -> str:
        pid = _soon(lambda: int(self.second.api.get("/status")["broker"]["pid"]))
        os.kill(pid, signal.SIGKILL)
        return f"process {pid} is gone"

    def _take_port(self) -> str:
        if self._stranger is not None:
            return "the stranger has it already"
        port = int(json.loads((self.second.home / PORTS).read_text())["http_port"])
        self.second.stop()
        self._stranger = stranger = socket.socket()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        self.demo.start()
        now = json.loads((self.second.home / PORTS).read_text())["http_port"]
        return f"port {port} is a stranger's, {self.second.name} is at {now}"

    def _stop_node(self) -> str:
        pid = self.third.pid
        if pid is None or self._stopped:
            return f"{self.third.name} stands still already"
        os.kill(pid, signal.SIGSTOP)
        self._stopped.append((self.third, pid))
        return f"process {pid} is stopped"

    def _hold(self) -> str:
        for here, there in ((self.first, self.second), (self.second, self.first)):
            for channel in HOT:
                here.api.post("/hold", {"name": there.name, "channel": channel, "held": True})
                self._held.append((here, there, channel))
        return ", ".join(HOT)


def _soon(look: Callable[[], int], wait_s: float = 15.0) -> int:
    """The first number that is not 0: a broker that was just killed is not there for a moment."""
    ends = time.monotonic() + wait_s
    while not (found := look()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def rows(drill: Drill) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(node, peer, state of each channel), for whoever draws the grid."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for (node, peer, channel), state in drill.grid().items():
        lines.setdefault((node, peer), {})[channel] = state
    for (node, peer), states in lines.items():
        yield node, peer, states
