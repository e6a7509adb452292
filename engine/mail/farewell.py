"""Mail to somebody who is gone: it ends here and now, and says so.

A peer that was revoked, has left, or is in a fleet this node has left can never acknowledge anything. Its open messages
and those that wait in the store are given up with the reason; nobody is left waiting for a receipt that cannot come.
"""

import msgspec
from immutables import Map

from engine.effects import Effect, Load, Publish, Save
from engine.mail.lanes import counted, paged, uncarried, with_lane
from engine.mail.unheard import heard_of
from engine.model.envelope import OPEN_LIMIT, Envelope, Rung
from engine.model.event import MessageMoved
from engine.model.mail import Lane
from engine.model.moment import Moment
from engine.model.records import MoveRung
from engine.signals import Loaded, RosterMade, RosterOffered, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """End what is addressed to nobody."""
    if isinstance(signal, Loaded):
        return _given_up(fleet, signal, now) if gone(fleet, signal.peer) else (fleet, [])
    if not isinstance(signal, RosterMade | RosterOffered):
        return fleet, []
    effects: list[Effect] = []
    for peer in sorted(peer for peer in fleet.mail.lanes if gone(fleet, peer)):
        fleet, more = _ended(fleet, peer, now)
        effects += more
    return fleet, effects


def gone(fleet: Fleet, peer: str) -> str:
    """Why a peer can receive nothing any more; empty while it can."""
    member = fleet.member(peer)
    if member is None:
        return "this node left the fleet they shared"
    if member.revoked_ms:
        return f"{member.name} was revoked"
    return f"{member.name} had left the fleet" if member.left_ms else ""


def _ended(fleet: Fleet, peer: str, now: Moment) -> Step:
    lane = fleet.mail.lanes[peer]
    over = [lane.open[number].envelope for number in sorted(lane.open) if not lane.open[number].skipping]
    left = bool(lane.backlog)
    unsaid = heard_of(fleet, peer, lane.open.values(), ())
    fleet = with_lane(fleet, peer, msgspec.structs.replace(lane, open=Map(), loading=left))
    fleet, effects = _dead(fleet, peer, over, now)
    effects += unsaid
    # A page on its way is given up when it comes; asked for twice, its messages would die twice.
    return fleet, [*effects, *([Load(peer, OPEN_LIMIT, OPEN_LIMIT)] if left and not lane.loading else [])]


def _given_up(fleet: Fleet, signal: Loaded, now: Moment) -> Step:
    """A page of what waited in the store for somebody who is gone."""
    over = [one.envelope for one in signal.waiting if not one.envelope.seq]
    if len(over) < len(signal.waiting):
        # Numbers it had lost: those messages were on its host once, and that stays true.
        return fleet, []
    lane = paged(fleet.mail.lanes.get(signal.peer, Lane()), signal.waiting, signal.left)
    lane = msgspec.structs.replace(lane, loading=bool(lane.backlog))
    fleet, effects = _dead(with_lane(fleet, signal.peer, lane), signal.peer, over, now)
    return fleet, [*effects, *([Load(signal.peer, OPEN_LIMIT, OPEN_LIMIT)] if lane.backlog else [])]


def _dead(fleet: Fleet, peer: str, over: list[Envelope], now: Moment) -> Step:
    why = gone(fleet, peer)
    for envelope in over:
        fleet = counted(uncarried(fleet, envelope), envelope, waiting=-1, dead=1)
    if not over:
        return fleet, []
    records = tuple(MoveRung(envelope.msg_id, Rung.DEAD, now.wall_ms, None, why) for envelope in over)
    told = [Publish(MessageMoved(envelope.msg_id, peer, Rung.DEAD, None, why)) for envelope in over]
    return fleet, [Save(records), *told]
