"""An alert that nobody took: said once, and unsaid when the last one to that peer is over, however it ended."""

import pytest
from msgspec.structs import replace

from engine.effects import Notify, Publish
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Kind
from engine.model.finding import ALERT_WAITS, Severity
from engine.model.packets import Note
from engine.model.roster import Roster
from engine.signals import Posted, Rang, RosterMade, Signal, Told
from tests.engine.script import EPOCH, Script, fleet, letter, receipt, roster, with_health

SHOWN = Told("B", "the desktop was told")
UNSAID = "tell gone mail.alert_waits"


def unheard(*ids: str, ttl_s: int = 60) -> Script:
    """Nothing works to B: its alerts rest, and the desktop is being told."""
    script = Script(fleet("A", "B", up=()))
    for ticket, msg_id in enumerate(ids, 1):
        assert script.asked(Notify, Posted(letter(msg_id, kind=Kind.ALERT, ttl_s=ttl_s), ticket)) == ["notify of B"]
    assert (ALERT_WAITS, "B") in script.fleet.findings
    return script


def without_b() -> Roster:
    """B has left."""
    before = roster("A", "B")
    members = tuple(replace(one, left_ms=1) if one.id == "B" else one for one in before.members)
    return replace(before, version=2, members=members)


ENDINGS: dict[str, Signal] = {
    "it arrived": receipt((EPOCH, 1), seq=1),
    "it was refused": receipt(seq=1, notes=(Note(EPOCH, 1, "refused", "no room"),)),
    "it expired": Rang("mail.B"),
    "its receiver left": RosterMade(without_b(), "B left"),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_the_end_of_the_alert_ends_the_finding(ending: Signal) -> None:
    """Whether it arrived or not: it does not wait any more."""
    script = unheard("m1")
    assert UNSAID in script.asked(Publish, ending, at=61.0)
    assert not script.fleet.findings


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_desktop_that_answers_late_finds_nothing_again(ending: Signal) -> None:
    """It can take seconds: of an alert that is over by then nothing is found."""
    script = unheard("m1")
    script.hear(ending, at=61.0)
    assert not script.hear(SHOWN, at=62.0)
    assert not script.fleet.findings


def test_the_finding_says_how_it_was_told() -> None:
    """It stands before anybody was told, with what to do, and says then how that went."""
    script = unheard("m1")
    found = script.fleet.findings[ALERT_WAITS, "B"]
    assert (found.detail, found.severity) == ("B has not taken an alert yet; it stays queued", Severity.HIGH)
    assert "fleet resend m1 --any" in found.next_step
    script.hear(SHOWN)
    assert script.fleet.findings[ALERT_WAITS, "B"] == replace(found, detail=f"{found.detail}; {SHOWN.how}")


def test_the_finding_names_what_a_person_holds_back() -> None:
    """`--any` passes no hold: it is not told as a way where it would change nothing."""
    value = with_health(fleet("A", "B", up=(Channel.NATS,)), "B", Channel.NATS, held=True)
    script = Script(value)
    script.hear(Posted(letter("m1", kind=Kind.ALERT), 1))
    assert script.fleet.findings[ALERT_WAITS, "B"].next_step == (
        "`fleet why m1`; nats is held back by you; `fleet hold B nats --off` releases it"
    )
    script = Script(with_health(value, "B", Channel.SSH, state=ChannelState.HEALTHY))
    script.hear(Posted(letter("m1", kind=Kind.ALERT), 1))
    assert "`fleet resend m1 --any` lets it go any way" in script.fleet.findings[ALERT_WAITS, "B"].next_step


def test_an_alert_within_the_minute_is_found_again() -> None:
    """The desktop is left in peace then, the finding is not left out."""
    script = unheard("m1", ttl_s=0)
    script.hear(receipt((EPOCH, 1), seq=1), at=1.0)
    script.hear(Posted(letter("m2", kind=Kind.ALERT), 2), at=2.0)
    assert (ALERT_WAITS, "B") in script.fleet.findings


def test_it_stands_while_another_alert_waits() -> None:
    """The last one ends it."""
    script = unheard("m1", "m2")
    assert UNSAID not in script.hear(receipt((EPOCH, 1), seq=1), at=1.0)
    assert UNSAID in script.hear(Rang("mail.B"), at=61.0)


def test_the_end_of_another_kind_ends_nothing() -> None:
    """Only alerts are told of."""
    script = unheard("m1", ttl_s=0)
    script.hear(Posted(letter("m2", ttl_s=1), ticket=2))
    assert UNSAID not in script.hear(Rang("mail.B"), at=2.0)
    assert (ALERT_WAITS, "B") in script.fleet.findings
