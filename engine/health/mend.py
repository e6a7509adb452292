"""A peer, or a person here, asks this node to repair itself: whether it does, and how it answers.

    MEND -> from a member that floods? counted, and nothing else; a finding names it
            unknown action?           refused, and counted
            role, limit, no agent?    refused
            runs already?             its end is the answer to this one too
            ended well a moment ago, and stands? that is the answer
            else                      undertaken; MENDED tells the end

A peer names an action of the closed table and nothing else. What is begun, and how often, is remembered in the same
transaction as the request (`kept`): a node that did not live to finish it says so after its next start, and a restart
lifts no limit.
"""

from collections.abc import Callable
from math import ceil
from typing import Any
from zlib import crc32

from engine.effects import Arm, Effect, Publish, Raise, Resolve, Save, Undertake
from engine.errors import FleetError
from engine.health.kept import change, recorded
from engine.health.plan import prompt
from engine.model.broker import FALLEN
from engine.model.channel import Channel
from engine.model.envelope import Kind
from engine.model.event import RepairMoved
from engine.model.finding import Finding, Severity
from engine.model.moment import MINUTE_S, Moment
from engine.model.packets import Mend, Mended, pack
from engine.model.records import AddEntry
from engine.model.repair import Action, Asker, Ended, Last, opens_at, spent
from engine.security.role import may_send
from engine.signals import (
    Found,
    MendAnswered,
    MendCame,
    MendEnded,
    MendWanted,
    Posted,
    Rang,
    Rejected,
    Signal,
    Started,
)
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

# What ended well this recently is not begun again: whoever asks now has not seen its effect yet.
SETTLED_S = 20.0
# Each wish of a peer costs an answer; no ladder asks half as often.
ASKS_A_MINUTE = 20
# Askers of one action that are answered.
ASKERS = 64
UNKNOWN = "unmendable"
PESTERS, TIMER = "mend.pesters", "mend.pesters"
# A member that asked too much and then nothing for so long has stopped.
OVER_S = 600.0


@recorded
def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Repairs of this node after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _came(fleet: Fleet, signal: MendCame, now: Moment) -> Step:
    frm, mend = signal.frm, signal.mend
    asked = spent(fleet.mending.asked.get(frm, ()), now.mono)[-ASKS_A_MINUTE:]
    if len(asked) == ASKS_A_MINUTE and now.mono - asked[0] < MINUTE_S:
        return fleet, [Raise(Rejected(UNKNOWN, None, frm)), *_pesters(fleet, frm, now)]
    asked = (*asked, now.mono)[-ASKS_A_MINUTE:]
    fleet = change(fleet, asked=fleet.mending.asked.set(frm, asked))
    asker, (why_not, after_s) = Asker(frm, mend.ask), _refusal(fleet, mend.action, mend.channel, frm, now)
    if not why_not:
        return _taken(fleet, Action(mend.action), asker, mend, now)
    effects: list[Effect] = [] if mend.action in _NAMES else [Raise(Rejected(UNKNOWN, None, frm))]
    # Its own limit lets no member ask more often than that, and once an hour for each action that is refused.
    if len(asked) <= fleet.config.repair.per_hour + len(Action):
        return fleet, [*effects, *_told(fleet, (asker,), mend.action, Ended.REFUSED, why_not, now, after_s)]
    said = _word(fleet, asker, Mended(asker.ask, mend.action[:64], Ended.REFUSED, why_not, after_s), now)
    return fleet, [*effects, said, *_pesters(fleet, frm, now)]


def _pesters(fleet: Fleet, frm: str, now: Moment) -> list[Effect]:
    """A member asks more than it may: who."""
    return [Raise(Found(_finding(fleet, frm))), Arm(TIMER, now.mono + OVER_S)]


def _finding(fleet: Fleet, frm: str) -> Finding:
    """Its subject is an id: a member may be called otherwise when this is over."""
    name, limit = fleet.name_of(frm), fleet.config.repair.per_hour
    return Finding(
        PESTERS,
        "A member asks this node for too many repairs",
        Severity.HIGH,
        f"{name} asks again and again; each repair is done {limit} times an hour for all members, the rest is refused",
        frm,
        f"ask what runs on {name}, or `fleet revoke {name}`",
    )


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    """Members that have stopped asking."""
    if signal.key != TIMER:
        return fleet, []
    effects, ends = list[Effect](), list[float]()
    for code, frm in sorted(fleet.findings):
        if code != PESTERS:
            continue
        over = max(fleet.mending.asked.get(frm, ()), default=float("-inf")) + OVER_S
        if over <= now.mono:
            effects.append(Raise(Found(_finding(fleet, frm), present=False)))
        else:
            ends.append(over)
    return fleet, [*effects, *([Arm(TIMER, min(ends))] if ends else [])]


def _wanted(fleet: Fleet, signal: MendWanted, now: Moment) -> Step:
    """This node itself, or a person at it: no role and no limit stands in the way of one's own machine."""
    asker = Asker("", signal.ask, signal.ticket)
    if signal.action is Action.AGENT and not fleet.config.repair.agent:
        return fleet, _told(fleet, (asker,), signal.action, Ended.REFUSED, NO_AGENT, now)
    return _taken(fleet, signal.action, asker, Mend(signal.ask, signal.action, signal.channel, signal.why), now)


NO_AGENT = "no repair agent is configured there (repair.agent)"


_NAMES = frozenset(map(str, Action))


