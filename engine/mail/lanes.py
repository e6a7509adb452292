"""Lanes: the open numbers to one peer, and the counts people see of them."""

from collections.abc import Sequence

import msgspec

from engine.effects import Arm, Effect, Load
from engine.mail import freight
from engine.model.envelope import KINDS, OPEN_LIMIT, RESERVED, Envelope, Kind, Urgency
from engine.model.mail import Lane, Waiting, freight_of
from engine.model.moment import Moment
from engine.state import Fleet

TIMER = "mail."


def with_lane(fleet: Fleet, peer: str, lane: Lane) -> Fleet:
    """The fleet with one peer's lane moved."""
    mail = msgspec.structs.replace(fleet.mail, lanes=fleet.mail.lanes.set(peer, lane))
    return msgspec.structs.replace(fleet, mail=mail)


def counted(fleet: Fleet, envelope: Envelope, waiting: int = 0, dead: int = 0) -> Fleet:
    """The counts people see: messages of people, not the fleet's own."""
    if not KINDS[envelope.kind].public:
        return fleet
    mail = fleet.mail
    mail = msgspec.structs.replace(
        mail, waiting=mail.waiting + waiting, dead=mail.dead + dead, revision=mail.revision + 1
    )
    return msgspec.structs.replace(fleet, mail=mail)


def revived(fleet: Fleet) -> Fleet:
    """One message fewer among the dead: it was there all along."""
    mail = fleet.mail
    mail = msgspec.structs.replace(mail, dead=mail.dead - 1, revision=mail.revision + 1)
    return msgspec.structs.replace(fleet, mail=mail)


def uncarried(fleet: Fleet, envelope: Envelope) -> Fleet:
    """What we carried for somebody else is over; the same message may be given to us anew."""
    msg_id, _ = freight_of(envelope.thread)
    key = (envelope.dst, msg_id)
    if envelope.kind is not Kind.FORWARD or key not in fleet.mail.forwards:
        return fleet
    return msgspec.structs.replace(fleet, mail=freight.dropped(fleet.mail, key))


def roomy(lane: Lane, urgency: Urgency) -> bool:
    """Whether a message may have a number now: there is one for its urgency, and it would overtake nothing as urgent
    that waits in the store."""
    if urgency.pressing:
        return len(lane.open) < OPEN_LIMIT and not lane.pressing and not lane.loading
    return len(lane.open) < OPEN_LIMIT - RESERVED and not lane.backlog


def stored(lane: Lane, urgency: Urgency) -> Lane:
    """The lane with one more that waits in the store."""
    pressing = lane.pressing or urgency.pressing
    return msgspec.structs.replace(lane, backlog=lane.backlog + 1, since=lane.since + 1, pressing=pressing)


def page(fleet: Fleet, peer: str) -> tuple[Fleet, list[Effect]]:
    """Ask the store for more, once, when something waits there and the lane is half empty; for what is urgent, when
    half of what is kept free for it is."""
    lane = fleet.mail.lanes.get(peer, Lane())
    free = OPEN_LIMIT - len(lane.open)
    wanted = RESERVED // 2 if lane.pressing else OPEN_LIMIT // 2
    if not lane.backlog or lane.loading or free < wanted:
        return fleet, []
    fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, loading=True, since=0, pressing=False))
    return fleet, [Load(peer, free, max(0, free - RESERVED))]


def paged(lane: Lane, read: Sequence[Waiting], left: int) -> Lane:
    """The lane once its page came. What was added while it was read is counted as left, too, and where the page ended
    among the urgent more of them may be left: to look once too often costs a look, while a message nobody counts is a
    message nobody sends."""
    pressing = lane.pressing or bool(left and read and read[-1].envelope.urgency.pressing)
    return msgspec.structs.replace(lane, backlog=left + lane.since, since=0, loading=False, pressing=pressing)


def armed(peer: str, lane: Lane) -> list[Effect]:
    """The lane's timer, for the first of its messages that is due."""
    soonest = min((waiting.due for waiting in lane.open.values()), default=float("inf"))
    return [Arm(TIMER + peer, soonest)] if soonest < float("inf") else []


def ends_ms(envelope: Envelope, now_ms: int) -> int:
    """The wall millisecond at which a message that is here now has lived; 0: never. Its age is taken as below."""
    if not envelope.ttl_s:
        return 0
    life_ms = envelope.ttl_s * 1000
    return now_ms + life_ms - min(max(0, now_ms - envelope.created_ms), life_ms)


def ends_at(envelope: Envelope, now: Moment) -> float:
    """The monotonic end of a message's life. Its age is taken once, at most its whole life, so that a clock that
    jumps cannot expire everything."""
    if not envelope.ttl_s:
        return float("inf")
    age_s = min(max(0.0, (now.wall_ms - envelope.created_ms) / 1000), float(envelope.ttl_s))
    return now.mono + envelope.ttl_s - age_s
