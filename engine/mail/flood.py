"""A member that floods: beyond a bound it is told "busy" and nothing more is taken, so that nobody else waits for it.

    message of a person, its number new ─► room in its sender's bucket?  yes: taken
    mail of others, to be kept until carried                             no : a note in the receipt, nothing kept;
                                                                              no receipt at all where it was a frame
    a first refusal ─► a finding names the member ─► nothing refused for a minute ─► the finding ends

A bucket holds a minute's worth (`limits.flood`) and fills evenly, so bursts at full speed pass. Nothing is lost: the
number stays open at its sender, who hears "busy", rests it and sends it again. Of the fleet's own kinds three are
counted: greetings, for they are kept like letters; frames to be carried on; and words of a session on our letters, one
for each letter that they name. What is kept is one bucket a member.
"""

import msgspec
from immutables import Map

from engine.effects import Arm, Effect, Raise
from engine.mail.limits import filled
from engine.model.finding import Finding, Severity
from engine.model.mail import Inflow
from engine.model.moment import MINUTE_S, Moment
from engine.signals import Found, Rang, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

TIMER = "flood"
FLOODS = "mail.flood"
# A flood is over when nothing was refused for so long.
OVER_S = 60.0


def room(fleet: Fleet, src: str, now: Moment) -> float:
    """How many messages of people may be taken from a member now."""
    size = fleet.config.limits.flood
    return filled(fleet.mail.inflows.get(src), size, now.mono) if size else float("inf")


def settled(fleet: Fleet, left: dict[str, float], refused: set[str], now: Moment) -> Step:
    """The buckets after one delivery. `left`: what each sender's bucket still holds; `refused`: whose was empty."""
    if not fleet.config.limits.flood or not left:
        return fleet, []
    inflows, effects = fleet.mail.inflows.mutate(), list[Effect]()
    for src, rest in left.items():
        before = fleet.mail.inflows.get(src)
        since = before.refused_at if before else None
        inflows[src] = Inflow(rest, now.mono, now.mono if src in refused else since)
        if src in refused and since is None:
            effects += [Raise(Found(_finding(fleet, src))), Arm(TIMER, now.mono + OVER_S)]
    return _with(fleet, inflows.finish()), effects


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """End the findings of floods that are over, and forget whose bucket is full again."""
    if not isinstance(signal, Rang) or signal.key != TIMER:
        return fleet, []
    inflows, effects = fleet.mail.inflows, list[Effect]()
    for src, flow in fleet.mail.inflows.items():
        if flow.refused_at is not None and now.mono - flow.refused_at >= OVER_S:
            flow = msgspec.structs.replace(flow, refused_at=None)
            inflows = inflows.set(src, flow)
            effects.append(Raise(Found(_finding(fleet, src), present=False)))
        if flow.refused_at is None and now.mono - flow.at >= MINUTE_S:
            inflows = inflows.delete(src)
    last = [flow.refused_at for flow in inflows.values() if flow.refused_at is not None]
    if last:
        effects.append(Arm(TIMER, min(last) + OVER_S))
    return _with(fleet, inflows), effects


def _with(fleet: Fleet, inflows: Map[str, Inflow]) -> Fleet:
    return msgspec.structs.replace(fleet, mail=msgspec.structs.replace(fleet.mail, inflows=inflows))


def _finding(fleet: Fleet, src: str) -> Finding:
    """Its subject is an id: a member may be called otherwise when the flood is over."""
    name, size = fleet.name_of(src), fleet.config.limits.flood
    return Finding(
        FLOODS,
        "A member floods this node",
        Severity.HIGH,
        f"{name} sends more than {size} messages a minute: the rest is answered busy, waits there, and comes later",
        src,
        f"ask what runs on {name}; raise limits.flood here if that rate is meant, or `fleet revoke {name}`",
    )
