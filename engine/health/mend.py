"""A peer, or a person here, asks this node to repair itself: whether it does, and how it answers.

    MEND -> from a member that floods? counted, and nothing else
            unknown action?           refused, and counted
            role, limit, no agent?    refused
            runs already?             its end is the answer to this one too
            ended well a moment ago?  that is the answer
            else                      undertaken; MENDED tells the end

A peer names an action of the closed table and nothing else. What is begun is remembered in the same transaction as the
request, so a node that did not live to finish it says so after its next start.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

from engine.effects import Effect, Publish, Raise, Resolve, Save, Undertake
from engine.health.plan import prompt
from engine.health.remedies import spent
from engine.model.envelope import Kind
from engine.model.event import RepairMoved
from engine.model.moment import Moment
from engine.model.packets import Mend, Mended, pack
from engine.model.records import AddEntry, PutMeta
from engine.model.repair import Action, Asker, Ended, Mending
from engine.security.role import may_send
from engine.signals import MendAnswered, MendCame, MendEnded, MendWanted, Posted, Rejected, Signal, Started
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

META = "mending"
# What ended well this recently is not begun again: whoever asks now has not seen its effect yet.
SETTLED_S = 20.0
# Each wish of a peer costs an answer and a line of history, which is kept for ever; no ladder asks half as often.
ASKS_A_MINUTE, MINUTE_S = 20, 60.0
# Askers of one action that are answered.
ASKERS = 64
UNKNOWN = "unmendable"

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode
_Kept = list[tuple[Action, Asker]]


def kept(data: bytes) -> Mending:
    """What the last process was at when it ended."""
    try:
        return Mending(broken_off=tuple(_decode(data, type=_Kept)) if data else ())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Mending()


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Repairs of this node after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _came(fleet: Fleet, signal: MendCame, now: Moment) -> Step:
    asked = tuple(at for at in fleet.mending.asked.get(signal.frm, ()) if now.mono - at < MINUTE_S)
    if len(asked) >= ASKS_A_MINUTE:
        return fleet, [Raise(Rejected(UNKNOWN, None, signal.frm))]
    known = fleet.mending.asked.set(signal.frm, (*asked, now.mono))
    fleet = msgspec.structs.replace(fleet, mending=msgspec.structs.replace(fleet.mending, asked=known))
    mend, asker = signal.mend, Asker(signal.frm, signal.mend.ask)
    if mend.action not in Action.__members__.values():
        refused = _answer(fleet, asker, mend.action, Ended.REFUSED, "it knows no such repair", now)
        return fleet, [Raise(Rejected(UNKNOWN, None, signal.frm)), *refused]
    action = Action(mend.action)
    why_not = _refusal(fleet, action, signal.frm, now)
    if why_not:
        return fleet, _answer(fleet, asker, action, Ended.REFUSED, why_not, now)
    return _taken(fleet, action, asker, mend, now)


def _wanted(fleet: Fleet, signal: MendWanted, now: Moment) -> Step:
    """This node itself, or a person at it: no role and no limit stands in the way of one's own machine."""
    asker = Asker("", signal.ask, signal.ticket)
    if signal.action is Action.AGENT and not fleet.config.repair.agent:
        return fleet, _answer(fleet, asker, signal.action, Ended.REFUSED, NO_AGENT, now)
    return _taken(fleet, signal.action, asker, Mend(signal.ask, signal.action, signal.channel, signal.why), now)


NO_AGENT = "no repair agent is configured there (repair.agent)"


def _refusal(fleet: Fleet, action: Action, frm: str, now: Moment) -> str:
    """Why a peer's wish is not done; empty when it is."""
    member = fleet.member(frm)
    if member is None or not member.present or not may_send(member.role, Kind.MEND):
        return "its role may not ask for repairs"
    if action is Action.AGENT and not fleet.config.repair.agent:
        return NO_AGENT
    joins = action in fleet.mending.underway or _settled(fleet, action, now)
    limit = fleet.config.repair.per_hour
    if not joins and len(spent(fleet.mending.begun.get(action, ()), now.mono)) >= limit:
        return f"{action} was done {limit} times in this hour already"
    return ""


def _settled(fleet: Fleet, action: Action, now: Moment) -> bool:
    last = fleet.mending.last.get(action)
    return last is not None and last[1] is Ended.DONE and now.mono - last[0] < SETTLED_S


