"""The census: how every member is, and which pairs are locked, kept from one value to the next.

A value differs from the one before in a few pairs of thousands. They are found by comparing objects, which costs a
thousandth of judging everybody anew, and only the peers they belong to are judged again: those whose own entry is
another, or of whom a channel is or was in trouble. A round trip more is nothing a condition tells of. While nobody's
condition is another one, the census is the very same object: by that its counts and its order still hold.
"""

from collections.abc import Hashable, Iterable, Mapping
from itertools import compress
from operator import is_not
from typing import TypeVar

from immutables import Map

from engine.model.channel import TROUBLE, ChannelHealth, ChannelState
from engine.state import Fleet
from screens.roll import Condition, Pair, condition, counts

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Census:
    """The conditions of the members that belong, by id; the same object while each of them is what it was."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._made: Mapping[str, Condition] = {}
        self._locked: Mapping[Pair, ChannelHealth] = {}
        self._counted: Mapping[str, Condition] | None = None
        self._counts: dict[str, int] = {}

    def __call__(self, fleet: Fleet) -> Mapping[str, Condition]:
        if fleet is not self._fleet:
            found = _touched(self._fleet, fleet) if self._fleet else None
            if found is None:
                self._made = {one.id: condition(fleet, one.id) for one in fleet.roster.members if one.present}
                self._locked = _locked(fleet.channels.items())
            else:
                self._again(fleet, *found)
            self._fleet = fleet
        return self._made

    def _again(self, fleet: Fleet, peers: set[str], pairs: Mapping[Pair, ChannelHealth]) -> None:
        """Judge these anew, and nobody else."""
        judged = {peer: condition(fleet, peer) for peer in peers & self._made.keys()}
        if any(self._made[peer] != how for peer, how in judged.items()):
            self._made = {**self._made, **judged}
        if pairs:
            self._locked = _locked({**self._locked, **pairs}.items())

    def locked(self, fleet: Fleet) -> Mapping[Pair, ChannelHealth]:
        """The pairs in quarantine."""
        self(fleet)
        return self._locked

    def counts(self, fleet: Fleet) -> dict[str, int]:
        """How many members wear each glyph: the header's numbers."""
        made = self(fleet)
        if made is not self._counted:
            self._counted, self._counts = made, counts(made.values())
        return self._counts


def _locked(pairs: Iterable[tuple[Pair, ChannelHealth]]) -> dict[Pair, ChannelHealth]:
    return {pair: health for pair, health in pairs if health.state is ChannelState.QUARANTINED}


def _touched(old: Fleet, new: Fleet) -> tuple[set[str], dict[Pair, ChannelHealth]] | None:
    """The peers whose condition may be another one, and the changed pairs that are or were in trouble; None when not
    even the same peers and pairs are there."""
    if old.roster is not new.roster or old.me.id != new.me.id:
        return None
    peers, pairs = changed(old.peers, new.peers), changed(old.channels, new.channels)
    if peers is None or pairs is None:
        return None
    ill = {pair: now for pair, was, now in pairs if was.state in TROUBLE or now.state in TROUBLE}
    return {peer for peer, _ in ill}.union(peer for peer, _, _ in peers), ill


def changed(old: Map[Key, Value], new: Map[Key, Value]) -> list[tuple[Key, Value, Value]] | None:
    """The keys of other values, with what they were and are; None when the keys themselves are others. Two maps of the
    same keys, one made from the other, have one order. Asked of every pair there is, so no line of ours runs for what
    is the same object."""
    if old is new:
        return []
    keys = list(new)
    if len(old) != len(new) or keys != list(old):
        return None
    were, are = list(old.values()), list(new.values())
    return list(compress(zip(keys, were, are, strict=True), map(is_not, were, are)))
