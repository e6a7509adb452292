"""The laboratory with every way there is: an sshd on each machine, and a git hub on a fourth behind an sshd of its own.

P4 and P5 go over the same connection, so a firewall cuts both; what cuts P4 alone is a seed folder on a file system
that went read-only, as it does after an error.
"""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.transports.seed.bed import NAME as SEEDS
from tests.e2e.node import Node
from tests.faults.cuts import Cut, service
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab
from tests.faults.places import Place
from tests.sshd import Sshd

# As most people's sshd does: on every address of its machine.
ANYWHERE = "0.0.0.0"


class WideLab(Lab[Bridge]):
    """P1 to P7 between three machines. `hub` is the fourth: it has no node."""

    letters = "abcd"
    ways = ("nats", "http", "relay", "seed", "ssh", "git")

    def __init__(self) -> None:
        super().__init__(Bridge())
        self._sshds: dict[Place, Sshd] = {}
        self._repository = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))

    @property
    def hub(self) -> Place:
        """Where the repository lies."""
        return self.places[3]

    def furnish(self) -> None:
        """An sshd on each machine, which lets everybody's key in; and an empty repository."""
        subprocess.run(["git", "init", "-q", "--bare", str(self._repository / "hub.git")], check=True)
        for place in self.places:
            self._sshds[place] = place.within(lambda place=place: Sshd(ANYWHERE))  # type: ignore[misc]
        keys = "".join(one.key.with_suffix(".pub").read_text() for one in self._sshds.values())
        for place, sshd in self._sshds.items():
            (sshd.folder / "authorized").write_text(keys)
            place.within(sshd.start)

    def settings_of(self, place: Place) -> dict[str, str]:
        """The sshd of this machine, and the way to the hub."""
        own, hub = self._sshds[place], self._sshds[self.hub]
        known = own.folder / "known"
        known.write_text(f"[{self.hub.host}]:{hub.port} {hub.announced[0]}\n")
        words = ("ssh", "-F", "none", "-i", str(own.key), "-o", f"UserKnownHostsFile={known}")
        url = f"ssh://{self.hub.host}:{hub.port}{self._repository}/hub.git"
        return {**own.environ, "FLEET_GIT_HUB": url, "GIT_SSH_COMMAND": shlex.join(words)}

    # --------------------------------------------------------------------------------------------------------- cuts

    def p3(self, here: Node, there: Node) -> Cut:
        """The third machine reaches `there` no more, so it cannot carry."""
        (third,) = [node for node in self.nodes if node not in (here, there)]
        return self.p1(third, there) + self.p2(third, there)

    @contextmanager
    def p4(self, *nodes: Node) -> Iterator[None]:
        """The seed folders of these are read-only."""
        with ExitStack() as mounts:
            for node in nodes:
                folder = str(node.home / SEEDS)
                subprocess.run(["mount", "--bind", folder, folder], check=True)
                mounts.callback(subprocess.run, ["umount", "-l", folder], check=True)
                subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            yield

    def p5(self, here: Node, there: Node) -> Cut:
        """The sshds of both, for each other."""
        a, b = self.place(here), self.place(there)
        return service(a, [self._sshds[a].port], b) + service(b, [self._sshds[b].port], a)

    def p7(self, nodes: Sequence[Node]) -> Cut:
        """The hub, for these."""
        cuts = [service(self.hub, [self._sshds[self.hub].port], self.place(node)) for node in nodes]
        return Cut(tuple(rule for cut in cuts for rule in cut.rules))

    def clear(self) -> None:
        """Nothing is left of it."""
        super().clear()
        for sshd in self._sshds.values():
            sshd.end()
        shutil.rmtree(self._repository, ignore_errors=True)