def _taken(fleet: Fleet, action: Action, asker: Asker, mend: Mend, now: Moment) -> Step:
    mending = fleet.mending
    if action in mending.underway:
        askers = (*mending.underway[action], asker)[:ASKERS]
        return _with(fleet, msgspec.structs.replace(mending, underway=mending.underway.set(action, askers)))
    if asker.frm and _settled(fleet, action, now):
        _, outcome, note = mending.last[action]
        return fleet, _answer(fleet, asker, action, outcome, f"a moment ago: {note}", now)
    begun = mending.begun
    if asker.frm:
        begun = begun.set(action, (*spent(begun.get(action, ()), now.mono), now.mono))
    mending = msgspec.structs.replace(mending, underway=mending.underway.set(action, (asker,)), begun=begun)
    fleet, saved = _with(fleet, mending)
    told = prompt(fleet, asker.frm, mend) if action is Action.AGENT else ""
    what = f"{action} for {fleet.name_of(asker.frm) if asker.frm else 'this node'}"
    return fleet, [
        *saved,
        _entry(fleet, asker.frm, action, "begun", "", now),
        Publish(RepairMoved(fleet.me.id, None, 2, what)),
        Undertake(action, asker.ask, told),
    ]


def _ended(fleet: Fleet, signal: MendEnded, now: Moment) -> Step:
    """It ended: everybody who asked is told the same."""
    mending = fleet.mending
    askers = mending.underway.get(signal.action, ())
    underway = mending.underway.delete(signal.action) if askers else mending.underway
    last = mending.last.set(signal.action, (now.mono, signal.outcome, signal.note))
    fleet, saved = _with(fleet, msgspec.structs.replace(mending, underway=underway, last=last))
    answers = (_answer(fleet, one, signal.action, signal.outcome, signal.note, now) for one in askers)
    return fleet, [*saved, *(effect for answer in answers for effect in answer)]


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """What was begun before this start: a restart of the node is done by being here, all else was broken off."""
    left = fleet.mending.broken_off
    if not left:
        return fleet, []
    fleet, saved = _with(fleet, msgspec.structs.replace(fleet.mending, broken_off=()))
    effects = list(saved)
    for action, asker in left:
        again = action is Action.RESTART_DAEMON
        outcome, note = (Ended.DONE, "it has started again") if again else (Ended.FAILED, "its node ended meanwhile")
        effects += _answer(fleet, asker, action, outcome, note, now)
    return fleet, effects


def _with(fleet: Fleet, mending: Mending) -> Step:
    """The fleet with this, and what is under way remembered for after a crash."""
    asked = [(action, one) for action, askers in sorted(mending.underway.items()) for one in askers]
    saved: list[Effect] = [Save((PutMeta(META, _encode(asked) if asked else b""),))]
    return msgspec.structs.replace(fleet, mending=mending), saved


def _answer(fleet: Fleet, asker: Asker, action: str, outcome: Ended, note: str, now: Moment) -> list[Effect]:
    """Tell whoever asked. A person's verb is answered, our own ladder hears it, a peer gets mail that is kept."""
    entry = _entry(fleet, asker.frm, action, outcome, note, now)
    mended = Mended(asker.ask, action[:64], outcome, note)
    if asker.ticket:
        return [entry, Resolve(asker.ticket, f"{outcome} {note}".strip())]
    if not asker.frm:
        return [entry, Raise(MendAnswered(fleet.me.id, mended))]
    name = f"mended-{fleet.me.epoch}-{int(now.mono * 1e3)}-{crc32((asker.frm + asker.ask).encode()):x}"
    envelope = fleet.envelope(asker.frm, Kind.MENDED, name, now.wall_ms, pack(mended))
    return [entry, Raise(Posted(envelope, ticket=0))]


def _entry(fleet: Fleet, frm: str, action: str, outcome: str, note: str, now: Moment) -> Save:
    facts = {"action": action[:64], "outcome": str(outcome), "note": note}
    return Save((AddEntry(now.wall_ms, fleet.me.id, "mend", frm or fleet.me.id, facts),))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    MendCame: _came,
    MendWanted: _wanted,
    MendEnded: _ended,
    Started: _started,
}
