"""One message's walk where channels are of several classes, and what the tables say of trying again."""

from engine.effects import Deliver, Notify
from engine.mail.lanes import TIMER
from engine.model.channel import Channel, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.signals import Nudged, Posted, Rang
from tests.engine.script import EPOCH, Script, fleet, letter, tried, with_health

NATS, HTTP, SEED, SSH = Channel.NATS, Channel.HTTP, Channel.SEED, Channel.SSH
RING = Rang(TIMER + "B")
M1 = (EPOCH, 1, "m1")


def posted(script: Script, at: float = 0.0, **facts: object) -> list[str]:
    return script.asked(Deliver, Posted(letter("m1", **facts), 1), at=at)  # type: ignore[arg-type]


def test_a_colder_channel_is_not_started_for_the_tail_of_a_hot_one() -> None:
    """Ten milliseconds start the next hot channel; a warm one waits for the bound."""
    script = Script(fleet("A", "B", up=(NATS, SEED)))
    posted(script)
    assert script.asked(Deliver, RING, at=0.010) == []
    assert script.asked(Deliver, RING, at=0.240) == []
    assert script.asked(Deliver, RING, at=0.251) == ["deliver m1 #1 to B over seed"]


def test_a_colder_channel_is_started_at_once_by_a_failure() -> None:
    """When nothing warmer flies any more there is nothing to wait for."""
    script = Script(fleet("A", "B", up=(NATS, SEED)))
    posted(script)
    assert script.asked(Deliver, tried(NATS, Verdict.LOST, M1, hard=True), at=0.002) == ["deliver m1 #1 to B over seed"]


def test_a_hot_channel_that_has_not_proved_itself_takes_no_colder_one_along() -> None:
    """Two start together only where they are of one class."""
    script = Script(fleet("A", "B", up=(NATS, SEED)))
    assert posted(script, at=7.0) == ["deliver m1 #1 to B over nats"]


def test_an_alert_is_tried_three_times_again_and_then_told_here() -> None:
    """Over P1 alone; after its four tries in one cascade the desktop is told, once, and the message stays queued."""
    script = Script(fleet("A", "B", up=(NATS, HTTP)))
    assert posted(script, kind=Kind.ALERT) == ["deliver m1 #1 to B over nats"]
    for again in (3.0, 6.0, 9.0):
        lost = script.asked(Deliver, tried(NATS, Verdict.LOST, M1, ms=2_000.0), at=again)
        script.fleet = with_health(script.fleet, "B", NATS, state=ChannelState.HEALTHY, fails=(), streak=0)
        assert lost == ["deliver m1 #1 to B over nats"]
    assert script.asked(Notify, tried(NATS, Verdict.LOST, M1, ms=2_000.0), at=12.0) == ["notify of B"]
    assert script.fleet.mail.waiting == 1


def test_a_context_is_tried_once_again_over_each_hot_channel() -> None:
    """P1 and P2 have one more try each, after their time; what failed at once waits for the back-off."""
    script = Script(fleet("A", "B", up=(NATS,)))
    posted(script)
    assert script.asked(Deliver, tried(NATS, Verdict.LOST, M1), at=0.5) == []
    script = Script(fleet("A", "B", up=(NATS,)))
    posted(script)
    assert script.asked(Deliver, tried(NATS, Verdict.LOST, M1), at=3.0) == ["deliver m1 #1 to B over nats"]
    assert script.asked(Deliver, tried(NATS, Verdict.LOST, M1), at=6.0) == []


def test_a_waiting_message_may_be_widened() -> None:
    """`resend --any` writes it down and sends it over what works."""
    script = Script(fleet("A", "B", up=(SSH,)))
    assert posted(script, kind=Kind.TASK) == []
    said = script.hear(Nudged("B", "m1"), at=1.0)
    assert said[0].startswith("save ")
    assert "deliver m1 #1 to B over ssh" in said
