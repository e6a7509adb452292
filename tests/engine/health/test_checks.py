"""Round trips a person asked for: each is known by its ping's id."""

from engine.effects import Deliver
from engine.health import checks
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Parcel
from engine.model.packets import Pong, Receipt, pack
from engine.signals import Arrived, ProbeAsked, Tried
from tests.engine.script import EPOCH, Script, fleet

GIT, HTTP = Channel.GIT, Channel.HTTP


def ended(verdict: Verdict, *pings: str, channel: Channel = HTTP) -> Tried:
    return Tried("B", channel, (), Outcome(verdict, "said"), 4.0, probe=True, pings=pings)


def pong(ask: str) -> Arrived:
    body = pack(Receipt(pongs=(Pong(GIT, ask),)))
    return Arrived((Parcel(Envelope("B", EPOCH, 1, "A", "r1", Kind.RECEIPT, body=body)),), HTTP)


def test_another_try_that_ended_meanwhile_is_not_this_one() -> None:
    """Only the try that carried this very ping ends its check."""
    script = Script(fleet("A", "B"), checks.step)
    script.hear(ProbeAsked("B", HTTP, "check-1"))
    script.hear(ended(Verdict.CONFIRMED, "ping-7"))
    assert script.fleet.checks["check-1"].verdict is None
    script.hear(ended(Verdict.LOST, "ping-8", "check-1"))
    assert script.fleet.checks["check-1"].verdict is Verdict.LOST


def test_what_landed_is_proved_by_its_pong() -> None:
    """On a channel without a way back the peer's own word ends it, with the time since it was asked."""
    script = Script(fleet("A", "B"), checks.step)
    script.hear(ProbeAsked("B", GIT, "check-1"))
    script.hear(ended(Verdict.LANDED, "check-1", channel=GIT), at=0.2)
    assert script.fleet.checks["check-1"].verdict is Verdict.LANDED
    script.hear(pong("check-1"), at=2.0)
    check = script.fleet.checks["check-1"]
    assert (check.verdict, round(check.ms)) == (Verdict.CONFIRMED, 2_000)
    script.hear(ended(Verdict.LANDED, "check-1", channel=GIT), at=3.0)
    assert script.fleet.checks["check-1"].verdict is Verdict.CONFIRMED


def test_the_memory_is_bounded() -> None:
    """The oldest checks are forgotten; probes nobody asked for leave nothing."""
    script = Script(fleet("A", "B"), checks.step)
    for number in range(checks.KEPT + 10):
        script.hear(ProbeAsked("B", HTTP, f"check-{number}"), at=float(number))
    script.hear(ProbeAsked("B", HTTP))
    assert len(script.fleet.checks) == checks.KEPT
    assert f"check-{checks.KEPT + 9}" in script.fleet.checks
    assert "check-0" not in script.fleet.checks


def test_the_ping_has_the_id_that_was_asked() -> None:
    """In the whole law of a node: the ping leaves under this id, within the channel's whole budget."""
    script = Script(fleet("A", "B"))
    script.hear(ProbeAsked("B", HTTP, "check-1"))
    sent = [one for one in script.effects if isinstance(one, Deliver) and one.envelope.msg_id == "check-1"]
    assert [(one.channel, one.budget_s) for one in sent] == [(HTTP, 5.0)]
