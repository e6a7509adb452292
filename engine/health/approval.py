"""A person's word for a plan, from the moment it is given to the end of its commands, over restarts too.

    PlanApproved -> nothing waits? runs already? not what was shown?    refused, and nothing runs
                    else   written down with its commands; then the verb that waits is answered, and runs them
    PlanRan      -> how it ended is written down
    Started      -> what the last process did not live to end was broken off: written down, and found

A plan is made anew whenever a repair reaches a person, from what its peer announces at that moment; so a word is given
for one digest, and holds for nothing else.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Arm, Effect, Publish, Raise, Resolve, Save
from engine.errors import Fault, FleetError
from engine.health import bulletin, kept, rungs
from engine.model.event import RepairMoved
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.model.records import AddEntry
from engine.model.repair import Approval, Ended, Level, Repair, digest, told
from engine.signals import Found, PlanApproved, PlanRan, ProbeAsked, Rang, Signal, Started
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

BROKEN_OFF, TIMER = "plan.broken_off", "plan.broken_off"
UNKNOWN = "unknown"
# So long a plan that was broken off is shown; the ledger has it for good.
SHOWN_S = 24 * 3_600.0


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Approved plans after one signal; what changed is durable before anything follows from it."""
    return _HEARD[type(signal)](fleet, signal, now)


def waits(repair: Repair | None) -> bool:
    """Whether the commands of a repair wait for a person."""
    return repair is not None and repair.level is Level.PERSON and bool(repair.plan)


def _approved(fleet: Fleet, signal: PlanApproved, now: Moment) -> Step:
    repair = fleet.repairs.get((signal.peer, signal.channel))
    refused = _refusal(fleet, repair, signal)
    if repair is None or refused is not None:
        return fleet, [Resolve(signal.ticket, error=(refused or NOTHING).facts())]
    what = f"approved by {signal.by}"
    word = Approval(repair.peer, repair.channel, signal.by, signal.digest, told(repair.plan), signal.ticket)
    fleet = _with(fleet, plans=(*fleet.mending.plans, word))
    repair = msgspec.structs.replace(rungs.stepped(repair, Level.PERSON, what, now), working=True)
    fleet = rungs.put(fleet, repair)
    return fleet, [kept.record(fleet, now), *_told(fleet, word, what, "", now), Resolve(signal.ticket)]


def _refusal(fleet: Fleet, repair: Repair | None, signal: PlanApproved) -> FleetError | None:
    if any((one.peer, one.channel) == (signal.peer, signal.channel) for one in fleet.mending.plans):
        return FleetError("usage.plan", "It runs already", "its commands were approved before", "wait for its end")
    if repair is None or not waits(repair):
        return NOTHING
    return None if digest(repair.plan) == signal.digest else CHANGED


NOTHING = FleetError(
    "usage.plan",
    "Nothing to approve",
    "no repair of it waits for a person",
    "`fleet repair` lists what is under way",
    Fault.THEIRS,
)
CHANGED = FleetError(
    "usage.plan",
    "The plan has changed, look again",
    "its commands are not those that were shown; none of them ran",
    "`fleet repair` shows those that wait now",
    Fault.THEIRS,
)


def _ran(fleet: Fleet, signal: PlanRan, now: Moment) -> Step:
    """The commands of a plan ended. By then its repair may be over, and another one of the pair have begun."""
    key = (signal.peer, signal.channel)
    found = [one for one in fleet.mending.plans if (one.peer, one.channel, one.ticket) == (*key, signal.ticket)]
    if not found:
        return fleet, []  # it was never approved
    (word,) = found
    fleet = _with(fleet, plans=tuple(one for one in fleet.mending.plans if one is not word))
    what = f"{signal.ran} of the commands went well"
    ended = UNKNOWN if signal.ok is None else Ended.DONE if signal.ok else Ended.FAILED
    outcome = (ended + (f": {signal.note}" if signal.note else ""))[: rungs.NOTE_LIMIT]
    over = Raise(Found(_finding(fleet, *key), present=False))
    effects = [kept.record(fleet, now), *_told(fleet, word, what, outcome, now), over]
    repair = fleet.repairs.get(key)
    if repair is None or not repair.working:
        return fleet, effects
    repair = msgspec.structs.replace(repair, working=False, plan=())
    repair = rungs.stepped(repair, Level.PERSON, what, now, outcome)
    probes = [] if repair.ours else [Raise(ProbeAsked(*key))]
    return rungs.put(fleet, repair), [*effects, *probes, Raise(Found(bulletin.finding(fleet, repair)))]


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    left = fleet.mending.plans_broken_off
    if not left:
        return fleet, []
    fleet = _with(fleet, plans_broken_off=())
    effects: list[Effect] = [kept.record(fleet, now), Arm(TIMER, now.mono + SHOWN_S)]
    for word in left:
        effects += _told(fleet, word, "broken off: its node ended meanwhile", UNKNOWN, now)
        effects.append(Raise(Found(_finding(fleet, word.peer, word.channel, word))))
    return fleet, effects


def _told(fleet: Fleet, word: Approval, what: str, outcome: str, now: Moment) -> list[Effect]:
    """One line of history, with all that is known of an approval, and an event."""
    facts = {
        "channel": str(word.channel),
        "level": str(Level.PERSON.value),
        "what": what,
        "approved": word.by,
        "plan": word.digest,
        "commands": word.commands,
        **({"outcome": outcome} if outcome else {}),
    }
    entry = AddEntry(now.wall_ms, fleet.me.id, "repair", word.peer, facts)
    return [Save((entry,)), Publish(RepairMoved(word.peer, word.channel, int(Level.PERSON), what))]


def _finding(fleet: Fleet, peer: str, channel: str, word: Approval | None = None) -> Finding:
    return Finding(
        BROKEN_OFF,
        "Approved commands were broken off: outcome unknown",
        Severity.MEDIUM,
        f"this node ended while they ran; {word.by} had approved them" if word else "",
        f"{fleet.name_of(peer)}/{channel}",
        f"see how {fleet.name_of(peer)} is; `fleet ledger` has the commands",
    )


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    """It was shown for long enough."""
    if signal.key != TIMER:
        return fleet, []
    shown = [one for one in fleet.findings.values() if one.code == BROKEN_OFF]
    return fleet, [Raise(Found(one, present=False)) for one in shown]


def _with(fleet: Fleet, **changes: Any) -> Fleet:
    return msgspec.structs.replace(fleet, mending=msgspec.structs.replace(fleet.mending, **changes))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    PlanApproved: _approved,
    PlanRan: _ran,
    Started: _started,
    Rang: _rang,
}
