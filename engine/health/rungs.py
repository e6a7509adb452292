"""What is done on each rung of a repair, and how it is told: the ledger, a finding, an event, and the repair itself.

    L1 noted     an entry, a finding that is shown if it lasts, an event
    L2 asked     MEND to the peer over whatever works, once a round trip proved that something does
    L3 agent     MEND with the action "agent": the peer's own repair agent
    L4 person    the finding becomes loud; the commands are there to be approved

L2 and L3 happen on another machine, so they are limited: so many a peer and hour, and more of what is done here. At
the limit the repair is held, says until when, and still reaches a person in time; a restart does not lift it. Nothing
here decides when: `ladder` does.
"""

from collections.abc import Callable

import msgspec

from engine.effects import Effect, Publish, Raise, Save, StartPeer
from engine.health import bulletin, plan
from engine.health.kept import change
from engine.health.mend import SETTLED_S
from engine.health.remedies import LINKS_S, absent, answered, is_there, left_alone_s, remedy, was_cut_off
from engine.model.channel import CHANNELS, Channel, ChannelState
from engine.model.envelope import Kind
from engine.model.event import RepairMoved
from engine.model.moment import Moment
from engine.model.packets import Mend, Mended, pack
from engine.model.records import AddEntry
from engine.model.repair import (
    DOES,
    HOUR_S,
    NOTE_LIMIT,
    Action,
    Breaks,
    Ended,
    Level,
    Repair,
    above,
    ending,
    opens_at,
    spent,
)
from engine.model.repair import Step as Done
from engine.security.role import may_send
from engine.signals import Found, MendWanted, Posted, ProbeAsked
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

# Until a round trip has proved that something reaches the peer, it is not asked; this is how soon that is looked at.
AGAIN_S = 1.0
# This node's own restarts, each with its lines of history: so many an hour.
OURS, OURS_AN_HOUR = "", 20
# The last steps of a repair that a screen can show.
KEPT_STEPS = 12
# A break so soon after the last one of its pair is the same trouble.
FLAP_S = 600.0
# What was done is credited with a round trip that follows so soon: brokers find each other in half of it, and a pair
# whose rests are doubled is tried again before twice that. What heals later has another reason.
PROOF_S = 2 * LINKS_S
# After these answers the round trip is waited for; after any other nothing is.
WENT_WELL = (Ended.DONE, Ended.ALREADY)
# Which of our own channels may work again after this node did something to itself.
_EASES: dict[Action, frozenset[Channel]] = {
    Action.RESTART_NATS: frozenset({Channel.NATS}),
    Action.RESTART_TUNNEL: frozenset({Channel.SEED, Channel.SSH}),
    Action.RELOAD_ROSTER: frozenset(CHANNELS),
    Action.AGENT: frozenset(CHANNELS),
}


def put(fleet: Fleet, repair: Repair) -> Fleet:
    """The fleet with one repair moved."""
    return msgspec.structs.replace(fleet, repairs=fleet.repairs.set((repair.peer, repair.channel), repair))


