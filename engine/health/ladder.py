"""The repair ladder of a (peer, channel) pair: when it begins, which rung is next, how it ends.

    broke -> NOTED -due-> ASKED -due, no-> AGENT -due, no-> PERSON          any -late-> PERSON
             any -healed-> over        any -gone-> over       any -wanted-> the rung that was asked for
             ASKED, AGENT -done already, and no round trip-> the same once more

It begins when P1 or P2 to a peer breaks while another channel reaches it. Each rung is given its time; a rung that is
switched off, or answered with no, is not waited for. A repair ends by a measured round trip of its own channel and by
nothing else, unless the peer left or is away altogether, or the channel cannot be used any more, whoever asked; that of
this node's own broker, unless this holds of all. What is sent and said on a rung is `rungs`; which action fits is
`remedies`. An absent key of the table is the illegal step.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from engine.effects import Arm, Effect, Raise
from engine.errors import Fault, FleetError
from engine.health import rungs
from engine.health.kept import recorded
from engine.health.remedies import (
    BROKEN,
    absent,
    at_home,
    ended_node,
    is_away,
    is_stopped,
    is_there,
    left_alone_s,
    others,
    remedy,
    repairable,
    returned_at,
    unproved,
    unset,
)
from engine.model.broker import RUNS, BrokerState
from engine.model.channel import CHANNELS, DIRECT, Channel, ChannelState
from engine.model.moment import Moment
from engine.model.repair import Level, Repair, above
from engine.signals import (
    ChannelTurned,
    MendAnswered,
    ProbeAsked,
    Rang,
    RepairAsked,
    Signal,
    Tried,
)
from engine.state import Fleet

TIMER = "health.repair"
# Open repairs are looked at this often; at a person's rung nothing is in a hurry.
LOOK_S, CALM_S = 1.0, 10.0
# So long a machine, or this node, is new: what has not worked yet is not called broken.
NEW_S = 60.0

Step = tuple[Fleet, list[Effect]]


class Event(StrEnum):
    """What can befall a repair."""

    DUE = "due"
    NO = "no"
    DONE = "done"
    AGAIN = "again"
    LATE = "late"
    WANTED = "wanted"


L = Level
TABLE: dict[tuple[Level, Event], Level] = {
    (L.NOTED, Event.DUE): L.ASKED,
    (L.ASKED, Event.DUE): L.AGENT,
    (L.AGENT, Event.DUE): L.PERSON,
    (L.ASKED, Event.NO): L.AGENT,
    (L.AGENT, Event.NO): L.PERSON,
    (L.ASKED, Event.DONE): L.ASKED,
    (L.AGENT, Event.DONE): L.AGENT,
    (L.ASKED, Event.AGAIN): L.ASKED,
    (L.AGENT, Event.AGAIN): L.AGENT,
    # A person may choose a rung while the ladder is elsewhere: an answer then belongs to the rung it was asked on.
    (L.NOTED, Event.LATE): L.PERSON,
    (L.ASKED, Event.LATE): L.PERSON,
    (L.AGENT, Event.LATE): L.PERSON,
    **{(level, Event.WANTED): level for level in L},
}


def advance(level: Level, event: Event) -> Level:
    """The rung after one event. Raises `FleetError` `repair.illegal` for an event its rung does not know."""
    new = TABLE.get((level, event))
    if new is None:
        raise FleetError("repair.illegal", "Illegal step of a repair", f"{event} on L{level:d}", "", Fault.OURS)
    return new


@recorded
def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The ladders after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


# ------------------------------------------------------------------------------------------------------- beginning


def _turned(fleet: Fleet, signal: ChannelTurned, now: Moment) -> Step:
    fleet, effects = _settle(fleet, signal.peer, now)
    fleet, begun = _consider(fleet, signal.peer, now)
    return fleet, [*effects, *begun]


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    """What a try proves is in the table already. Mail over P1 or P2 says nothing new of them, and comes often."""
    fleet, effects = _settle(fleet, signal.peer, now) if fleet.repairs else (fleet, [])
    if signal.channel in DIRECT and not signal.probe:
        return fleet, effects
    fleet, begun = _consider(fleet, signal.peer, now)
    return fleet, [*effects, *begun]


def _consider(fleet: Fleet, peer: str, now: Moment) -> Step:
    """Begin what has to be begun about the direct channels to a peer, for what else carries is dearer or slower, or
    about a node that ended."""
    effects: list[Effect] = []
    if (peer, Channel.SSH) not in fleet.repairs and is_stopped(fleet, peer):
        fleet, effects = _begun(fleet, peer, Channel.SSH, now, fleet.health(peer, Channel.SSH).reason)
    for channel in DIRECT:
        health = fleet.channels.get((peer, channel))
        if health is None or health.state not in BROKEN or health.held or not _begins(fleet, peer, channel, now):
            continue
        fleet, more = _begun(fleet, peer, channel, now, health.reason)
        effects += more
    return fleet, effects


def _begins(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> bool:
    if (peer, channel) in fleet.repairs or not is_there(fleet, peer):
        return False
    if not _known_well(fleet, peer, channel, now):
        return False
    if channel is Channel.NATS and (fleet.me.id, channel) in fleet.repairs:
        return False
    if channel is Channel.NATS and fleet.broker.state is BrokerState.STARTING:
        return False  # a link that was never up is not broken
    return any(health.ok_at is not None for health in others(fleet, peer, channel))


def _known_well(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> bool:
    """What has never worked may only be new: a machine that has just joined opens its doors one by one. When it joined
    is another machine's word: one that lies ahead of this clock says nothing."""
    if fleet.health(peer, channel).ok_at is not None:
        return True
    member = fleet.member(peer)
    joined_s = (now.wall_ms - member.joined_ms) / 1000 if member else 0.0
    return member is not None and now.mono - fleet.me.started_mono >= NEW_S and not 0 <= joined_s < NEW_S


