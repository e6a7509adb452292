"""A person's word for a plan: for what was shown and nothing else, and its end is known or known to be unknown."""

from typing import Any

import msgspec
import pytest

from engine import effects as e
from engine.health import kept
from engine.health.approval import BROKEN_OFF, SHOWN_S
from engine.model.channel import Channel, ChannelState
from engine.model.records import AddEntry, PutMeta
from engine.model.repair import Command, Level, Repair, digest
from engine.signals import PlanApproved, PlanRan, Rang, Started
from engine.state import Fleet
from tests.engine.script import Script, fleet, moment, with_health

N = Channel.NATS
SHOWN = (Command(("ssh", "ann@10.0.0.7", "fleet repair"), "signs in to B as ann"),)
SWAPPED = (Command(("ssh", "root@10.0.0.7", "fleet repair"), "signs in to B as ann"),)
YES = PlanApproved("B", N, digest(SHOWN), "anna", ticket=7)


def waiting(plan: tuple[Command, ...] = SHOWN, **more: Any) -> Fleet:
    value = with_health(fleet("A", "B"), "B", N, state=ChannelState.BROKEN, reason="no answer")
    repair = Repair("B", N, Level.PERSON, 0, 0.0, float("inf"), plan=plan, **more)
    return msgspec.structs.replace(value, repairs=value.repairs.set(("B", N), repair))


def facts(script: Script) -> list[dict[str, str]]:
    """What the last turn wrote into the ledger."""
    saved = [one for s in script.effects if isinstance(s, e.Save) for one in s.records]
    return [one.facts for one in saved if isinstance(one, AddEntry)]


def next_life(script: Script) -> Script:
    """The node's next life, with what its last turn made durable."""
    metas = [one for s in script.effects if isinstance(s, e.Save) for one in s.records if isinstance(one, PutMeta)]
    mending, _ = kept.restore(metas[-1].value, moment(script.at_s))
    return Script(msgspec.structs.replace(fleet("A", "B"), mending=mending))


def test_an_approval_is_written_down_with_its_commands_before_it_is_answered() -> None:
    """Who said so, which plan, and what would run."""
    script = Script(waiting())
    said = script.hear(YES, at=1)
    assert said[-1] == "ticket 7: "
    assert said.index("save meta mending") < said.index("ticket 7: ")
    (found,) = facts(script)
    assert (found["what"], found["plan"]) == ("approved by anna", digest(SHOWN))
    assert found["commands"] == "ssh ann@10.0.0.7 'fleet repair'"
    assert script.fleet.repairs["B", N].working


@pytest.mark.parametrize("plan", [SWAPPED, (), (*SHOWN, *SHOWN), (Command(SHOWN[0].argv, "does nothing"),)])
def test_another_plan_than_was_shown_is_refused(plan: tuple[Command, ...]) -> None:
    """What its peer announces may change while a person reads."""
    script = Script(waiting(plan))
    assert script.hear(YES, at=1) == ["ticket 7: usage.plan"]
    assert (script.fleet.mending.plans, script.fleet.repairs["B", N].working) == ((), False)


def test_what_healed_meanwhile_or_runs_already_is_refused() -> None:
    """And the end of what was refused ends nothing."""
    script = Script(fleet("A", "B"))
    assert script.hear(YES, at=1) == ["ticket 7: usage.plan"]
    script = Script(waiting())
    script.hear(YES, at=1)
    assert script.hear(msgspec.structs.replace(YES, ticket=8), at=2) == ["ticket 8: usage.plan"]
    assert script.hear(PlanRan("B", N, 0, False, ticket=8), at=3) == []
    assert len(script.fleet.mending.plans) == 1


def test_the_end_is_written_down_even_if_the_repair_is_over() -> None:
    """That is what the commands were for; another repair of the pair that has begun by then keeps its own plan."""
    script = Script(waiting())
    script.hear(YES, at=1)
    script.fleet = msgspec.structs.replace(script.fleet, repairs=waiting(SWAPPED).repairs)
    script.hear(PlanRan("B", N, 1, True, ticket=7), at=5)
    (found,) = facts(script)
    assert (found["what"], found["outcome"], found["plan"]) == ("1 of the commands went well", "done", digest(SHOWN))
    assert script.fleet.repairs["B", N].plan == SWAPPED
    assert not next_life(script).fleet.mending.plans_broken_off


def test_what_was_broken_off_while_the_node_lives_has_an_unknown_outcome_too() -> None:
    """Its ledger says so, and the repair waits for a person no longer."""
    script = Script(waiting())
    script.hear(YES, at=1)
    script.hear(PlanRan("B", N, 0, None, "broken off", ticket=7), at=2)
    assert [(one["outcome"], one["plan"]) for one in facts(script)] == [("unknown: broken off", digest(SHOWN))]
    assert (script.fleet.mending.plans, script.fleet.repairs["B", N].plan) == ((), ())


def test_what_a_node_did_not_live_to_end_is_broken_off() -> None:
    """Its outcome is unknown: so says the ledger, and a finding until another plan ended or it was shown for a day."""
    script = Script(waiting())
    script.hear(YES, at=1)
    script = next_life(script)
    script.hear(Started(), at=9)
    (found,) = [one for one in facts(script) if "approved" in one]
    assert (found["outcome"], found["approved"], found["plan"]) == ("unknown", "anna", digest(SHOWN))
    (shown,) = [one for one in script.fleet.findings.values() if one.code == BROKEN_OFF]
    assert "anna had approved them" in shown.detail
    assert not next_life(script).fleet.mending.plans_broken_off
    script.hear(Rang(BROKEN_OFF), at=9 + SHOWN_S)
    assert not script.fleet.findings
