"""The machine of one (peer, channel) pair: every pair of state and event is a known step or a named refusal."""

import itertools

import pytest

from engine.errors import Fault, FleetError
from engine.health.table import KEPT_CHANGES, TABLE, TRYING, USABLE, Event, advance
from engine.model.channel import ChannelHealth, ChannelState
from engine.model.moment import Moment

PAIRS = list(itertools.product(ChannelState, Event))
# The machine as a person would draw it, row by row (a dot: it stays); what is not drawn is illegal.
DRAWN = {
    "UNKNOWN": "ok>HEALTHY fail>DEGRADED enough>BROKEN quiet>UNKNOWN pin>QUARANTINED absent>ABSENT",
    "HEALTHY": "ok>HEALTHY fail>DEGRADED enough>BROKEN quiet>UNKNOWN pin>QUARANTINED absent>ABSENT",
    "DEGRADED": "ok>HEALTHY fail>DEGRADED enough>BROKEN quiet>UNKNOWN pin>QUARANTINED absent>ABSENT",
    "BROKEN": "ok>HEALING fail>BROKEN enough>BROKEN mend>HEALING quiet>UNKNOWN pin>QUARANTINED absent>ABSENT",
    "HEALING": "ok>HEALING fail>BROKEN enough>BROKEN healed>HEALTHY quiet>UNKNOWN pin>QUARANTINED absent>ABSENT",
    "ABSENT": "present>UNKNOWN ok>HEALTHY fail>ABSENT enough>ABSENT quiet>ABSENT pin>QUARANTINED absent>ABSENT",
    "QUARANTINED": "cleared>UNKNOWN ok>. fail>. enough>. quiet>. pin>.",
}
LEGAL = {
    (ChannelState(state), Event(event)): ChannelState(state if new == "." else new)
    for state, row in DRAWN.items()
    for event, new in (arrow.split(">") for arrow in row.split())
}


def test_the_table_is_the_drawing() -> None:
    """No arrow more, no arrow less than drawn above."""
    assert TABLE == LEGAL


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair in LEGAL])
def test_legal_step(state: ChannelState, event: Event) -> None:
    """A legal event moves the pair to the drawn state, and only a real move is remembered, with its reason."""
    before = ChannelHealth(state)
    after = advance(before, event, Moment(7, 1.0), "because")
    assert after.state is LEGAL[state, event]
    moved = after.state is not state
    assert after.reason == "because"
    assert after.since_ms == (7 if moved else 0)
    assert [(one.old, one.new, one.reason) for one in after.changes] == ([(state, after.state, "because")] * moved)


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in LEGAL])
def test_illegal_step(state: ChannelState, event: Event) -> None:
    """Every other pair is our bug, and its error names the state and the event."""
    with pytest.raises(FleetError) as caught:
        advance(ChannelHealth(state), event, Moment(7, 1.0))
    assert caught.value.code == "health.illegal"
    assert caught.value.fault is Fault.OURS
    assert state in caught.value.detail
    assert event in caught.value.detail


def test_a_quarantine_ends_only_by_hand() -> None:
    """No success, silence or change of set-up lifts a quarantine: a person does."""
    away = {event for (state, event), new in LEGAL.items() if state is ChannelState.QUARANTINED and new is not state}
    assert away == {Event.CLEARED}


def test_what_broke_must_heal() -> None:
    """From BROKEN there is no arrow to HEALTHY: only three good probes lead there."""
    assert {LEGAL.get((ChannelState.BROKEN, event)) for event in Event}.isdisjoint({ChannelState.HEALTHY})
    assert set(USABLE) == {ChannelState.HEALTHY, ChannelState.UNKNOWN, ChannelState.DEGRADED}


def test_an_unchanged_pair_is_the_same_object() -> None:
    """What did not change is the same object, all the way to the screen."""
    healthy = ChannelHealth(ChannelState.HEALTHY, reason="answered")
    assert advance(healthy, Event.OK, Moment(7, 1.0), "answered") is healthy


def test_a_break_that_is_tried_in_vain_is_one_story() -> None:
    """Each try that comes to nothing leaves no change behind, and it is broken since it broke; one that was answered
    and failed again is told, and it is still the same break; whole again, there is none."""
    health = advance(ChannelHealth(ChannelState.HEALTHY), Event.ENOUGH, Moment(1, 1.0), "refused")
    for at in range(2, 40, 2):
        health = advance(health, Event.MEND, Moment(at, 1.0), TRYING)
        health = advance(health, Event.ENOUGH, Moment(at + 1, 1.0), "no answer")
    assert [(one.at_ms, one.new, one.reason) for one in health.changes] == [(1, ChannelState.BROKEN, "refused")]
    assert (health.since_ms, health.broke_ms, health.reason) == (1, 1, "no answer")
    health = advance(health, Event.MEND, Moment(50, 1.0), TRYING)
    health = advance(health, Event.OK, Moment(51, 1.0), "answered")
    health = advance(health, Event.FAIL, Moment(52, 1.0), "no answer")
    assert [one.at_ms for one in health.changes] == [1, 50, 52]
    assert (health.since_ms, health.broke_ms) == (1, 1)
    health = advance(advance(health, Event.OK, Moment(60, 1.0)), Event.HEALED, Moment(61, 1.0))
    assert (health.since_ms, health.broke_ms) == (61, 0)


def test_only_the_last_changes_are_kept() -> None:
    """A flapping pair remembers its last sixteen changes, the newest at the end."""
    health = ChannelHealth(ChannelState.HEALTHY)
    for number in range(20):
        event = Event.FAIL if health.state is ChannelState.HEALTHY else Event.OK
        health = advance(health, event, Moment(number, 1.0), str(number))
    assert [change.at_ms for change in health.changes] == list(range(20 - KEPT_CHANGES, 20))
