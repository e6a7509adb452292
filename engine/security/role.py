"""What each role may ask of others: one table, read by whoever sends and enforced by whoever opens.

A role forbids kinds and never grants trust: everything is sealed, sent and refused by the same rules for all. What
keeps the fleet itself running (receipts, heartbeats, rosters) no role forbids.
"""

from engine.model.envelope import Kind
from engine.model.roster import Role

# To make another machine do something is to command it; an observer hears, answers and tells.
COMMANDS = frozenset({Kind.TASK, Kind.REPAIR, Kind.WAKE, Kind.MEND})
FORBIDDEN: dict[Role, frozenset[Kind]] = {
    Role.CHIEF: frozenset(),
    Role.CAPTAIN: frozenset(),
    Role.WORKER: frozenset(),
    Role.OBSERVER: COMMANDS,
}


def may_send(role: Role, kind: Kind) -> bool:
    """Whether a member of this role may send this kind."""
    return kind not in FORBIDDEN[role]