def _begun(fleet: Fleet, peer: str, channel: Channel, now: Moment, why: str, by: str = "") -> Step:
    health = fleet.health(peer, channel)
    repair = Repair(
        peer,
        channel,
        Level.NOTED,
        now.wall_ms,
        now.mono,
        _first_due(fleet, now),
        why=why,
        action=remedy(channel, health.state),
        by=by,
        ours=peer == fleet.me.id,
        cause=health.cause if health.state in BROKEN else None,
        broke=now.mono - max(0, now.wall_ms - (health.broke_ms or now.wall_ms)) / 1000,
    )
    fleet, effects = rungs.noted(fleet, repair, now)
    return fleet, [*effects, *armed(fleet, now)]


def _first_due(fleet: Fleet, now: Moment) -> float:
    """When the rung after the first is due."""
    if not above(Level.NOTED, fleet.config.repair.levels):
        return float("inf")
    return now.mono + (fleet.config.repair.l2_s if Level.NOTED in fleet.config.repair.levels else 0.0)


def _asked(fleet: Fleet, signal: RepairAsked, now: Moment) -> Step:
    """A person, or another part of this node, wants a repair from some rung on."""
    key = (signal.peer, signal.channel)
    ours = signal.peer == fleet.me.id
    if not ours and not repairable(fleet, *key):
        return fleet, []
    effects: list[Effect] = []
    if key not in fleet.repairs:
        why = signal.why or fleet.health(*key).reason
        fleet, effects = _begun(fleet, *key, now, why, signal.by)
    elif signal.by:
        fleet = rungs.put(fleet, msgspec.structs.replace(fleet.repairs[key], by=signal.by))
    level = Level(signal.level)
    if level is Level.NOTED:
        return fleet, effects
    fleet, more = _climb(fleet, fleet.repairs[key], level, now)
    return fleet, [*effects, *more, *armed(fleet, now)]


# --------------------------------------------------------------------------------------------------------- climbing


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    if signal.key != TIMER:
        return fleet, []
    effects: list[Effect] = []
    for peer in sorted({peer for peer, _ in fleet.repairs}):
        fleet, more = _settle(fleet, peer, now)
        effects += more
    for key in sorted(fleet.repairs):
        repair = fleet.repairs.get(key)
        if repair is not None:
            fleet, more = _due(fleet, repair, now)
            effects += more
    return fleet, [*effects, *armed(fleet, now)]


