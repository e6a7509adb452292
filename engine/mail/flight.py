"""One message's walk over the channels: begin, hedge, go on, rest.

    begin -> channel -> (slow, or failed) -> next channel -> ... -> (nothing left, or 30 s) -> rest -> begin

Which channels and in which order is `engine.health.cascade`'s answer, asked anew at each step, so that a channel that
broke on the way is not tried. Nothing here settles a message: only a receipt does (`engine.mail.proof`).

The next channel starts after the hedge of the present one only while it is of the same class: the usual tail of a hot
channel is no reason to write files or to push commits. A colder one waits for a failure, or for `hedge_max_s` a class.
When all were tried, those that took their time in vain are tried again, as often as the tables allow; and one that
comes back at once, beside colder ones that still take theirs.
"""

from math import floor
from zlib import crc32

import msgspec

from engine.effects import Arm, Deliver, Effect
from engine.health.cascade import choose, hedge_s, resorts, trusted
from engine.mail import receipts
from engine.mail.lanes import TIMER, with_lane
from engine.mail.unheard import unheard
from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import KINDS, Envelope
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.state import Fleet

# A channel that answers others is given this long for one message before another is tried as well.
BUSY_S = 1.0

# Rests end together: a thousand messages to a peer that is away are four rings a second, not a hundred.
REST_GRID_S = 0.25


def opened(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Fleet, Envelope, list[Effect]]:
    """Give a message the next number of its lane and begin its first cascade."""
    dst = waiting.envelope.dst
    lane = fleet.mail.lanes.get(dst, Lane())
    envelope = msgspec.structs.replace(waiting.envelope, src_epoch=fleet.me.epoch, seq=lane.next_seq)
    lane = msgspec.structs.replace(lane, next_seq=lane.next_seq + 1)
    begun, effects = begin(fleet, msgspec.structs.replace(waiting, envelope=envelope), now)
    lane = msgspec.structs.replace(lane, open=lane.open.set((envelope.src_epoch, envelope.seq), begun))
    return with_lane(fleet, dst, lane), envelope, [*effects, Arm(TIMER + dst, begun.due)]


def begin(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Waiting, list[Effect]]:
    """Start a cascade: the best channel, and the second with it unless the first has proved itself just now."""
    waiting = msgspec.structs.replace(
        waiting,
        tried=(),
        flying=(),
        began_at=now.mono,
        cascades=waiting.cascades + 1,
        landed=frozenset() if _asks_again(waiting) else waiting.landed,
    )
    order = left_to_try(fleet, waiting, now)
    if not order:
        return rested(fleet, waiting, now), unheard(fleet, waiting)
    first = fleet.health(waiting.envelope.dst, order[0])
    alone = trusted(first, now.mono, fleet.config.mail)
    effects: list[Effect] = []
    for channel in order[:1] if alone else _together(order):
        waiting, sent = start(fleet, waiting, channel, now)
        effects += sent
    return waiting, effects


