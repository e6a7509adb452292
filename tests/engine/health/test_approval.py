"""A person's word for a plan: for what was shown and nothing else, and its end is known or known to be unknown."""

from typing import Any

import msgspec
import pytest

from engine import effects as e
from engine.health import kept
from engine.health.approval import BROKEN_OFF, SHOWN_S
from engine.model.channel import Channel, ChannelState
from engine.model.finding import Finding, Severity
from engine.model.records import AddEntry, PutMeta
from engine.model.repair import Command, Level, Repair, digest
from engine.signals import PlanApproved, PlanDismissed, PlanRan, Rang, Started
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
    mending = kept.restore(metas[-1].value, moment(script.at_s))
    return Script(msgspec.structs.replace(fleet("A", "B"), mending=mending))


def test_an_approval_is_written_down_with_its_commands_before_it_is_answered() -> None:
    """Who said so, which plan, and what would run."""
    script = Script(waiting())
    said = script.hear(YES, at=1)
    assert said.index("save meta mending") < said.index("ticket 7: ")
    (found,) = facts(script)
    assert (found["what"], found["plan"]) == ("approved by anna", digest(SHOWN))
    assert found["commands"] == "ssh ann@10.0.0.7 'fleet repair'"
    assert script.fleet.repairs["B", N].working
    found_now = script.fleet.findings["repair.nats", "B/nats"]
    assert (found_now.severity, found_now.next_step.partition(":")[0]) == (Severity.LOW, "nothing yet")


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


def shown(script: Script) -> list[Finding]:
    """What is found of approved commands that were broken off."""
    return [one for one in script.fleet.findings.values() if one.code == BROKEN_OFF]


ENDS = {
    "its node did not live to say": (
        None,
        "this node ended while they ran (signs in to B as ann): how far they came, and whether one still runs",
    ),
    "at a command": (0, "they ended at command 1 of 1 (signs in to B as ann), and how far that came is not known"),
    "before the proof": (1, "they went well, and this ended before a round trip could say whether they helped"),
}


@pytest.mark.parametrize(("ran", "reached"), ENDS.values(), ids=ENDS)
def test_what_was_broken_off_is_found_by_every_life_until_a_person_has_seen_to_it(
    ran: int | None, reached: str
) -> None:
    """Its outcome is unknown: once in the ledger; a finding says how far it came and what to do, and nothing of it runs
    again."""
    script = Script(waiting())
    script.hear(YES, at=1)
    if ran is not None:
        script.hear(PlanRan("B", N, ran, None, "broken off", ticket=7), at=2)
        assert [(one["outcome"], one["plan"]) for one in facts(script)] == [("unknown: broken off", digest(SHOWN))]
        assert (script.fleet.mending.plans, script.fleet.repairs["B", N].plan) == ((), ())
        assert len(shown(script)) == 1
    for at in (9, 20):
        script = next_life(script)
        script.hear(Started(), at=at)
        (found,) = shown(script)
        assert found.detail.startswith(f"anna had approved them; {reached}")
        assert "`fleet repair B --channel nats --dismiss`" in found.next_step
        told = [one["outcome"] for one in facts(script) if "approved" in one]
        assert told == (["unknown"] if ran is None and at == 9 else [])
        assert not script.fleet.repairs
    said = script.hear(PlanDismissed("B", None, "bert", 8), at=21)
    assert said.index("save meta mending") < said.index("ticket 8: ")
    assert [one["what"] for one in facts(script)] == ["broken off before: dismissed by bert"]
    assert (shown(script), next_life(script).fleet.mending.plans_broken_off) == ([], ())
    assert script.hear(PlanDismissed("", None, "bert", 9), at=22) == ["ticket 9: usage.plan"]


def test_it_is_shown_for_a_day_over_restarts() -> None:
    """And not begun anew by each."""
    script = Script(waiting())
    script.hear(YES, at=1)
    script.hear(PlanRan("B", N, 0, None, "broken off", ticket=7), at=2)
    script = next_life(script)
    script.hear(Started(), at=SHOWN_S)
    (timer,) = [one for one in script.effects if isinstance(one, e.Arm) and one.key == BROKEN_OFF]
    assert (timer.at, len(shown(script))) == (moment(2 + SHOWN_S).mono, 1)
    script.hear(Rang(BROKEN_OFF), at=SHOWN_S + 2)
    assert (shown(script), script.fleet.mending.plans_broken_off) == ([], ())


def test_who_approves_anew_has_seen_to_it() -> None:
    """The finding goes with the word for the commands as they are shown then."""
    script = Script(waiting())
    script.hear(YES, at=1)
    script.hear(PlanRan("B", N, 0, None, "broken off", ticket=7), at=2)
    script.fleet = msgspec.structs.replace(script.fleet, repairs=waiting().repairs)
    script.hear(msgspec.structs.replace(YES, ticket=8), at=3)
    assert not shown(script)
    assert not next_life(script).fleet.mending.plans_broken_off[1:]