def _due(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """The next rung, if it is time for it."""
    if repair.level is Level.PERSON:
        return fleet, []
    ends = now.mono - repair.began >= fleet.config.repair.last_s and Level.PERSON in fleet.config.repair.levels
    late = ends and repair.due < float("inf")
    if now.mono < repair.due and not late:
        return fleet, []
    if repair.level is Level.NOTED and not repair.ours and not late:
        alone_until = returned_at(fleet, repair, now) + left_alone_s(fleet, repair.channel)
        if now.mono < alone_until:
            return rungs.put(fleet, msgspec.structs.replace(repair, due=alone_until)), []
    if not (repair.ours or repair.by or repair.lost or late or ended_node(repair)) and unproved(fleet, repair, now):
        looked = msgspec.structs.replace(repair, due=now.mono + rungs.AGAIN_S)
        return rungs.put(fleet, looked), [Raise(ProbeAsked(repair.peer, repair.channel))]
    if repair.level is Level.NOTED and not repair.ours and repair.channel is Channel.NATS and at_home(fleet, repair):
        return _brought_home(fleet, repair, now)
    if repair.again and not late:
        return _climb(fleet, repair, advance(repair.level, Event.AGAIN), now)
    return _onward(fleet, repair, Event.LATE if late else Event.DUE, now)


def _brought_home(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """P1 reaches nobody: nobody else is asked to repair anything. What has waited long enough goes on with us."""
    fleet, effects = rungs.ended(fleet, repair, now, "P1 works to nobody: this node repairs itself")
    if (fleet.me.id, Channel.NATS) in fleet.repairs:
        return fleet, effects
    fleet, begun = _begun(fleet, fleet.me.id, Channel.NATS, now, f"P1 works to nobody: {repair.why}")
    ours = msgspec.structs.replace(fleet.repairs[fleet.me.id, Channel.NATS], due=now.mono, broke=repair.broke)
    fleet, more = _due(rungs.put(fleet, ours), ours, now)
    return fleet, [*effects, *begun, *more]


def _onward(fleet: Fleet, repair: Repair, event: Event, now: Moment) -> Step:
    """From this rung to the next that is in use; at the last one in use it stays."""
    wanted = advance(repair.level, event)
    level = above(Level(wanted - 1), fleet.config.repair.levels)
    if level is None:
        return rungs.put(fleet, msgspec.structs.replace(repair, due=float("inf"))), []
    return _climb(fleet, repair, level, now)


def _climb(fleet: Fleet, repair: Repair, level: Level, now: Moment) -> Step:
    return rungs.RUNGS[level](fleet, repair, now)


def _answered(fleet: Fleet, signal: MendAnswered, now: Moment) -> Step:
    """What the asked machine made of it: after a no there is nothing to wait for."""
    said = signal.mended
    repair = next((one for one in fleet.repairs.values() if one.ask == said.ask and one.peer == signal.frm), None)
    if repair is None or not said.ask:
        return fleet, []
    fleet, repair, effects = rungs.told(fleet, repair, said, now)
    if said.outcome == "refused" and absent(fleet, repair):
        return rungs.left_alone(fleet, repair, effects)
    event = Event.DONE if said.outcome in rungs.WENT_WELL else Event.NO
    if event is Event.NO and (repair.level, event) in TABLE:
        fleet, more = _onward(fleet, repair, event, now)
        effects += more
    return fleet, [*effects, *armed(fleet, now)]


# ----------------------------------------------------------------------------------------------------------- ending


def _settle(fleet: Fleet, peer: str, now: Moment) -> Step:
    """End what is over: healed by a round trip since it began, nobody's fault any more, or not set up any more."""
    effects: list[Effect] = []
    for channel in CHANNELS:
        for key in ((peer, channel), (fleet.me.id, channel)):
            repair = fleet.repairs.get(key)
            if repair is None or not (over := _over(fleet, repair, now)):
                continue
            fleet, more = over(fleet, repair, now)
            effects += more
    return fleet, effects


def _over(fleet: Fleet, repair: Repair, now: Moment) -> Callable[[Fleet, Repair, Moment], Step] | None:
    if repair.ours:
        pairs = [fleet.health(peer, repair.channel) for peer in fleet.peers]
        if any(_proven(one, repair) for one in pairs):
            return rungs.healed
        there = [peer for peer in fleet.peers if is_there(fleet, peer)]
        nobody = fleet.broker.state in RUNS and all(unset(fleet, peer, repair.channel) for peer in there)
        return rungs.gone if nobody else None
    # A node that had ended is there again when it answers, on whatever channel.
    channels = list(CHANNELS) if ended_node(repair) else [repair.channel]
    if any(_proven(fleet.health(repair.peer, one), repair) for one in channels):
        return rungs.healed
    if absent(fleet, repair):
        return None
    over = unset(fleet, repair.peer, repair.channel) or is_away(fleet, repair.peer)
    return rungs.gone if over else None


def _proven(health: Any, repair: Repair) -> bool:
    return health.state is ChannelState.HEALTHY and (health.ok_at or 0.0) > repair.began


def armed(fleet: Fleet, now: Moment) -> list[Effect]:
    """One timer for all: at the next rung of any, and for a look meanwhile."""
    found = [min(one.due, now.mono + (CALM_S if one.level is Level.PERSON else LOOK_S)) for one in _open(fleet)]
    return [Arm(TIMER, max(min(found), now.mono))] if found else []


def _open(fleet: Fleet) -> list[Repair]:
    return list(fleet.repairs.values())


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    ChannelTurned: _turned,
    Tried: _tried,
    Rang: _rang,
    RepairAsked: _asked,
    MendAnswered: _answered,
}
