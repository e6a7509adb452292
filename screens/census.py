"""The census: how every member is, kept from one value to the next.

A value differs from the one before in a few pairs of thousands. They are found by comparing objects, which costs a
thousandth of judging everybody anew, and only the peers they belong to are judged again. Whoever nothing happened to
keeps the very same `Condition`: by that object a row knows that it says what it said.
"""

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from immutables import Map

from engine.state import Fleet
from screens.roll import Condition, condition

Key = TypeVar("Key", bound=Hashable)


class Census:
    """The conditions of the members that belong, by id; the same object while none of them was judged again."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._made: Mapping[str, Condition] = {}

    def __call__(self, fleet: Fleet) -> Mapping[str, Condition]:
        if fleet is not self._fleet:
            found = _touched(self._fleet, fleet) if self._fleet else None
            if found is None:
                self._made = {one.id: condition(fleet, one.id) for one in fleet.roster.members if one.present}
            elif known := found & self._made.keys():
                self._made = {**self._made, **{peer: condition(fleet, peer) for peer in known}}
            self._fleet = fleet
        return self._made


def _touched(old: Fleet, new: Fleet) -> set[str] | None:
    """The peers that something of is another object; None when not even the same peers and pairs are there."""
    if old.roster is not new.roster or old.me.id != new.me.id:
        return None
    peers, pairs = _changed(old.peers, new.peers), _changed(old.channels, new.channels)
    return None if peers is None or pairs is None else {*peers, *(peer for peer, _ in pairs)}


def _changed(old: Map[Key, Any], new: Map[Key, Any]) -> list[Key] | None:
    """The keys of other values; None when the keys themselves are others. Two maps of the same keys, one made from the
    other, have one order."""
    if old is new:
        return []
    if len(old) != len(new):
        return None
    pairs = zip(old.items(), new.items(), strict=True)
    differ = [(key, other) for (key, was), (other, now) in pairs if was is not now or key is not other]
    return None if any(key != other for key, other in differ) else [key for key, _ in differ]
