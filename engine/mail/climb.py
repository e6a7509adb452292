"""Climbing: what a peer's session did with our messages, told by the peer, moves their rungs upwards.

    Climbed(B, [m1 posted, m1 seen]) ─► ClimbRung: only a message to B, only upwards, whatever comes late or twice

The store decides whether a word is news: a message may have been settled, and forgotten by the value, long ago. What
was typed is told as a try over P8 besides, so that `fleet why` can say how long it took.
"""

import msgspec

from engine.effects import Effect, Publish, Save
from engine.model.channel import Channel
from engine.model.envelope import HEIGHT, Rung
from engine.model.event import MessageMoved
from engine.model.moment import Moment
from engine.model.packets import Climb
from engine.model.records import ClimbRung
from engine.signals import Climbed, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Our messages after a peer's word on its sessions."""
    if not isinstance(signal, Climbed):
        return fleet, []
    said = [one for one in signal.climbs if HEIGHT.get(one.rung, 0) > HEIGHT[Rung.ON_HOST]]
    if not said:
        return fleet, []
    records = tuple(_record(signal.frm, one) for one in said)
    moved = [Publish(MessageMoved(one.msg_id, signal.frm, one.rung, _channel(one), one.reason)) for one in said]
    mail = msgspec.structs.replace(fleet.mail, revision=fleet.mail.revision + 1)
    return msgspec.structs.replace(fleet, mail=mail), [Save(records), *moved]


def _record(frm: str, one: Climb) -> ClimbRung:
    return ClimbRung(one.msg_id, frm, one.rung, one.at_ms, one.reason, _channel(one), one.after_ms)


def _channel(one: Climb) -> Channel | None:
    return Channel.TEXT if one.channel == Channel.TEXT else None
