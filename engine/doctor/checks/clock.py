"""The clock, against what the peers' heartbeats say of theirs. Without peers nobody can tell."""

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model import vitals
from engine.model.exam import judged, unknown, unused
from engine.model.peer import Standing


def look(scene: Scene) -> Saw:
    """The middle of the measured offsets, and how far they are apart."""
    if scene.fleet is None:
        return unused("it is measured against peers, by a running node")
    fleet = scene.fleet
    measured = [(one, one.offset_ms) for one in fleet.peers.values() if one.offset_ms is not None]
    offsets = {fleet.name_of(one.id): offset for one, offset in measured if one.standing is Standing.ALIVE}
    if len(fleet.roster.members) < 2:
        return unused("it is measured against peers, and there are none")
    if not measured:
        return unknown("no peer's clock was measured yet")
    if not offsets:
        last, offset = max(measured, key=lambda pair: pair[0].heard_ms)
        who = f"{offset / 1_000:+z.1f} s from {fleet.name_of(last.id)}"
        ago = f", not heard for {vitals.span(scene.now_ms - last.heard_ms)}" if last.heard_ms else ""
        return unknown(f"no measured peer is there now; last measured: {who}{ago}")
    middle = vitals.middle(offsets.values()) / 1_000
    of = f"the middle of {len(offsets)} peers" if len(offsets) > 1 else "the one peer"
    said = f"{middle:+z.1f} s from {of} (±{vitals.spread(offsets)})"
    return judged(said, vitals.clock(offsets, scene.config.watch.clock_s, scene.platform))


CHECK = Check("clock", "clock", look)
