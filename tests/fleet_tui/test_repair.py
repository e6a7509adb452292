"""`fleet repair` as a person reads it: what waits for a word, what runs and since when, and what was broken off."""

from typing import Any

import msgspec
import pytest
from immutables import Map

from engine.api import repair_shapes
from engine.model.channel import Channel, ChannelState
from engine.model.repair import Command, Level, Repair, digest
from engine.signals import PlanApproved, PlanDismissed, PlanRan, RepairAsked
from engine.state import Fleet
from fleet_tui.commands import repair
from screens import format
from tests.engine.script import T0_MS, Script, fleet, moment, with_health

N = Channel.NATS
PLAN = (Command(("true",), "does nothing"), Command(("false",), "fails"))


def waiting() -> Fleet:
    """P1 to B is broken, and two commands wait for a person."""
    value = with_health(fleet("A", "B"), "B", N, state=ChannelState.BROKEN, reason="no answer")
    return msgspec.structs.replace(
        value, repairs=value.repairs.set(("B", N), Repair("B", N, Level.PERSON, 0, 0.0, float("inf"), plan=PLAN))
    )


def lines(value: Fleet) -> str:
    """What `fleet repair` says."""
    views: list[dict[str, Any]] = msgspec.to_builtins(repair_shapes.repairs(value, moment(9)))
    return "\n".join(repair.lines(views))


def test_commands_are_headed_by_what_is_with_them() -> None:
    """They wait, they run since a moment, they were broken off at one; what runs waits for nobody."""
    script = Script(waiting())
    assert "For you to approve (`--approve`):\n  1. does nothing:\n     true" in lines(script.fleet)
    script.hear(PlanApproved("B", N, digest(PLAN), "anna", 7), at=1)
    said = lines(script.fleet)
    assert f"Approved by anna, running since {format.stamp(T0_MS + 1_000)}:\n  1. does nothing:" in said
    assert "For you to approve" not in said
    script.hear(PlanRan("B", N, 1, None, "broken off", 7), at=2)
    said = lines(script.fleet)
    assert f"Approved by anna, broken off {format.day(T0_MS + 2_000)}, 1 of 2 had gone well:" in said
    assert "`fleet repair B --channel nats --dismiss` once you have seen to it" in said
    assert "For you to approve" not in said


def test_what_was_broken_off_is_listed_without_its_repair() -> None:
    """As long as its finding stands: what it was, and both ways on. Nothing of it can be approved as it is there."""
    script = Script(waiting())
    script.hear(PlanApproved("B", N, digest(PLAN), "anna", 7), at=1)
    script.fleet = msgspec.structs.replace(script.fleet, repairs=Map())
    assert "nats to B   its repair has ended\n\nApproved by anna, running since" in lines(script.fleet)
    script.hear(PlanRan("B", N, 1, None, "broken off", 7), at=2)
    (view,) = repair_shapes.repairs(script.fleet, moment(9))
    assert (view.level, view.plan, view.working, view.approval and view.approval.state) == (0, [], False, "broken off")
    said = lines(script.fleet)
    assert (
        f"Approved by anna, broken off {format.day(T0_MS + 2_000)}, 1 of 2 had gone well:\n  1. does nothing:" in said
    )
    assert "`fleet repair B --channel nats --dismiss` once you have seen to it" in said
    assert said.endswith("`fleet repair B --channel nats --level 4` shows them again, `--approve` then runs them")
    script.hear(PlanDismissed("B", N, "anna", 8), at=3)
    assert lines(script.fleet) == "Nothing is under repair."


@pytest.mark.parametrize("ok", [True, False])
def test_what_ended_waits_for_nobody(ok: bool) -> None:
    """How it ended is a step of the repair, and no command is shown."""
    script = Script(waiting())
    script.hear(PlanApproved("B", N, digest(PLAN), "anna", 7), at=1)
    script.hear(PlanRan("B", N, 1, ok, "", 7), at=2)
    said = lines(script.fleet)
    assert "1 of the commands went well" in said
    assert said.endswith("done" if ok else "failed")


@pytest.mark.parametrize(
    ("channel", "level", "exits"), [(Channel.GIT, 2, 1), (Channel.GIT, 4, 1), (N, 2, 0), (N, 4, 0)]
)
def test_a_rung_that_was_skipped_is_a_failure(channel: Channel, level: int, exits: int) -> None:
    """Nobody was asked, or there is no command: what is told of it is not that it went well."""
    script = Script(with_health(fleet("A", "B"), "B", channel, state=ChannelState.BROKEN, reason="no answer"))
    script.hear(RepairAsked("B", channel, level, by="anna"), at=1)
    (view,) = msgspec.to_builtins(repair_shapes.repairs(script.fleet, moment(2)))
    assert (repair.skipped(view, level), repair.skipped(view, 1)) == (bool(exits), False)
