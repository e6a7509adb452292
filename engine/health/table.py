"""The state machine of one (peer, channel) pair, as a table.

    UNKNOWN -ok-> HEALTHY -fail-> DEGRADED -ok-> HEALTHY
                                  DEGRADED -enough-> BROKEN -mend-> HEALING -healed-> HEALTHY
                                                     BROKEN <-fail- HEALING
    any -pin-> QUARANTINED -cleared-> UNKNOWN         any -absent-> ABSENT -present-> UNKNOWN

`enough` is three failures in five minutes, three in a row, or one hard signal (refused, no responders, disconnected).
A success on a BROKEN channel is the first good probe of its healing, not health: a flapping path must prove itself
three times. A pair that nobody tried for 15 minutes is `unknown` again. Between two that have just met, what never
worked stays `unknown` (`judge`). An absent key is the illegal step.

Nothing here looks at a clock or decides when to probe: `engine.health.rounds` does.
"""

from enum import StrEnum

import msgspec

from engine.errors import Fault, FleetError
from engine.model.channel import Change, ChannelHealth, ChannelState
from engine.model.moment import Moment

S = ChannelState


class Event(StrEnum):
    """What can befall a channel."""

    OK = "ok"
    FAIL = "fail"
    ENOUGH = "enough"
    MEND = "mend"
    HEALED = "healed"
    PIN = "pin"
    CLEARED = "cleared"
    ABSENT = "absent"
    PRESENT = "present"
    QUIET = "quiet"


TABLE: dict[tuple[ChannelState, Event], ChannelState] = {
    (S.UNKNOWN, Event.OK): S.HEALTHY,
    (S.UNKNOWN, Event.FAIL): S.DEGRADED,
    (S.UNKNOWN, Event.ENOUGH): S.BROKEN,
    (S.UNKNOWN, Event.QUIET): S.UNKNOWN,
    (S.HEALTHY, Event.OK): S.HEALTHY,
    (S.HEALTHY, Event.FAIL): S.DEGRADED,
    (S.HEALTHY, Event.ENOUGH): S.BROKEN,
    (S.HEALTHY, Event.QUIET): S.UNKNOWN,
    (S.DEGRADED, Event.OK): S.HEALTHY,
    (S.DEGRADED, Event.FAIL): S.DEGRADED,
    (S.DEGRADED, Event.ENOUGH): S.BROKEN,
    (S.DEGRADED, Event.QUIET): S.UNKNOWN,
    (S.BROKEN, Event.OK): S.HEALING,
    (S.BROKEN, Event.FAIL): S.BROKEN,
    (S.BROKEN, Event.ENOUGH): S.BROKEN,
    (S.BROKEN, Event.MEND): S.HEALING,
    (S.BROKEN, Event.QUIET): S.UNKNOWN,
    (S.HEALING, Event.OK): S.HEALING,
    (S.HEALING, Event.FAIL): S.BROKEN,
    (S.HEALING, Event.ENOUGH): S.BROKEN,
    (S.HEALING, Event.HEALED): S.HEALTHY,
    (S.HEALING, Event.QUIET): S.UNKNOWN,
    (S.ABSENT, Event.PRESENT): S.UNKNOWN,
    (S.ABSENT, Event.OK): S.HEALTHY,
    (S.ABSENT, Event.FAIL): S.ABSENT,
    (S.ABSENT, Event.ENOUGH): S.ABSENT,
    (S.ABSENT, Event.QUIET): S.ABSENT,
    (S.QUARANTINED, Event.CLEARED): S.UNKNOWN,
    (S.QUARANTINED, Event.OK): S.QUARANTINED,
    (S.QUARANTINED, Event.FAIL): S.QUARANTINED,
    (S.QUARANTINED, Event.ENOUGH): S.QUARANTINED,
    (S.QUARANTINED, Event.QUIET): S.QUARANTINED,
    **{(state, Event.PIN): S.QUARANTINED for state in S},
    **{(state, Event.ABSENT): S.ABSENT for state in S if state is not S.QUARANTINED},
}

# The reason of a try nobody asked for, on a channel that is broken.
TRYING = "trying again"
_DOWN = (S.BROKEN, S.HEALING)
# The last changes a screen can show.
KEPT_CHANGES = 16

# States in which the cascade may use a channel; the number is how early.
USABLE = {S.HEALTHY: 0, S.UNKNOWN: 1, S.DEGRADED: 2}


def advance(health: ChannelHealth, event: Event, now: Moment, reason: str = "") -> ChannelHealth:
    """The health after one event; a change is remembered with its reason. A break is one story however often it was
    tried in vain: such a try leaves no change behind, and the break keeps its moment.

    Raises `FleetError` `health.illegal` for an event its state does not know.
    """
    new = TABLE.get((health.state, event))
    if new is None:
        raise FleetError("health.illegal", "Illegal step of a channel", f"{event} in {health.state}", "", Fault.OURS)
    if new is health.state:
        return msgspec.structs.replace(health, reason=reason) if reason and reason != health.reason else health
    change = Change(now.wall_ms, health.state, new, reason)
    in_vain = health.state is S.HEALING and new is S.BROKEN and health.reason == TRYING and bool(health.changes)
    broke_ms = (health.broke_ms or now.wall_ms) if new in _DOWN else 0
    return msgspec.structs.replace(
        health,
        state=new,
        since_ms=broke_ms if new is S.BROKEN else now.wall_ms,
        broke_ms=broke_ms,
        reason=reason,
        changes=health.changes[:-1] if in_vain else (*health.changes[-KEPT_CHANGES + 1 :], change),
    )