def noted(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """L1: it is written down, and shown if it lasts. Of a pair that breaks again and again the first break, the tenth,
    the hundredth, ... are written down, each with how many it were."""
    fleet, count = _broken(fleet, repair, now)
    again = f", {count} times with less than {FLAP_S / 60:.0f} min between" if count > 1 else ""
    repair = msgspec.structs.replace(repair, quiet=str(count).strip("0") != "1")
    repair, told = _said(fleet, repair, Level.NOTED, f"noted: {repair.why or 'broken'}{again}", now, "done")
    return put(fleet, repair), [*told, Raise(Found(bulletin.finding(fleet, repair)))]


def _broken(fleet: Fleet, repair: Repair, now: Moment) -> tuple[Fleet, int]:
    key = (repair.peer, repair.channel)
    before = fleet.breaks.get(key, Breaks())
    count = before.count + 1 if now.mono - before.at < FLAP_S else 1
    return msgspec.structs.replace(fleet, breaks=fleet.breaks.set(key, Breaks(count, now.mono))), count


def asked(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """L2: the peer is to repair itself. Where the table has nothing for its fault, the next rung is due."""
    if absent(fleet, repair):
        repair = msgspec.structs.replace(repair, action=Action.RESTART_DAEMON)
        return _escalated(fleet, repair, Level.ASKED, Action.RESTART_DAEMON, fleet.config.repair.l3_s, now)
    # What is wrong may have changed since it began: a broken port may show a stranger's key by now.
    action = repair.action if repair.ours else remedy(repair.channel, fleet.health(repair.peer, repair.channel).state)
    repair = msgspec.structs.replace(repair, action=action)
    if action is None:
        return _skipped(fleet, repair, Level.ASKED, f"no machine can repair {repair.channel} by itself", now)
    return _escalated(fleet, repair, Level.ASKED, action, fleet.config.repair.l3_s, now)


def agent(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """L3: the peer's own repair agent is to look."""
    if absent(fleet, repair):
        return _skipped(fleet, repair, Level.AGENT, "its node does not run: nobody to ask", now)
    return _escalated(fleet, repair, Level.AGENT, Action.AGENT, fleet.config.repair.l4_s, now)


def person(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """L4: the commands are there. This asks nothing of another machine, so no limit holds it back; but what nothing
    has reached since the break may be away, and is not a person's before it has lasted long."""
    late = now.mono - repair.began >= fleet.config.repair.last_s
    if not late and (unheard := _unheard(fleet, repair, now)):
        return unheard
    commands, repair = plan.commands(fleet, repair), _rested(fleet, repair, Level.PERSON, float("inf"))
    repair = msgspec.structs.replace(repair, plan=commands, held_until=0.0, quiet=False)
    if not commands:
        why = f"no command can repair {repair.channel}: {plan.instead(fleet, repair.peer, repair.channel)}"
        repair, told = _said(fleet, repair, Level.PERSON, why, now, "skipped")
        return put(fleet, repair), [*told, Raise(Found(bulletin.finding(fleet, repair)))]
    some = "1 command waits" if len(repair.plan) == 1 else f"{len(repair.plan)} commands wait"
    what = f"{some} for your word"
    repair, told = _said(fleet, repair, Level.PERSON, what, now)
    return put(fleet, repair), [*told, Raise(Found(bulletin.finding(fleet, repair)))]


RUNGS: dict[Level, Callable[[Fleet, Repair, Moment], Step]] = {
    Level.NOTED: noted,
    Level.ASKED: asked,
    Level.AGENT: agent,
    Level.PERSON: person,
}


def _rested(fleet: Fleet, repair: Repair, level: Level, due: float) -> Repair:
    """On a rung, until the next one in use is due, if there is one."""
    follows = above(level, fleet.config.repair.levels)
    return msgspec.structs.replace(repair, level=level, due=due if follows else float("inf"), ask="", again=False)


def _skipped(fleet: Fleet, repair: Repair, level: Level, why: str, now: Moment) -> Step:
    """Nothing can be done on this rung: the next is due."""
    repair, told = _said(fleet, _rested(fleet, repair, level, now.mono), level, why, now, "skipped")
    return put(fleet, repair), told


def _escalated(fleet: Fleet, repair: Repair, level: Level, action: Action, wait_s: float, now: Moment) -> Step:
    """Ask for an action, if something reaches the peer and the limit allows it."""
    stopped = absent(fleet, repair)
    if unheard := _unheard(fleet, repair, now):
        return unheard
    if not repair.ours and not _may_ask(fleet):
        return _skipped(fleet, repair, level, "an observer asks nobody", now)
    noes = spent(fleet.mending.escalations.get(_noes(repair, action), ()), now.mono)
    if noes and not repair.by and not stopped:
        what = f"{action} is not asked for: refused, for {_told_s(noes[-1] + HOUR_S - now.mono)} more"
        return _skipped(fleet, repair, level, what, now)
    whose, limit = _allowance(fleet, repair, action)
    times = fleet.mending.escalations.get(whose, ())
    opens = opens_at(times, now.mono, limit)
    if opens:
        return _held(fleet, repair, level, opens, limit, now)
    serial = fleet.mending.serial + 1
    ask = f"mend-{fleet.me.epoch}-{serial}"
    mend = Mend(ask, action, repair.channel, repair.why[:NOTE_LIMIT])
    repair = _rested(fleet, repair, level, now.mono + wait_s)
    repair = msgspec.structs.replace(repair, ask=ask, charged=now.mono, held_until=0.0, quiet=False)
    repair, told = _said(fleet, repair, level, _wish(fleet, repair, action, stopped), now, strict=True)
    escalations = fleet.mending.escalations.set(whose, (*spent(times, now.mono), now.mono))
    fleet = change(put(fleet, repair), serial=serial, escalations=escalations)
    if stopped:
        return fleet, [*told, StartPeer(repair.peer, ask), Raise(Found(bulletin.finding(fleet, repair)))]
    sent = MendWanted(action, repair.channel, mend.why, ask) if repair.ours else _posted(fleet, repair, mend, now)
    return fleet, [*told, Raise(sent), Raise(Found(bulletin.finding(fleet, repair)))]


def _wish(fleet: Fleet, repair: Repair, action: Action, stopped: bool) -> str:
    if stopped:
        return f"starts the node of {fleet.name_of(repair.peer)} over ssh"
    return f"{'this node is' if repair.ours else f'asked {fleet.name_of(repair.peer)}'} to {DOES[action]}"


def left_alone(fleet: Fleet, repair: Repair, effects: list[Effect]) -> Step:
    """Its machine says that a person stopped it on purpose. That is remembered until it runs again."""
    repair = msgspec.structs.replace(repair, due=float("inf"))
    return put(fleet, repair), [*effects, Raise(Found(bulletin.over(fleet, repair), present=False))]


def _may_ask(fleet: Fleet) -> bool:
    mine = fleet.mine
    return mine is None or may_send(mine.role, Kind.MEND)


def _unheard(fleet: Fleet, repair: Repair, now: Moment) -> Step | None:
    """Where nobody asked for it: nothing has reached the peer since the break, or only now does again."""
    if repair.ours or repair.by or absent(fleet, repair):
        return None
    if not answered(fleet, repair.peer, repair.channel, repair.began):
        return put(fleet, msgspec.structs.replace(repair, due=now.mono + AGAIN_S, lost=True)), []
    return _found_again(fleet, repair, now) if repair.lost else None


def _found_again(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """What was cut off altogether is back: its channel may be too, and is looked at before anybody is asked."""
    cut_off = was_cut_off(fleet, repair.peer, repair.channel)
    wait_s = left_alone_s(fleet, repair.channel) if cut_off else fleet.config.repair.l2_s
    repair = msgspec.structs.replace(repair, due=now.mono + wait_s, lost=False)
    wrong_key = fleet.health(repair.peer, repair.channel).state is ChannelState.QUARANTINED
    return put(fleet, repair), [] if wrong_key else [Raise(ProbeAsked(repair.peer, repair.channel))]


def _allowance(fleet: Fleet, repair: Repair, action: Action) -> tuple[str, int]:
    """Which account an escalation is drawn from, and how much an hour has there. A peer is left in peace after a few;
    a broker of our own must not stand still for an hour because it has done so three times."""
    if repair.ours and action is not Action.AGENT:
        return OURS, OURS_AN_HOUR
    return repair.peer, fleet.config.repair.per_hour


def _held(fleet: Fleet, repair: Repair, level: Level, opens: float, limit: int, now: Moment) -> Step:
    known = repair.held_until > now.mono
    repair = msgspec.structs.replace(repair, due=opens, held_until=opens)
    if known:
        return put(fleet, repair), []
    what = f"held: {limit} in this hour already; L{level:d} may follow in {_told_s(opens - now.mono)}"
    repair, told = _said(fleet, repair, level, what, now, "held")
    return put(fleet, repair), [*told, Raise(Found(bulletin.finding(fleet, repair)))]


def _posted(fleet: Fleet, repair: Repair, mend: Mend, now: Moment) -> Posted:
    return Posted(fleet.envelope(repair.peer, Kind.MEND, mend.ask, now.wall_ms, pack(mend)), ticket=0)


# --------------------------------------------------------------------------------------------------------- answers


def told(fleet: Fleet, repair: Repair, said: Mended, now: Moment) -> tuple[Fleet, Repair, list[Effect]]:
    """What the asked machine made of it. What was done is looked at now: only a round trip says that it helped. What
    it did nothing for is not counted, and is asked for once more as soon as it would do something."""
    steps = tuple(
        msgspec.structs.replace(one, outcome=said.outcome, note=said.note, ended=now.mono)
        if one.level is repair.level and not one.outcome
        else one
        for one in repair.steps
    )
    repair = msgspec.structs.replace(repair, steps=steps)
    if said.outcome == Ended.ALREADY and now.mono + SETTLED_S < repair.due:
        repair = msgspec.structs.replace(repair, due=now.mono + SETTLED_S, again=True)
    effects = _written(fleet, repair, repair.level, ending(said.outcome, said.note), now, strict=False)
    if said.outcome in WENT_WELL and not repair.ours:
        effects.append(Raise(ProbeAsked(repair.peer, repair.channel)))
    fleet = put(fleet, repair)
    if said.outcome in (Ended.ALREADY, Ended.REFUSED) and not absent(fleet, repair):
        fleet = _uncharged(fleet, repair, said, now)
    return fleet, repair, effects


def _uncharged(fleet: Fleet, repair: Repair, said: Mended, now: Moment) -> Fleet:
    """The hour has room again for what helps. An action that was refused is remembered instead: except by a person it
    is not asked for again before the asked machine would do it, or in this hour where it names no end."""
    action = Action.AGENT if repair.level is Level.AGENT else repair.action
    accounts = fleet.mending.escalations
    if action is not None:
        whose, _ = _allowance(fleet, repair, action)
        times = list(accounts.get(whose, ()))
        if repair.charged in times:
            times.remove(repair.charged)
        accounts = accounts.set(whose, tuple(times))
        if said.outcome == Ended.REFUSED and not repair.ours:
            # An account forgets after an hour: what holds for less is written down as if it were as much older.
            age_s = HOUR_S - min(said.after_s or HOUR_S, HOUR_S)
            accounts = accounts.set(_noes(repair, action), (now.mono - age_s,))
    return change(fleet, escalations=accounts)


def _noes(repair: Repair, action: Action) -> str:
    """The account of what a peer refuses; no id has a blank."""
    return f"{repair.peer} {action}"


# ---------------------------------------------------------------------------------------------------------- endings


def healed(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """A round trip has succeeded and the pair is healthy: how, and how long it took, is the reason it is so."""
    what = f"healed {_credited(fleet, repair, now)} in {_told_s(now.mono - repair.broke)}"
    health = fleet.health(repair.peer, repair.channel)
    if not repair.ours and health.state is ChannelState.HEALTHY:
        changes = health.changes
        if changes and changes[-1].new is health.state:
            changes = (*changes[:-1], msgspec.structs.replace(changes[-1], reason=what))
        health = msgspec.structs.replace(health, reason=what, changes=changes)
        fleet = msgspec.structs.replace(fleet, channels=fleet.channels.set((repair.peer, repair.channel), health))
    return ended(fleet, repair, now, what)


def _credited(fleet: Fleet, repair: Repair, now: Moment) -> str:
    """Who is said to have healed it: the newest rung that was at it, or else the newest that said a moment before that
    it was done, or else who had this node repair itself or start the other by then; that a rung was reached, or
    commands were shown, heals nothing."""
    if repair.working:
        return f"while L{Level.PERSON:d} was at it,"
    acted = [one for one in repair.steps if one.level is not Level.NOTED]
    if repair.ask and any(one.level is repair.level and not one.outcome for one in acted):
        return f"while L{repair.level:d} was at it,"
    done = [one for one in acted if one.outcome == Ended.DONE]
    if done and now.mono - done[-1].ended <= PROOF_S:
        return f"by L{done[-1].level:d}"
    if eased := _eased(fleet, repair, now):
        return eased
    started = float("-inf") if repair.ours else fleet.started.get(repair.peer, float("-inf"))
    if started >= max(repair.broke, now.mono - PROOF_S):
        does = "started" if started <= now.mono else "was trying to start"
        return f"{'after' if started <= now.mono else 'while'} a command here {does} its node over ssh,"
    return "by itself" + (f", while at L{repair.level:d}," if repair.level is not Level.NOTED else "")


def _eased(fleet: Fleet, repair: Repair, now: Moment) -> str:
    """What this node was asked to do to itself, and did, between the break and the round trip, a moment before that."""
    since = max(repair.broke, now.mono - PROOF_S)
    for action, last in sorted(fleet.mending.last.items(), key=lambda one: one[1].at, reverse=True):
        if last.outcome is not Ended.DONE or last.at < since or repair.channel not in _EASES.get(action, ()):
            continue
        if last.asker is not None and (last.asker.frm or last.asker.ticket):
            who = fleet.name_of(last.asker.frm) if last.asker.frm else "a command here"
            return f"after {who} had this node {DOES[action]},"
    return ""


def gone(fleet: Fleet, repair: Repair, now: Moment) -> Step:
    """The peer left or is away altogether; where this node repairs itself, they all are. Or the channel cannot be used
    any more, for a reason; where this node repairs itself, to nobody who is there."""
    health = fleet.health(repair.peer, repair.channel)
    if health.state is ChannelState.ABSENT:
        return ended(fleet, repair, now, f"{repair.channel} is not set up: {health.reason}")
    who = "the peer is away"
    if repair.ours:
        heard = any(is_there(fleet, peer) for peer in fleet.peers)
        who = f"{repair.channel} is set up to nobody" if heard else "nobody is heard"
    return ended(fleet, repair, now, f"{who}: no channel is at fault")


def ended(fleet: Fleet, repair: Repair, now: Moment, what: str) -> Step:
    """It is over: nothing is left of it but what was written down."""
    key = (repair.peer, repair.channel)
    fleet = msgspec.structs.replace(fleet, repairs=fleet.repairs.delete(key))
    told: list[Effect] = [
        Publish(RepairMoved(repair.peer, repair.channel, 0, what)),
        Raise(Found(bulletin.over(fleet, repair), present=False)),
    ]
    return fleet, [*_entry(fleet, repair, repair.level, what, now, lazy=True), *told]


# ---------------------------------------------------------------------------------------------------------- telling


def stepped(repair: Repair, level: Level, what: str, now: Moment, outcome: str = "", note: str = "") -> Repair:
    """One more step of a repair."""
    done = Done(level, now.wall_ms, what, outcome, now.mono if outcome else 0.0, note)
    steps = (*repair.steps[-KEPT_STEPS + 1 :], done)
    return msgspec.structs.replace(repair, steps=steps)


def _said(
    fleet: Fleet, repair: Repair, level: Level, what: str, now: Moment, outcome: str = "", *, strict: bool = False
) -> tuple[Repair, list[Effect]]:
    """One more step of a repair, written down and told."""
    repair = stepped(repair, level, what, now, outcome)
    return repair, _written(fleet, repair, level, what, now, strict=strict)


def _written(fleet: Fleet, repair: Repair, level: Level, what: str, now: Moment, *, strict: bool) -> list[Effect]:
    moved = RepairMoved(repair.peer, repair.channel, int(level), what)
    return [*_entry(fleet, repair, level, what, now, lazy=not strict), Publish(moved)]


def _entry(fleet: Fleet, repair: Repair, level: Level, what: str, now: Moment, *, lazy: bool) -> list[Effect]:
    if repair.quiet and lazy:
        return []
    facts = {"channel": str(repair.channel), "level": str(level.value), "what": what}
    if repair.by:
        facts["by"] = repair.by
    return [Save((AddEntry(now.wall_ms, fleet.me.id, "repair", repair.peer, facts),), lazy=lazy)]


def _told_s(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
