"""Climbing: what a peer's session did with our messages, told by the peer, moves their rungs upwards.

    Climbed(B, [m1 posted, m1 seen]) ─► ClimbRung: only a message to B, only upwards, whatever comes late or twice

The store decides whether a word is news: a message may have been settled, and forgotten by the value, long ago. What
was typed is told as a try over P8 besides, so that `fleet why` can say how long it took. A word said twice counts once.
When it was is the peer's word as well: a clock may differ by a day, and a word may lie as long as messages are kept;
beyond that its clock says nothing, and it was when we heard of it.
"""

from collections.abc import Iterable

import msgspec

from engine.effects import Effect, Publish, Save
from engine.model.channel import Channel
from engine.model.envelope import HEIGHT, Rung
from engine.model.event import MessageMoved
from engine.model.moment import DAY_MS, Moment
from engine.model.packets import Climb
from engine.model.records import ClimbRung
from engine.signals import Climbed, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Our messages after a peer's word on its sessions."""
    if not isinstance(signal, Climbed):
        return fleet, []
    said = _last(one for one in signal.climbs if HEIGHT.get(one.rung, 0) > HEIGHT[Rung.ON_HOST])
    if not said:
        return fleet, []
    kept_ms = (fleet.config.store.keep_days + 1) * DAY_MS
    records = tuple(_record(signal.frm, one, now.wall_ms, place, kept_ms) for place, one in enumerate(said))
    moved = [Publish(MessageMoved(one.msg_id, signal.frm, one.rung, _channel(one), one.reason)) for one in said]
    mail = msgspec.structs.replace(fleet.mail, revision=fleet.mail.revision + 1)
    return msgspec.structs.replace(fleet, mail=mail), [Save(records), *moved]


def _last(climbs: Iterable[Climb]) -> list[Climb]:
    """The last word on each message and rung, in their order."""
    found: dict[tuple[str, Rung], Climb] = {}
    for one in climbs:
        found.pop((one.msg_id, one.rung), None)
        found[one.msg_id, one.rung] = one
    return list(found.values())


def _record(frm: str, one: Climb, now_ms: int, place: int, kept_ms: int) -> ClimbRung:
    """`place`: among the words of one packet, for of two equal rungs the later counts."""
    likely = now_ms - kept_ms <= one.at_ms <= now_ms + DAY_MS
    at_ms = one.at_ms if likely else now_ms + place
    return ClimbRung(one.msg_id, frm, one.rung, at_ms, one.reason, _channel(one), min(one.after_ms, kept_ms))


def _channel(one: Climb) -> Channel | None:
    return Channel.TEXT if one.channel == Channel.TEXT else None