def _refusal(fleet: Fleet, wanted: str, channel: str, frm: str, now: Moment) -> tuple[str, int]:
    """Why a peer's wish is not done; empty when it is. And for how many seconds, where that passes by itself."""
    if wanted not in _NAMES:
        return "it knows no such repair", 0
    action, member, limit = Action(wanted), fleet.member(frm), fleet.config.repair.per_hour
    if member is None or not member.present or not may_send(member.role, Kind.MEND):
        return "its role may not ask for repairs", 0
    if action is Action.AGENT and not fleet.config.repair.agent:
        return NO_AGENT, 0
    joins = action in fleet.mending.underway or _settled(fleet, action, channel, now)
    opens = opens_at(fleet.mending.begun.get(action, ()), now.mono, limit)
    if not joins and opens:
        return f"{action} was done {limit} times in this hour already", ceil(opens - now.mono)
    return "", 0


def _settled(fleet: Fleet, action: Action, channel: str, now: Moment) -> bool:
    """Whether it was done a moment ago, and what it did has not come undone since: a broker that was brought up is
    looked at, and an agent may have been asked to see to the same."""
    of_broker = action is Action.RESTART_NATS or (action is Action.AGENT and channel == Channel.NATS)
    if of_broker and fleet.broker.state in FALLEN:
        return False
    last = fleet.mending.last.get(action)
    return last is not None and last.outcome is Ended.DONE and now.mono - last.at < SETTLED_S


def _taken(fleet: Fleet, action: Action, asker: Asker, mend: Mend, now: Moment) -> Step:
    mending = fleet.mending
    if action in mending.underway:
        askers = (*mending.underway[action], asker)[:ASKERS]
        return change(fleet, underway=mending.underway.set(action, askers)), []
    if asker.frm and _settled(fleet, action, mend.channel, now):
        # That it was done is written down already.
        note = mending.last[action].note
        return fleet, [_word(fleet, asker, Mended(asker.ask, action, Ended.ALREADY, note), now)]
    begun = mending.begun
    if asker.frm:
        begun = begun.set(action, (*spent(begun.get(action, ()), now.mono), now.mono))
    fleet = change(fleet, underway=mending.underway.set(action, (asker,)), begun=begun)
    told = prompt(fleet, asker.frm, mend) if action is Action.AGENT else ""
    what = f"{action} for {fleet.name_of(asker.frm) if asker.frm else 'this node'}"
    return fleet, [
        _entry(fleet, (asker,), action, "begun", "", now),
        Publish(RepairMoved(fleet.me.id, None, 2, what)),
        Undertake(action, asker.ask, told),
    ]


def _ended(fleet: Fleet, signal: MendEnded, now: Moment) -> Step:
    """It ended: everybody who asked is told the same, and it is written down once."""
    mending, action = fleet.mending, signal.action
    askers = mending.underway.get(action, ())
    underway = mending.underway.delete(action) if askers else mending.underway
    last = Last(now.mono, signal.outcome, signal.note, next(iter(askers), None))
    fleet = change(fleet, underway=underway, last=mending.last.set(action, last))
    return fleet, _told(fleet, askers, action, signal.outcome, signal.note, now)


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """What was begun before this start: a restart of the node is done by being here, all else was broken off."""
    left: dict[Action, tuple[Asker, ...]] = {}
    for action, asker in fleet.mending.broken_off:
        left[action] = (*left.get(action, ()), asker)
    if not left:
        return fleet, []
    fleet, effects = change(fleet, broken_off=()), list[Effect]()
    for action, askers in left.items():
        again = action is Action.RESTART_DAEMON
        outcome, note = (Ended.DONE, "it has started again") if again else (Ended.FAILED, "its node ended meanwhile")
        fleet = change(fleet, last=fleet.mending.last.set(action, Last(now.mono, outcome, note)))
        effects += _told(fleet, askers, action, outcome, note, now)
    return fleet, effects


def _told(
    fleet: Fleet, askers: tuple[Asker, ...], action: str, outcome: Ended, note: str, now: Moment, after_s: int = 0
) -> list[Effect]:
    """One line of history, and a word to each who asked."""
    if not askers:
        return []
    entry = _entry(fleet, askers, action, outcome, note, now)
    return [entry, *(_word(fleet, one, Mended(one.ask, action[:64], outcome, note, after_s), now) for one in askers)]


def _word(fleet: Fleet, asker: Asker, mended: Mended, now: Moment) -> Effect:
    """Tell whoever asked. A person's verb is answered, our own ladder hears it, a peer gets mail that is kept."""
    if asker.ticket:
        return _answer(asker.ticket, mended)
    if not asker.frm:
        return Raise(MendAnswered(fleet.me.id, mended))
    msg_id = f"mended-{fleet.me.epoch}-{int(now.mono * 1e3)}-{crc32((asker.frm + asker.ask).encode()):x}"
    envelope = fleet.envelope(asker.frm, Kind.MENDED, msg_id, now.wall_ms, pack(mended))
    return Raise(Posted(envelope, ticket=0))


def _answer(ticket: int, mended: Mended) -> Resolve:
    if mended.outcome == Ended.DONE:
        return Resolve(ticket, mended.note)
    refused = mended.outcome == Ended.REFUSED
    code, title = ("refused.repair", "The repair was refused") if refused else ("failed.repair", "The repair failed")
    return Resolve(ticket, error=FleetError(code, title, mended.note).facts())


def _entry(fleet: Fleet, askers: tuple[Asker, ...], action: str, outcome: str, note: str, now: Moment) -> Save:
    """`askers`: who asked for it, the first one before all."""
    facts = {"action": action[:64], "outcome": str(outcome), "note": note}
    if len(askers) > 1:
        facts["askers"] = str(len(askers))
    return Save((AddEntry(now.wall_ms, fleet.me.id, "mend", askers[0].frm or fleet.me.id, facts),))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    MendCame: _came,
    MendWanted: _wanted,
    MendEnded: _ended,
    Started: _started,
    Rang: _rang,
}
