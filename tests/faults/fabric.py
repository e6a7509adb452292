"""The first fabric: veth pairs and a bridge, with nft rules at each place's door for what is cut.

The bridge has a namespace of its own, so nothing of the laboratory touches the machine it runs on.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Protocol

import pytest

from tests.e2e.until import until
from tests.faults.cuts import Cut
from tests.faults.places import Place, ip, made


class Fabric(Protocol):
    """What a laboratory's network can do."""

    def lay(self, places: Sequence[Place]) -> None: ...
    def cut(self, cut: Cut) -> AbstractContextManager[None]: ...
    def clear(self) -> None: ...


class Bridge:
    """Cables between every place and one bridge, as machines on one LAN have them."""

    def __init__(self) -> None:
        self._numbers = count()

    def lay(self, places: Sequence[Place]) -> None:
        """A cable from each place to the bridge."""
        (self._hub,) = made("x")
        try:
            ip("-n", self._hub.space, "link", "add", "bridge", "type", "bridge")
        except OSError as error:
            pytest.skip(f"needs a bridge of the kernel's: {error}")
        ip("-n", self._hub.space, "link", "set", "bridge", "up")
        for place in places:
            far = ("peer", "name", f"to-{place.name}", "netns", self._hub.space)
            ip("link", "add", "lan", "netns", place.space, "type", "veth", *far)
            place.name_device()
            ip("-n", self._hub.space, "link", "set", f"to-{place.name}", "master", "bridge", "up")
        until(lambda: all(place.up() for place in places), "the cables to carry")

    @contextmanager
    def cut(self, cut: Cut) -> Iterator[None]:
        """Cut inside the `with`."""
        table = f"cut{next(self._numbers)}"
        act = "reject with tcp reset" if cut.how == "reset" else "drop"
        doors = {rule.dst for rule in cut.rules}
        try:
            for place in doors:
                lines = "\n".join(f"    {rule.text()} {act}" for rule in cut.rules if rule.dst is place)
                chain = f"  chain door {{\n    type filter hook input priority 0;\n{lines}\n  }}"
                _nft(place, f"table inet {table} {{\n{chain}\n}}\n")
            yield
        finally:
            for place in doors:
                _nft(place, f"table inet {table} {{ }}\ndelete table inet {table}\n")

    @contextmanager
    def unplugged(self, place: Place) -> Iterator[None]:
        """The far end of a place's cable is dead inside the `with`: nobody is told."""
        ip("-n", self._hub.space, "link", "set", f"to-{place.name}", "nomaster")
        try:
            yield
        finally:
            ip("-n", self._hub.space, "link", "set", f"to-{place.name}", "master", "bridge")

    def clear(self) -> None:
        """It ends with its namespace."""
        self._hub.remove()


def _nft(place: Place, rules: str) -> None:
    done = subprocess.run([*place.inside, "nft", "-f", "-"], input=rules, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{rules}\n{done.stderr}"