def _together(order: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """The first two, where the second is no colder."""
    return order[:1] if order[1:] and _colder(order[0], order[1]) else order[:2]


def _colder(one: Channel, other: Channel) -> int:
    """By how many classes another channel is colder than this one; 0 where it is not."""
    return max(0, CHANNELS[other].speed - CHANNELS[one].speed)


def _asks_again(waiting: Waiting) -> bool:
    """Whoever stores mail may have lost what it took, or never wanted it: asked again after 4, 8, 16, ... cascades."""
    return waiting.cascades >= 4 and waiting.cascades & (waiting.cascades - 1) == 0


def start(fleet: Fleet, waiting: Waiting, channel: Channel, now: Moment) -> tuple[Waiting, list[Effect]]:
    """Send it over this channel, and remember when to look after it."""
    envelope = waiting.envelope
    wait_s = hedge_s(fleet.health(envelope.dst, channel), fleet.config.mail)
    started = msgspec.structs.replace(
        waiting,
        tried=(*waiting.tried, channel),
        flying=(*waiting.flying, (channel, now.mono)),
        due=min(now.mono + wait_s, waiting.expires_at),
        closing=waiting.skipping,
    )
    acks = receipts.lines(fleet, envelope.dst)
    return started, [Deliver(envelope.dst, channel, envelope, CHANNELS[channel].budget_s, acks)]


def _order(fleet: Fleet, waiting: Waiting) -> tuple[Channel, ...]:
    of = waiting.envelope
    return choose(fleet, of.dst, of.kind, via=waiting.via, widened=waiting.widened, hop=of.hop)


def left_to_try(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Channel, ...]:
    """The channels left to try. Whoever holds the message already is not asked again; the last resorts come when
    nothing else is left or flies."""
    order = _order(fleet, waiting)
    done = {*waiting.tried, *waiting.landed}
    left = tuple(channel for channel in order if channel not in done)
    if left or waiting.flying:
        return left
    again = _again(waiting, order, now)
    if again or not waiting.widened or waiting.via:
        return again
    # A trigger that costs is not pulled while somebody holds the message; a machine is woken to fetch it.
    last = resorts(fleet, waiting.envelope.dst)
    return tuple(one for one in last if one not in done and not (CHANNELS[one].carries and _stored(waiting)))


def _again(waiting: Waiting, order: tuple[Channel, ...], now: Moment) -> tuple[Channel, ...]:
    """The channels to be tried once more. What failed at once would do so again: that is what the back-off is for."""
    if now.mono - waiting.began_at < BUSY_S:
        return ()
    own = KINDS[waiting.envelope.kind].retries
    allowed = {channel: 1 + (CHANNELS[channel].retries if own is None else own) for channel in order}
    tried = [one for one in order if waiting.tried.count(one) < allowed[one] and one not in waiting.landed]
    return tuple(sorted(tried, key=waiting.tried.count))


def _stored(waiting: Waiting) -> bool:
    return any(CHANNELS[channel].carries for channel in waiting.landed)


def onward(fleet: Fleet, waiting: Waiting, now: Moment) -> tuple[Waiting, list[Effect]]:
    """The next channel of the cascade; or wait for those flying; or rest until the next cascade."""
    ends = waiting.began_at + fleet.config.mail.cascade_s
    busy = next((channel for channel, since in waiting.flying if answering(fleet, waiting, channel, since, now)), None)
    if busy is not None:
        wait_s = hedge_s(fleet.health(waiting.envelope.dst, busy), fleet.config.mail)
        return msgspec.structs.replace(waiting, due=min(now.mono + wait_s, waiting.expires_at)), []
    order = left_to_try(fleet, waiting, now) if now.mono < ends else ()
    if order:
        early = _too_early(fleet, waiting, order[0])
        if now.mono < early:
            return msgspec.structs.replace(waiting, due=min(early, ends, waiting.expires_at)), []
        return start(fleet, waiting, order[0], now)
    if waiting.flying and now.mono < ends:
        return msgspec.structs.replace(waiting, due=min(ends, waiting.expires_at)), []
    return rested(fleet, waiting, now), unheard(fleet, waiting)


def back(fleet: Fleet, waiting: Waiting, channel: Channel, now: Moment) -> tuple[Waiting, list[Effect]]:
    """A channel came back while the message flies: it goes over that one as well, unless it flies as warm and can wait
    for what becomes of that. What is urgent does not wait: what only rested would be there before it."""
    if channel not in _order(fleet, waiting) or channel in waiting.landed:
        return waiting, []
    held_up = all(_colder(channel, one) or silent(fleet, waiting, one, since, now) for one, since in waiting.flying)
    if held_up or waiting.envelope.urgency.pressing:
        return start(fleet, waiting, channel, now)
    return waiting, []


def followed(fleet: Fleet, waiting: Waiting, channel: Channel, now: Moment) -> tuple[Waiting, list[Effect]]:
    """Others got through over a channel while this one, which is urgent, waits for the answer of another: it goes after
    them at once. When its hedge is over, all that only waited would be there before it."""
    if not waiting.flying or channel in waiting.tried or channel not in _order(fleet, waiting):
        return waiting, []
    return start(fleet, waiting, channel, now)


def _too_early(fleet: Fleet, waiting: Waiting, channel: Channel) -> float:
    """The monotonic second before which a channel is not started beside warmer ones that still fly."""
    bound_s = fleet.config.mail.hedge_max_s
    waits = (since + _colder(one, channel) * bound_s for one, since in waiting.flying if _colder(one, channel))
    return max(waits, default=0.0)


def answering(fleet: Fleet, waiting: Waiting, channel: Channel, since: float, now: Moment) -> bool:
    """Whether a channel has answered others since it was given this message: it is busy, not silent, and a second copy
    would make it busier. Believed for a second; a single message may be lost on a path that works."""
    ok_at = fleet.health(waiting.envelope.dst, channel).ok_at
    return ok_at is not None and ok_at > since and now.mono - since < BUSY_S


def silent(fleet: Fleet, waiting: Waiting, channel: Channel, since: float, now: Moment) -> bool:
    """Whether a channel has had this message for longer than its hedge and has answered nothing meanwhile."""
    late = now.mono - since > hedge_s(fleet.health(waiting.envelope.dst, channel), fleet.config.mail)
    return late and not answering(fleet, waiting, channel, since, now)


def rested(fleet: Fleet, waiting: Waiting, now: Moment) -> Waiting:
    """Between cascades: full-jitter back-off (Brooker, "Exponential backoff and jitter"), the same in every replay."""
    mail = fleet.config.mail
    ceiling = min(mail.retry_max_s, mail.retry_s * 2 ** min(waiting.cascades, 10))
    share = crc32(f"{waiting.envelope.msg_id}{waiting.cascades}".encode()) % 1000 / 1000
    due = (floor((now.mono + ceiling * share) / REST_GRID_S) + 1) * REST_GRID_S
    return msgspec.structs.replace(waiting, tried=(), flying=(), due=min(due, waiting.expires_at))
