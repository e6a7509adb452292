"""A laboratory: three machines, a, b and c, on one network, with a node each, in one fleet.

`Lab` is the same over both fabrics. A cut of a channel names what that channel needs of a machine, at the ports its
node says it has; so `p1(birch, atlas)` is what a firewall between the two would do to NATS, and to nothing else.
"""

import subprocess
from collections.abc import Callable
from typing import Generic, TypeVar

from tests.e2e.node import Node, start
from tests.e2e.until import until
from tests.faults.books import Books, steady
from tests.faults.cuts import Cut, Protocol, service
from tests.faults.fabric import Fabric
from tests.faults.places import Place, made

NAMES = ("atlas", "birch", "cedar")

# From here on Linux takes the ports of whoever calls: a node's own calls are not its doors.
EPHEMERAL = 32_768
# Repairs would find a way round what a case has cut, by moving a port; they have tests of their own.
UNREPAIRED = {"FLEET_REPAIR_LEVELS": "1"}

F = TypeVar("F", bound=Fabric)


class Lab(Generic[F]):
    """The machines and what stands on them. `nodes` and `places` are in the same order. `letters`: a machine each;
    `ways`: the channels that work where nothing is cut."""

    letters = "abc"
    ways: tuple[str, ...] = ("nats", "http", "relay")

    def __init__(self, fabric: F) -> None:
        self.fabric = fabric
        self.places: list[Place] = []
        self.nodes: list[Node] = []
        self.broken = False

    def build(self) -> None:
        """Network, nodes, fleet; until everybody sees everybody."""
        self.places = made(self.letters)
        self.fabric.lay(self.places)
        self.furnish()
        self.nodes = [
            Node(name, {"FLEET_NET_LISTEN": "", **UNREPAIRED, **self.settings_of(place)}, inside=place.inside)
            for name, place in zip(NAMES, self.places, strict=False)
        ]
        start(self.nodes)
        for node in self.nodes[1:]:
            node.api.post("/join", {"code": self.nodes[0].api.post("/invite")["code"]})
        self.together()

    def furnish(self) -> None:
        """What stands on the machines besides their nodes."""

    def settings_of(self, place: Place) -> dict[str, str]:
        """What this machine's node is told."""
        return {}

    def together(self) -> None:
        """Until everybody has everybody alive, on every channel of `ways`."""
        for node in self.nodes:
            until(lambda node=node: self._well(node), f"{node.name} to see the others")

    def _well(self, node: Node) -> bool:
        return node.sees(*(one for one in self.nodes if one is not node), channels=self.ways)

    def place(self, node: Node) -> Place:
        """Where a node lives."""
        return self.places[self.nodes.index(node)]

    # --------------------------------------------------------------------------------------------------------- cuts

    def p1(self, here: Node, there: Node) -> Cut:
        """Brokers: every port of each one's, for the other."""
        return self._both(here, there, "tcp", [self.ports(node, "broker") for node in (here, there)])

    def p2(self, here: Node, there: Node) -> Cut:
        """Peer ports, each one's for the other."""
        return self._both(here, there, "tcp", [self.ports(node) for node in (here, there)])

    def gossip(self, here: Node, there: Node) -> Cut:
        """UDP, each one's for the other."""
        return self._both(here, there, "udp", [self.ports(node, protocol="udp") for node in (here, there)])

    def ports(self, node: Node, who: str = "node", protocol: Protocol = "tcp") -> list[int]:
        """The ports on which a node, or its broker, can be reached from outside, as its machine's kernel has them; also
        those that it has left and still holds connections of."""
        pid = node.broker_pid if who == "broker" else node.pid
        command = [*self.place(node).inside, "ss", "-Hanp", f"--{protocol}"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        words = [line.split() for line in shown.splitlines() if f"pid={pid}," in line]
        found = [word[3].rpartition(":") for word in words]
        ports = sorted({int(port) for host, _, port in found if not host.startswith("127.") and int(port) < EPHEMERAL})
        assert ports, f"{who} {node.name} has no {protocol} port of its own: {shown}"
        return ports

    def cut_connections(self, node: Node, port: int) -> None:
        """End every TCP connection to one of a node's ports, as a reboot of a firewall would."""
        command = [*self.place(node).inside, "ss", "-K", "sport", "=", f":{port}"]
        subprocess.run(command, check=False, capture_output=True)

    def _both(self, here: Node, there: Node, protocol: Protocol, ports: list[list[int]]) -> Cut:
        a, b = self.place(here), self.place(there)
        return service(a, ports[0], b, protocol) + service(b, ports[1], a, protocol)

    # -------------------------------------------------------------------------------------------------------- cases

    def case(self) -> "Case":
        """`with lab.case() as books:`: begins with everybody well, ends with the promises held."""
        return Case(self)

    def clear(self) -> None:
        """Nothing is left of it."""
        for node in self.nodes:
            node.end()
        self.fabric.clear()
        for place in self.places:
            place.remove()


class Case:
    """One case in a laboratory; one that fails leaves it `broken`, so that the next gets a new one."""

    def __init__(self, lab: "Lab[F]") -> None:
        self._lab = lab

    def __enter__(self) -> Books:
        self._lab.together()
        self._held = steady(self._lab.nodes)
        return self._held.__enter__()

    def __exit__(self, *error: object) -> None:
        try:
            self._held.__exit__(*error)  # type: ignore[arg-type]
        except BaseException:
            self._lab.broken = True
            raise
        self._lab.broken = self._lab.broken or error[0] is not None


class Holder(Generic[F]):
    """The laboratory of a module or a session: built when it is first asked for, and again after a case that failed."""

    def __init__(self, make: Callable[[], Lab[F]]) -> None:
        self._make = make
        self._lab: Lab[F] | None = None

    def get(self) -> Lab[F]:
        """A laboratory in which all is well."""
        if self._lab is not None and self._lab.broken:
            self.clear()
        if self._lab is None:
            self._lab = self._make()
            try:
                self._lab.build()
            except BaseException:
                self.clear()
                raise
        return self._lab

    def clear(self) -> None:
        """Nothing is left of it."""
        if self._lab is not None:
            self._lab.clear()
            self._lab = None
