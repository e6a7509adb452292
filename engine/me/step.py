"""The node about itself: its broker, terminal, addresses, last look at the machine, findings.

Small facts that several screens show and no other room owns. It decides only which of them is worth a finding.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Effect, Publish, Raise, Save
from engine.model.broker import FALLEN, RUNS, BrokerState
from engine.model.event import BrokerMoved, Noticed
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.model.packets import Heartbeat
from engine.model.records import AddEntry
from engine.signals import (
    BrokerChanged,
    Found,
    Listening,
    Looked,
    LoopLagged,
    Proved,
    Reachable,
    Refreshed,
    RosterMade,
    RosterOffered,
    Signal,
    Started,
    StoreFilled,
    StoreFreed,
    TerminalChanged,
)
from engine.state import Broker, Fleet

Step = tuple[Fleet, list[Effect]]


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The node's own facts after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """A start is an entry, and so is each thing it found wrong with what it remembers: the finding ends with the
    process, the entry stays."""
    me = fleet.me.id
    facts = {"version": fleet.me.version, "epoch": str(fleet.me.epoch)}
    wrong = sorted((one.code, one.detail) for one in fleet.findings.values() if one.code.startswith("store."))
    noted = (AddEntry(now.wall_ms, me, "store", me, {"code": code, "detail": detail}) for code, detail in wrong)
    return fleet, [Save((AddEntry(now.wall_ms, me, "start", me, facts), *noted))]


def _broker(fleet: Fleet, signal: BrokerChanged, now: Moment) -> Step:
    """A broker whose next start is held back keeps dying; one that does not answer is told; one that is up
    again is well. Told again what is known, because a link to it came up, it keeps its moment. The death of one that
    ran is an entry: it is back before anybody could look."""
    broker = Broker(signal.state, signal.pid, signal.url, signal.note, now.wall_ms, signal.dying)
    if broker == msgspec.structs.replace(fleet.broker, since_ms=now.wall_ms):
        return fleet, []
    gone = fleet.broker.pid if signal.state is BrokerState.DOWN else 0
    fleet = msgspec.structs.replace(fleet, broker=broker)
    dying = msgspec.structs.replace(BROKER_DYING, detail=signal.note)
    told: list[Effect] = [Publish(BrokerMoved(signal.state, signal.note))]
    if gone:
        facts = {"pid": str(gone), "died": signal.note}
        told.insert(0, Save((AddEntry(now.wall_ms, fleet.me.id, "broker", fleet.me.id, facts),)))
    if signal.state in (*RUNS, *FALLEN):
        step = BROKER_SILENT.next_step if signal.pid else "see to that server; mail goes over other channels meanwhile"
        silent = msgspec.structs.replace(BROKER_SILENT, detail=signal.note, next_step=step)
        told.append(Raise(Found(silent, present=signal.state is BrokerState.SILENT)))
        told.append(Raise(Found(dying, present=signal.dying)))
    return fleet, told


BROKER_SILENT = Finding(
    "broker.silent",
    "This node's broker does not answer",
    Severity.HIGH,
    next_step="`fleet repair --local restart_nats` gives it another life now; mail goes over other channels meanwhile",
)
BROKER_DYING = Finding(
    "broker.dying",
    "This node's broker keeps dying",
    Severity.HIGH,
    next_step="`fleet log` has its last words; mail goes over other channels meanwhile",
)


def _terminal(fleet: Fleet, signal: TerminalChanged, now: Moment) -> Step:
    return _me(fleet, terminal=signal.state), []


def _listening(fleet: Fleet, signal: Listening, now: Moment) -> Step:
    return _me(fleet, addresses=signal.addresses), []


def _reachable(fleet: Fleet, signal: Reachable, now: Moment) -> Step:
    return _me(fleet, ways=signal.ways), []


def _proved(fleet: Fleet, signal: Proved, now: Moment) -> Step:
    return msgspec.structs.replace(fleet, proved=signal.doors), []


def _named(fleet: Fleet, signal: RosterMade | RosterOffered, now: Moment) -> Step:
    """The fleet may call this node otherwise than it calls itself: its name is what the roster says."""
    mine = fleet.mine
    return (_me(fleet, name=mine.name) if mine and mine.name != fleet.me.name else fleet), []


def _looked(fleet: Fleet, signal: Looked, now: Moment) -> Step:
    look = Heartbeat(
        sent_ms=now.wall_ms,
        version=fleet.me.version,
        load=signal.load,
        uptime_s=int(now.mono - fleet.me.started_mono),
        cwd=signal.cwd,
        branch=signal.branch,
        head=signal.head,
        dirty=signal.dirty,
        sessions=signal.sessions,
    )
    return _me(fleet, look=look), []


def _lagged(fleet: Fleet, signal: LoopLagged, now: Moment) -> Step:
    return _me(fleet, lag_s=signal.lag_s), []


def _refreshed(fleet: Fleet, signal: Refreshed, now: Moment) -> Step:
    return _me(fleet, prekey=(signal.key_epoch, signal.public)), []


def _filled(fleet: Fleet, signal: StoreFilled, now: Moment) -> Step:
    full = Finding(
        "store.full",
        "The disk is full",
        Severity.CRITICAL,
        f"{signal.free_mb} MB free; new messages are refused, others' wait with them; mail under way is settled",
        next_step="free some space; sending resumes by itself",
    )
    return _found(fleet, Found(full), now)


def _freed(fleet: Fleet, signal: StoreFreed, now: Moment) -> Step:
    return _found(fleet, Found(Finding("store.full", "", Severity.INFO), present=False), now)


def _found(fleet: Fleet, signal: Found, now: Moment) -> Step:
    """A finding is told once when it appears and once when it goes; finding it again keeps its first moment."""
    finding = signal.finding
    key = (finding.code, finding.subject)
    known = fleet.findings.get(key)
    if not signal.present:
        if known is None:
            return fleet, []
        fleet = msgspec.structs.replace(fleet, findings=fleet.findings.delete(key))
        return fleet, [Publish(Noticed(*key, present=False))]
    at_ms = known.at_ms if known else now.wall_ms
    findings = fleet.findings.set(key, msgspec.structs.replace(finding, at_ms=at_ms))
    told: list[Effect] = [] if known else [Publish(Noticed(*key, present=True))]
    return msgspec.structs.replace(fleet, findings=findings), told


def _me(fleet: Fleet, **changes: Any) -> Fleet:
    return msgspec.structs.replace(fleet, me=msgspec.structs.replace(fleet.me, **changes))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Started: _started,
    BrokerChanged: _broker,
    TerminalChanged: _terminal,
    Listening: _listening,
    Reachable: _reachable,
    Proved: _proved,
    RosterMade: _named,
    RosterOffered: _named,
    Looked: _looked,
    LoopLagged: _lagged,
    Refreshed: _refreshed,
    StoreFilled: _filled,
    StoreFreed: _freed,
    Found: _found,
}
