"""Whom this node knew in fleets that it is in no more: their names, so that old letters keep their people.

    the roster of another fleet --left_behind--> Fleet.former, meta "former" --restore, at a start--> Fleet.former

A roster never forgets a member, but one of another fleet knows nobody of the last. A name is only what people read: a
former member is believed nothing and reached nowhere, and who meets us again in this fleet has the name it has here.
"""

import msgspec
from immutables import Map

from engine.model.records import PutMeta
from engine.model.roster import Roster
from engine.state import Fleet

META = "former"
# As many as the largest fleets have, the latest met: each costs some sixty bytes.
KEPT = 1_024

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(dict[str, str]).decode


def left_behind(fleet: Fleet, roster: Roster) -> tuple[Fleet, tuple[PutMeta, ...]]:
    """The names of all whom `roster`, of another fleet, does not know, and how they outlive a restart."""
    gone = {one.id: one.name for one in fleet.roster.members if roster.member(one.id) is None}
    if roster.fleet_id == fleet.roster.fleet_id or not gone:
        return fleet, ()
    before = {one: name for one, name in sorted(fleet.former.items()) if one not in gone}
    names = dict(list({**before, **gone}.items())[-KEPT:])
    return msgspec.structs.replace(fleet, former=Map(names)), (PutMeta(META, _encode(names)),)


def restore(data: bytes) -> Map[str, str]:
    """The names as the last process knew them; none where they cannot be read."""
    try:
        return Map(_decode(data)) if data else Map()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Map()
