"""A black hole on the way between brokers: packets vanish, nothing is refused (edge).

As root in a network of our own: nft drops every packet from and to the brokers' ports. Without root the peer's broker
is stopped by a signal, so that it takes in bytes and never answers. Either ends with `heal`.
"""

import os
import signal
from typing import Protocol

from bench.needs import is_root
from tests.networks import drop, heal


class Hole(Protocol):
    """A black hole that can be opened and closed."""

    def cut(self) -> None: ...
    def heal(self) -> None: ...


class Dropped:
    """Packets from and to these TCP ports are dropped."""

    def __init__(self, *ports: int):
        self._ports = ports

    def cut(self) -> None:
        """From now on."""
        drop(*self._ports)

    def heal(self) -> None:
        """No longer."""
        heal()


class Stopped:
    """These processes do not run."""

    def __init__(self, *pids: int):
        self._pids = pids

    def cut(self) -> None:
        """From now on."""
        for pid in self._pids:
            os.kill(pid, signal.SIGSTOP)

    def heal(self) -> None:
        """They go on."""
        for pid in self._pids:
            os.kill(pid, signal.SIGCONT)


def hole(ports: tuple[int, ...], pids: tuple[int, ...]) -> Hole:
    """The better one of those this user may open."""
    return Dropped(*ports) if is_root() else Stopped(*pids)
