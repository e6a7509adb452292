"""The routing table: which steps hear which signal, and in which order.

`turn` is the whole law of a node: one signal in, the next value and a list of effects out. What a step raises is heard
in the same turn, so that a message, its effect and what follows from it are one transaction. It is pure, and it is all
a simulator needs.
"""

from collections import deque
from collections.abc import Callable

from engine import signals as s
from engine.doctor import step as doctor
from engine.effects import Arm, Effect, Raise, Save
from engine.evidence import refusals
from engine.health import approval, checks, ladder, mend, watchdog
from engine.health import step as health
from engine.mail import climb, epoch, farewell, flood, inbox, outbox, relay, unheard, welcome
from engine.me import step as me
from engine.membership import beat, detour, roster, swim, waking
from engine.model.moment import Moment
from engine.model.records import Record
from engine.sessions import hops
from engine.state import Fleet

Step = Callable[[Fleet, s.Signal, Moment], tuple[Fleet, list[Effect]]]

# In each row the order is a reason: receipts are read before new mail is answered, health before whoever asks it.
ROOMS: dict[type, tuple[Step, ...]] = {
    s.Started: (me.step, swim.step, beat.step, health.step, mend.step, approval.step, outbox.step),
    s.Rang: (
        *(swim.step, beat.step, health.step, ladder.step, mend.step, approval.step),
        *(outbox.step, hops.step, flood.step),
    ),
    s.Posted: (outbox.step,),
    s.Loaded: (farewell.step, outbox.step),
    s.Arrived: (epoch.step, swim.step, health.step, outbox.step, inbox.step, beat.step, checks.step),
    s.Rejected: (refusals.step,),
    s.Tried: (swim.step, health.step, outbox.step, ladder.step, checks.step),
    s.Readied: (health.step,),
    s.Overtaken: (health.step,),
    s.ChannelTurned: (health.step, outbox.step, ladder.step),
    s.Nudged: (outbox.step,),
    s.ForwardCame: (relay.step,),
    s.Transited: (relay.step,),
    s.DatagramCame: (swim.step,),
    s.LoopLagged: (me.step, swim.step, health.step, watchdog.step),
    s.BrokerChanged: (me.step, health.step),
    s.TerminalChanged: (me.step,),
    s.RosterOffered: (roster.step, me.step, farewell.step, health.step, swim.step, beat.step),
    s.RosterMade: (roster.step, me.step, farewell.step, health.step, swim.step, beat.step),
    s.MemberAsked: (roster.step,),
    s.Listening: (me.step, health.step, beat.step),
    s.Reachable: (me.step, beat.step),
    s.Proved: (me.step,),
    s.Detoured: (detour.step,),
    s.WakeWanted: (waking.step,),
    s.NodeStarting: (waking.step,),
    s.NodeStarted: (waking.step,),
    s.WakeCame: (waking.step,),
    s.Looked: (me.step, beat.step, watchdog.step),
    s.StoreFilled: (me.step, outbox.step),
    s.StoreFreed: (me.step, outbox.step),
    s.ChannelHeld: (health.step,),
    s.ProbeAsked: (health.step, checks.step),
    s.RepairAsked: (ladder.step,),
    s.MendCame: (mend.step,),
    s.MendWanted: (mend.step,),
    s.MendEnded: (mend.step,),
    s.MendAnswered: (ladder.step,),
    s.PlanApproved: (approval.step,),
    s.PlanDismissed: (approval.step,),
    s.PlanRan: (approval.step,),
    s.Found: (me.step,),
    s.Measured: (watchdog.step,),
    s.Examined: (doctor.step,),
    s.Ticked: (doctor.step,),
    s.Greeted: (welcome.step,),
    s.Told: (unheard.step,),
    s.Refreshed: (me.step, beat.step),
    s.Addressed: (hops.step,),
    s.Climbed: (climb.step,),
    s.Seated: (hops.step,),
    s.Glimpsed: (hops.step,),
    s.HopsLoaded: (hops.step,),
    s.Typed: (hops.step,),
    s.Fetched: (hops.step,),
}

# A turn that raises more than this is a circle, not a consequence.
RAISED_LIMIT = 4_096


def turn(fleet: Fleet, signal: s.Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """The fleet and the effects after one signal and all it raised, in order.

    Raises `RuntimeError` when steps raise signals without end: a bug that must not spin.
    """
    heard = deque((signal,))
    effects: list[Effect] = []
    for _ in range(RAISED_LIMIT):
        if not heard:
            return fleet, effects
        current = heard.popleft()
        for step in ROOMS[type(current)]:
            fleet, more = step(fleet, current, now)
            for effect in more:
                if isinstance(effect, Raise):
                    heard.append(effect.signal)
                else:
                    effects.append(effect)
    raise RuntimeError(f"signals without end after {type(signal).__name__}")


def sorted_out(effects: list[Effect]) -> tuple[list[Record], list[Record], list[Arm], list[Effect]]:
    """The effects of one turn or several as (records others wait for, records nobody waits for, timers, the rest): the
    rest is done only once the first are durable, which is how "durable before visible, visible before acknowledged"
    holds for every room. Records stay in their order: a lazy one behind one that is waited for goes with it."""
    strict: list[Record] = []
    lazy: list[Record] = []
    timers: list[Arm] = []
    rest: list[Effect] = []
    for effect in effects:
        if isinstance(effect, Save):
            (lazy if effect.lazy and not strict else strict).extend(effect.records)
        elif isinstance(effect, Arm):
            timers.append(effect)
        else:
            rest.append(effect)
    return strict, lazy, timers, rest
