"""Machines of a laboratory: network namespaces with one address each, surely removed, also after a test that died.

A namespace has the name of the process that made it, so whoever comes next finds those whose process is gone, ends
what still runs in them, and removes them. Everything in here needs root and programs that `conftest` asks for first.
"""

import ctypes
import itertools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil
import pytest

T = TypeVar("T")

NAME = re.compile(r"^flt(\d+)-")
NETWORK = "10.210.0"
MASK = 24

_labs = itertools.count(1)


def ip(*words: str) -> None:
    """One `ip` command that has to succeed."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Place:
    """One machine: a namespace, and the device `lan` in it once a fabric has been laid."""

    def __init__(self, name: str, number: int, lab: int) -> None:
        self.name, self.number = name, number
        self.space = f"flt{os.getpid()}-{lab}{name}"
        self.host = f"{NETWORK}.{number}"
        # A hardware address by which the switch knows it, out of the range that anybody may use.
        self.mac = f"02:f1:ee:70:00:{number:02x}"

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a command there."""
        return ("ip", "netns", "exec", self.space)

    def make(self) -> None:
        """The namespace, with its own loopback and no second family of addresses to slip through a cut."""
        ip("netns", "add", self.space)
        ip("-n", self.space, "link", "set", "lo", "up")
        off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"
        subprocess.run([*self.inside, "sh", "-c", off], check=False, capture_output=True)

    def name_device(self) -> None:
        """Give `lan` its addresses and switch it on."""
        ip("-n", self.space, "link", "set", "lan", "address", self.mac)
        ip("-n", self.space, "addr", "add", f"{self.host}/{MASK}", "dev", "lan")
        ip("-n", self.space, "link", "set", "lan", "up")

    def up(self) -> bool:
        """Whether its device carries, which the kernel takes up to a second to see."""
        shown = subprocess.run(["ip", "-n", self.space, "link", "show", "lan"], capture_output=True, text=True)
        return "state UP" in shown.stdout or "state UNKNOWN" in shown.stdout

    def remove(self) -> None:
        """End what runs there, and the namespace."""
        _removed(self.space)

    def within(self, work: Callable[[], T]) -> T:
        """The result of `work`, done by a thread that has entered the namespace."""
        found: list[T] = []
        failed: list[BaseException] = []

        def enter() -> None:
            try:
                with open(f"/run/netns/{self.space}") as space:
                    if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(work())
            except BaseException as error:  # noqa: BLE001 -- raised again where the test can see it
                failed.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]


def made(names: str) -> list[Place]:
    """A place for each letter; skips with the reason where namespaces are not permitted."""
    sweep()
    lab = next(_labs)
    places = [Place(name, number, lab) for number, name in enumerate(names, 1)]
    try:
        for place in places:
            place.make()
    except OSError as error:
        for place in places:
            place.remove()
        pytest.skip(f"needs network namespaces, and making one is not permitted: {error}")
    return places


def sweep() -> None:
    """Remove the namespaces of processes that are gone."""
    shown = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for line in shown.splitlines():
        if (found := NAME.match(line)) and not psutil.pid_exists(int(found[1])):
            _removed(line.split()[0])


def _removed(space: str) -> None:
    shown = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
    for pid in shown.split():
        for number in (signal.SIGCONT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)
    subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)
