"""A person's word for a plan, from the moment it is given to the end of its commands, over restarts too.

    PlanApproved -> nothing waits? runs already? not what was shown?    refused, and nothing runs
                    else   written down with its commands; then the verb that waits is answered, and runs them
    PlanRan      -> how it ended is written down; if nobody knows, it was broken off
    Started      -> what the last process did not live to end was broken off, too

What was broken off is a finding, also of the next lives of this node, until a person approves anew, dismisses it, or a
day is over. Nothing is ever run again by itself: how far it came is for a person to see.

A plan is made anew whenever a repair reaches a person, from what its peer announces at that moment; so a word is given
for one digest, and holds for nothing else.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Arm, Effect, Publish, Raise, Resolve, Save
from engine.errors import Fault, FleetError
from engine.health import bulletin, rungs
from engine.health.kept import change, recorded
from engine.model.channel import Channel
from engine.model.event import RepairMoved
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.model.records import AddEntry
from engine.model.repair import Approval, Command, Ended, Level, Repair, broken_off, digest, ending, running, told
from engine.signals import Found, PlanApproved, PlanDismissed, PlanRan, ProbeAsked, Rang, Signal, Started
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

BROKEN_OFF, TIMER = "plan.broken_off", "plan.broken_off"
UNKNOWN = "unknown"
# So long a plan that was broken off is shown; the ledger has it for good.
SHOWN_S = 24 * 3_600.0


@recorded
def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Approved plans after one signal."""
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
    word = Approval(
        repair.peer, repair.channel, signal.by, signal.digest, repair.plan, signal.ticket, at_ms=now.wall_ms
    )
    fleet = change(_seen_to(fleet, word.peer, word.channel), plans=(*fleet.mending.plans, word))
    repair = msgspec.structs.replace(rungs.stepped(repair, Level.PERSON, what, now), working=True)
    fleet = rungs.put(fleet, repair)
    found = [*_findings(fleet), Raise(Found(bulletin.finding(fleet, repair)))]
    return fleet, [*_told(fleet, word, what, "", now), Resolve(signal.ticket), *found]


def _refusal(fleet: Fleet, repair: Repair | None, signal: PlanApproved) -> FleetError | None:
    if running(fleet.mending, signal.peer, signal.channel):
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
    word = running(fleet.mending, *key)
    if word is None or word.ticket != signal.ticket:
        return fleet, []  # it was never approved
    fleet = change(fleet, plans=tuple(one for one in fleet.mending.plans if one is not word))
    what = f"{signal.ran} of the commands went well"
    ended = UNKNOWN if signal.ok is None else Ended.DONE if signal.ok else Ended.FAILED
    said = ending(ended, signal.note)
    if signal.ok is None:
        word = msgspec.structs.replace(word, broken_ms=now.wall_ms, ran=signal.ran)
        fleet = change(fleet, plans_broken_off=(*fleet.mending.plans_broken_off, word))
    effects = [*_told(fleet, word, what, said, now), *_findings(fleet), *_timer(fleet, now)]
    repair = fleet.repairs.get(key)
    if repair is None or not repair.working:
        return fleet, effects
    repair = msgspec.structs.replace(repair, working=False, plan=())
    repair = rungs.stepped(repair, Level.PERSON, what, now, ended, signal.note)
    probes = [] if repair.ours else [Raise(ProbeAsked(*key))]
    return rungs.put(fleet, repair), [*effects, *probes, Raise(Found(bulletin.finding(fleet, repair)))]


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """What ran when the last process ended is written down; what is known already is found again."""
    if not fleet.mending.plans_broken_off:
        return fleet, []
    effects, words = list[Effect](), list[Approval]()
    for word in fleet.mending.plans_broken_off:
        if not word.broken_ms:
            effects += _told(fleet, word, "broken off: its node ended meanwhile", UNKNOWN, now)
        words.append(msgspec.structs.replace(word, broken_ms=word.broken_ms or now.wall_ms))
    fleet = change(fleet, plans_broken_off=tuple(words))
    return _faded(fleet, effects, now)


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    return _faded(fleet, [], now) if signal.key == TIMER else (fleet, [])


def _faded(fleet: Fleet, effects: list[Effect], now: Moment) -> Step:
    """What was shown for long enough is shown no more."""
    words = tuple(one for one in broken_off(fleet.mending) if _left_s(one, now) > 0)
    fleet = change(fleet, plans_broken_off=words)
    return fleet, [*effects, *_findings(fleet), *_timer(fleet, now)]


