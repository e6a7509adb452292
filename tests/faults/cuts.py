"""What is cut: which packets, between whom, in which direction, and whether anybody is told.

A `Cut` is a list of `Rule`s; both fabrics understand it. A rule names one direction, because a firewall that lets
answers out and no questions in is as real as one that lets nothing through.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from tests.faults.places import Place

How = Literal["drop", "reset"]
Protocol = Literal["tcp", "udp"]


class Rule(NamedTuple):
    """Packets from `src` to `dst` of one protocol whose source or destination port is among these; no ports: all of
    the protocol; no protocol: every packet."""

    src: Place
    dst: Place
    protocol: Literal["", "tcp", "udp"] = ""
    side: Literal["sport", "dport"] = "dport"
    ports: tuple[int, ...] = ()

    def matches(self, protocol: str, sport: int, dport: int) -> bool:
        """Whether a packet on this link is meant."""
        if self.protocol and protocol != self.protocol:
            return False
        return not self.ports or (sport if self.side == "sport" else dport) in self.ports

    def text(self) -> str:
        """The rule in the words of nft, for the input of `dst`."""
        words = f"ip saddr {self.src.host}"
        if self.ports:
            words += f" {self.protocol} {self.side} {{ {', '.join(map(str, self.ports))} }}"
        elif self.protocol:
            words += f" meta l4proto {self.protocol}"
        return words


class Cut(NamedTuple):
    """These rules. `drop`: in silence; `reset`: whoever speaks TCP is told at once."""

    rules: tuple[Rule, ...]
    how: How = "drop"

    def __add__(self, other: object) -> "Cut":
        assert isinstance(other, Cut)
        return Cut((*self.rules, *other.rules), self.how)


def service(here: Place, ports: Iterable[int], there: Place, protocol: Protocol = "tcp") -> Cut:
    """What listens on these ports of `here` is gone for `there`: neither questions nor answers pass."""
    wanted = tuple(ports)
    assert wanted, "a rule without ports would cut everything"
    return Cut((Rule(there, here, protocol, "dport", wanted), Rule(here, there, protocol, "sport", wanted)))


def one_way(src: Place, dst: Place) -> Cut:
    """Nothing from `src` reaches `dst`; everything from `dst` reaches `src`."""
    return Cut((Rule(src, dst),))


def apart(one: Place, other: Place) -> Cut:
    """These two have no link at all."""
    return Cut((Rule(one, other), Rule(other, one)))
