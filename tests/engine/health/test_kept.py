"""What of repairs is in the store, and who writes it there."""

import msgspec
from immutables import Map

from engine.effects import Arm, Effect, Save
from engine.health.kept import change, record, recorded, restore
from engine.model.channel import Channel
from engine.model.moment import Moment
from engine.model.records import PutMeta
from engine.model.repair import Action, Approval, Asker, Ended, Last
from engine.signals import Rang, Signal
from engine.state import Fleet
from tests.engine.script import T0_MS, fleet, moment

AGO = [T0_MS - 60_000]
LATER = {"ticket": 0, "at_ms": 1, "broken_ms": 0, "ran": None}
# As every version so far has written it.
WRITTEN = {
    "underway": [["free_port", {"frm": "B", "ask": "q1", "ticket": 0}]],
    "begun": {"free_port": AGO},
    "last": {"free_port": [*AGO, "done", "8857"]},
    "asked": {"B": AGO},
    "escalations": {"B": AGO, "B restart_nats": AGO},
    "plans": [{"peer": "B", "channel": "nats", "by": "ann", "digest": "d", "plan": []} | LATER],
}


def test_what_a_version_before_wrote_is_read() -> None:
    """All of it; what was under way, or ran, was broken off."""
    found = restore(msgspec.msgpack.encode(WRITTEN), moment(0))
    assert found.broken_off == ((Action.FREE_PORT, Asker("B", "q1")),)
    assert found.plans_broken_off == (Approval("B", Channel.NATS, "ann", "d", at_ms=1),)
    assert found.last[Action.FREE_PORT] == Last(moment(-60).mono, Ended.DONE, "8857")
    assert set(found.escalations) == {"B", "B restart_nats"}
    assert set(found.begun[Action.FREE_PORT]) == set(found.asked["B"]) == set(found.escalations["B"])


def test_a_version_before_can_read_what_is_written() -> None:
    """The same names, in the same shapes."""
    before = restore(msgspec.msgpack.encode(WRITTEN), moment(0))
    underway, plans = before.underway.set(Action.FREE_PORT, (Asker("B", "q1"),)), before.plans_broken_off
    value = msgspec.structs.replace(before, underway=underway, plans=plans, plans_broken_off=())
    (saved,) = record(value, moment(0)).records
    assert isinstance(saved, PutMeta)
    assert msgspec.msgpack.decode(saved.value) == WRITTEN


def test_whatever_a_step_changes_is_written_before_anything_follows() -> None:
    """Escalations too; of a step that changed nothing, nothing is."""

    def charged(value: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
        return change(value, escalations=Map({"B": (now.mono,)})), [Arm("x", 0.0)]

    first, then = recorded(charged)(fleet("A", "B"), Rang("x"), moment(0))[1]
    assert isinstance(first, Save)
    (saved,) = first.records
    assert isinstance(saved, PutMeta)
    assert restore(saved.value, moment(0)).escalations["B"] == (moment(0).mono,)
    assert then == Arm("x", 0.0)
    assert recorded(lambda value, signal, now: (value, []))(fleet("A", "B"), Rang("x"), moment(0))[1] == []