def _timer(fleet: Fleet, now: Moment) -> list[Effect]:
    ends = [_left_s(one, now) for one in broken_off(fleet.mending)]
    return [Arm(TIMER, now.mono + min(ends))] if ends else []


def _left_s(word: Approval, now: Moment) -> float:
    """For how long it is shown still; a clock that was set back makes that no longer than it ever was."""
    return SHOWN_S - max(0, now.wall_ms - word.broken_ms) / 1e3


def _dismissed(fleet: Fleet, signal: PlanDismissed, now: Moment) -> Step:
    gone = broken_off(fleet.mending, signal.peer, signal.channel)
    if not gone:
        return fleet, [Resolve(signal.ticket, error=UNBROKEN.facts())]
    fleet = _seen_to(fleet, signal.peer, signal.channel)
    effects = list[Effect]()
    for word in gone:
        effects += _told(fleet, word, f"broken off before: dismissed by {signal.by}", "", now)
    return fleet, [*effects, *_findings(fleet), Resolve(signal.ticket)]


UNBROKEN = FleetError(
    "usage.plan",
    "Nothing to dismiss",
    "no approved commands of it were broken off",
    "`fleet repair` lists what is under way",
    Fault.THEIRS,
)


def _seen_to(fleet: Fleet, peer: str, channel: Channel | None) -> Fleet:
    """A person has seen to what was broken off of these."""
    gone = broken_off(fleet.mending, peer, channel)
    left = tuple(one for one in broken_off(fleet.mending) if one not in gone)
    return change(fleet, plans_broken_off=left) if gone else fleet


def _told(fleet: Fleet, word: Approval, what: str, outcome: str, now: Moment) -> list[Effect]:
    """One line of history, with all that is known of an approval, and an event."""
    facts = {
        "channel": str(word.channel),
        "level": str(Level.PERSON.value),
        "what": what,
        "approved": word.by,
        "plan": word.digest,
        "commands": told(word.plan),
        **({"outcome": outcome} if outcome else {}),
    }
    entry = AddEntry(now.wall_ms, fleet.me.id, "repair", word.peer, facts)
    return [Save((entry,)), Publish(RepairMoved(word.peer, word.channel, int(Level.PERSON), what))]


def _findings(fleet: Fleet) -> list[Effect]:
    """What was broken off is found, and nothing else is."""
    found = {one.subject: one for one in (_finding(fleet, word) for word in broken_off(fleet.mending))}
    gone = [one for one in fleet.findings.values() if one.code == BROKEN_OFF and one.subject not in found]
    return [*(Raise(Found(one)) for one in found.values()), *(Raise(Found(one, present=False)) for one in gone)]


def _finding(fleet: Fleet, word: Approval) -> Finding:
    name, pair = fleet.name_of(word.peer), f"{fleet.name_of(word.peer)} --channel {word.channel}"
    again = f"`fleet repair {pair} --level 4` shows them again for your word"
    look = f"see how {name} is (`fleet check {name}`)"
    if word.peer == fleet.me.id:
        again, look = "they are shown again where P1 stays broken", "see how this node is (`fleet doctor`)"
    return Finding(
        BROKEN_OFF,
        "Approved commands were broken off: outcome unknown",
        Severity.MEDIUM,
        f"{word.by} had approved them; {_reached(word)}; nothing of it is run again by itself",
        f"{name}/{word.channel}",
        f"{look}; {again}, `fleet repair {pair} --dismiss` drops this; `fleet ledger` has them in full",
    )


def _reached(word: Approval) -> str:
    """Where its commands were broken off."""
    count = len(word.plan)
    if word.ran is None:
        does = f" ({', '.join(_named(one) for one in word.plan)})" if word.plan else ""
        return f"this node ended while they ran{does}: how far they came, and whether one still runs, is not known"
    if word.ran >= count:
        return "they went well, and this ended before a round trip could say whether they helped"
    at = f"command {word.ran + 1} of {count} ({_named(word.plan[word.ran])})"
    return f"they ended at {at}, and how far that came is not known"


def _named(command: Command) -> str:
    """What a command does, without what is said of it besides."""
    return command.does.partition("; ")[0]


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    PlanApproved: _approved,
    PlanRan: _ran,
    PlanDismissed: _dismissed,
    Started: _started,
    Rang: _rang,
}
