"""Refusals: what was turned away at the door is counted, shown and written down, and changes nothing else.

The ledger gets the first of each (reason, claimed sender) a minute, and at most 32 a minute in all: a flood of
forgeries, each in another name, must not fill the disk it was refused at.
"""

import msgspec

from engine.effects import Effect, Publish, Save
from engine.model.event import FrameRejected
from engine.model.moment import Moment
from engine.model.records import AddEntry
from engine.signals import Rejected, Signal
from engine.state import Fleet, Refusals

KEPT = 32
AGAIN_MS = 60_000


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """Count one refusal, or several alike."""
    if not isinstance(signal, Rejected):
        return fleet, []
    before = fleet.refusals
    counts = before.counts.set(signal.why, before.counts.get(signal.why, 0) + signal.count)
    row = (now.wall_ms, signal.why, str(signal.via or ""), signal.src)
    # A clock that was set back must not keep the ledger silent until it has caught up.
    noted = tuple(one for one in before.noted if abs(now.wall_ms - one[0]) < AGAIN_MS)
    entry = (now.wall_ms, signal.why, signal.src)
    fresh = len(noted) < KEPT and entry[1:] not in {one[1:] for one in noted}
    after = Refusals(counts, (*before.last[-KEPT + 1 :], row), (*noted, entry) if fresh else noted)
    fleet = msgspec.structs.replace(fleet, refusals=after)
    effects: list[Effect] = [Publish(FrameRejected(signal.why, signal.via, signal.src))]
    if fresh:
        facts = {"why": signal.why, "channel": str(signal.via or "")}
        effects.insert(0, Save((AddEntry(now.wall_ms, fleet.me.id, "refuse", signal.src, facts),), lazy=True))
    return fleet, effects
