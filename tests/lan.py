"""Networks between namespaces: machines that share a wire with some and not with others. Needs root and `ip`.

    with Lan({"10.77.1": "ab", "10.77.2": "bc"}) as lan:       b stands in both networks, a and c never meet
        lan.inside("a", work)                                   run `work` where a's interfaces are

A namespace belongs to a thread, so whatever is run inside gets a thread of its own; a socket that it made stays there.
Everything, the switches too, lives in namespaces of our own: nothing of the machine underneath is touched.
"""

import asyncio
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any, Self, TypeVar

CLONE_NEWNET = 0x40000000
T = TypeVar("T")
_numbers = count(1)


class Lan:
    """`wires`: the first three numbers of a /24 network -> the machines on it, a letter each."""

    def __init__(self, wires: Mapping[str, str]) -> None:
        self._name = f"fl{os.getpid()}-{next(_numbers)}"
        self._wires = dict(wires)
        self.machines = sorted(set("".join(wires.values())))

    def __enter__(self) -> Self:
        for one in ("switch", *self.machines):
            _ip("netns", "add", self._space(one))
        for one in self.machines:
            self._ip(one, "link", "set", "lo", "up")
        for number, (network, machines) in enumerate(self._wires.items()):
            self._ip("switch", "link", "add", f"br{number}", "type", "bridge")
            self._ip("switch", "link", "set", f"br{number}", "up")
            for one in machines:
                self._plug(one, number, f"{network}.{self._place(one)}/24")
        return self

    def __exit__(self, *ended: object) -> None:
        for one in (*self.machines, "switch"):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", self._space(one))

    def host(self, machine: str, network: str) -> str:
        """A machine's address in a network."""
        return f"{network}.{self._place(machine)}"

    def mac(self, machine: str, network: str) -> str:
        """The hardware address of its card there."""
        number = list(self._wires).index(network)
        return f"02:00:00:00:{number:02x}:{self._place(machine):02x}"

    def command(self, machine: str) -> tuple[str, ...]:
        """What runs another command on that machine."""
        return ("ip", "netns", "exec", self._space(machine))

    def move(self, machine: str, network: str, host: str) -> None:
        """Its address there is another one from now on, as when a router has started anew."""
        card = f"e{list(self._wires).index(network)}"
        self._ip(machine, "addr", "flush", "dev", card)
        self._ip(machine, "addr", "add", f"{host}/24", "dev", card)

    def unplug(self, machine: str) -> None:
        """Its cards are taken out."""
        for number, machines in enumerate(self._wires.values()):
            if machine in machines:
                self._ip(machine, "link", "delete", f"e{number}")

    def start(self, machine: str, work: Callable[[], T]) -> "Future[T]":
        """Run `work` there, on a thread of its own; its end."""
        ended: Future[T] = Future()

        def there() -> None:
            try:
                with open(f"/run/netns/{self._space(machine)}") as space:
                    if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 -- raised again where the test can see it
                ended.set_exception(error)

        threading.Thread(target=there).start()
        return ended

    def inside(self, machine: str, work: Callable[[], T]) -> T:
        """The same, awaited."""
        return self.start(machine, work).result()

    def runner(self, machine: str) -> Callable[[Callable[[], Any]], Any]:
        """The same, for whoever awaits on a loop."""
        return lambda work: asyncio.wrap_future(self.start(machine, work))

    def _place(self, machine: str) -> int:
        return self.machines.index(machine) + 1

    def _space(self, machine: str) -> str:
        return f"{self._name}-{machine}"

    def _plug(self, machine: str, number: int, address: str) -> None:
        port, card = f"{machine}{number}", f"e{number}"
        far = ("peer", "name", card, "address", self.mac(machine, list(self._wires)[number]))
        _ip("link", "add", port, "netns", self._space("switch"), "type", "veth", *far, "netns", self._space(machine))
        self._ip("switch", "link", "set", port, "master", f"br{number}", "up")
        self._ip(machine, "addr", "add", address, "broadcast", "+", "dev", card)
        self._ip(machine, "link", "set", card, "up")

    def _ip(self, machine: str, *words: str) -> None:
        _ip("-n", self._space(machine), *words)


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)
