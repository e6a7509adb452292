"""What we carry for others: how much of it there may be, and whose share it is.

    all that is carried  at most FRAMES and BYTES: a long evening of a busy fleet, too little to fill a disk
    one member's share   as much as is still free beside it

So one member alone can fill half of the room, two a third each, and there is always some for whoever has handed us
nothing yet (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998). A share is that
of the member who hands a frame to us: it has proved who it is, while whoever stands in the frame is only a claim.
"""

import msgspec
from immutables import Map

from engine.model.mail import Burden, Freight
from engine.state import Mail

FRAMES = 10_000
BYTES = 32 << 20

Key = tuple[str, str]
_NOTHING = Burden()


def room(mail: Mail, by: str, size: int) -> bool:
    """Whether one more frame of this size fits into a member's share."""
    mine = mail.burdens.get(by, _NOTHING)
    frames = FRAMES - sum(one.frames for one in mail.burdens.values())
    free = BYTES - sum(one.size for one in mail.burdens.values())
    return mine.frames < frames and mine.size + size <= free


def taken(mail: Mail, key: Key, one: Freight) -> Mail:
    """The mail with one more frame to carry."""
    return msgspec.structs.replace(mail, forwards=mail.forwards.set(key, one), burdens=_moved(mail.burdens, one, 1))


def dropped(mail: Mail, key: Key) -> Mail:
    """The mail without one that is over."""
    burdens = _moved(mail.burdens, mail.forwards[key], -1)
    return msgspec.structs.replace(mail, forwards=mail.forwards.delete(key), burdens=burdens)


def borne(forwards: Map[Key, Freight]) -> Map[str, Burden]:
    """Whose share is how large, of all that is carried."""
    burdens: Map[str, Burden] = Map()
    for one in forwards.values():
        burdens = _moved(burdens, one, 1)
    return burdens


def _moved(burdens: Map[str, Burden], one: Freight, by: int) -> Map[str, Burden]:
    before = burdens.get(one.by, _NOTHING)
    after = Burden(before.frames + by, before.size + by * one.size)
    return burdens.set(one.by, after) if after.frames else burdens.delete(one.by)
