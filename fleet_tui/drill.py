"""`fleet demo --drill`: faults done to a running demo, and how it heals (edge).

Each fault is a real one that needs no privileges: a signal to a process of ours, a port that a stranger takes. `Drill`
does them, takes them back, and looks: what was HEALTHY before is what has to be so again. A single channel is cut where
it has a process of its own, the broker; a cut between two nodes that leaves both their processes alone takes root.

    1 the second node's broker is killed     2 a stranger takes its peer port     3 the third node stands still
    4 the second node's broker stands still  h everything of ours is taken back
"""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from engine.home import PORTS
from fleet_tui.demo import Demo, DemoNode, broker_up, until
from fleet_tui.drill_course import WELL, Course, Pair, Seen, course

HOT = ("nats", "http", "relay")
# A broker that was killed is back within a moment, one that stands still within some ten seconds.
SOON_S = 30.0

Grid = dict[Pair, Seen]


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
        self._stranger: socket.socket | None = None
        self._well: set[Pair] = set()
        self._struck_ms = 0
        self.begin()

    def faults(self) -> list[Fault]:
        """All of them, by key."""
        second, third = self.second.name, self.third.name
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
                f"SIGSTOP of {second}'s nats-server: P1 is cut there",
                "mail takes P2; the broker is missed, and gets another life",
                False,
                self._stop_broker,
            ),
        ]

    # ------------------------------------------------------------------------------------------------------- to look

    def grid(self) -> Grid:
        """(node, peer, channel) -> how it is; a node that stands still cannot be asked, and says nothing."""
        return {
            (node.name, peer, channel): Seen("BROKEN" if seen["retried"] else seen["state"], seen["since_ms"])
            for node in self.awake()
            for peer, row in node.api.get("/channels").items()
            for channel, seen in row.items()
        }

    def awake(self) -> list[DemoNode]:
        """The nodes that can be asked."""
        still = [node for node, _ in self._stopped]
        return [node for node in self.demo.nodes if node not in still]

    @property
    def watched(self) -> int:
        """How many channels were HEALTHY here, and have to be so again."""
        return len(self._well)

    def begin(self) -> None:
        """From now on: what is HEALTHY, or ever was so here, has to be it again."""
        self._well |= {pair for pair, seen in self.grid().items() if seen.state == WELL}
        self._struck_ms = round(time.time() * 1_000)

    def course(self) -> Course:
        """What came of it since `begin`."""
        still = {(node.name, "", "process") for node, _ in self._stopped}
        missed = {
            (node.name, peer["name"], "standing")
            for node in self.awake()
            for peer in node.api.get("/peers")
            if peer["standing"] != "ALIVE"
        }
        return course(self._well, self.grid(), still | missed, self._struck_ms)

    def standing(self, of: DemoNode) -> str:
        """How the first node sees another."""
        seen = (peer for peer in self.first.api.get("/peers") if peer["name"] == of.name)
        return str(next(seen)["standing"])

    def struck(self) -> bool:
        """Whether something that lasts is in force."""
        return bool(self._stopped or self._stranger)

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
        if self._stranger is not None:
            self._stranger.close()
            said.append("the stranger is gone")
        self._stopped, self._stranger = [], None
        return "; ".join(said) or "nothing of ours is in force"

    def broker_pid(self) -> int:
        """The second node's broker; waited for where it is just away."""
        return int(until(self.second.api, broker_up, f"{self.second.name}'s broker", SOON_S)["broker"]["pid"])

    def _kill_broker(self) -> str:
        pid = self.broker_pid()
        os.kill(pid, signal.SIGKILL)
        return f"process {pid} is gone"

    def _stop_broker(self) -> str:
        """It needs no taking back: its node ends it, whether it gives it another life or ends itself."""
        pid = self.broker_pid()
        os.kill(pid, signal.SIGSTOP)
        return f"process {pid} is stopped"

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


def rows(drill: Drill) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(node, peer, state of each channel), for whoever draws the grid."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for (node, peer, channel), seen in drill.grid().items():
        lines.setdefault((node, peer), {})[channel] = seen.state
    for (node, peer), states in lines.items():
        yield node, peer, states
