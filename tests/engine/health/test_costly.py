"""Channels whose every try costs something: never probed unasked, and a limit is no failure."""

import pytest
from msgspec.structs import replace

from engine.effects import Deliver
from engine.model.channel import Channel, ChannelState, Verdict
from engine.model.packets import Heartbeat
from engine.model.ways import Nic, Ways
from engine.signals import ProbeAsked, Readied
from tests.engine.script import T0_MONO, Script, fleet, tried, with_health

COSTLY = (Channel.WOL, Channel.CLOUD, Channel.TEXT)


@pytest.mark.parametrize("channel", COSTLY)
def test_a_probe_of_all_is_not_a_try_of_these(channel: Channel) -> None:
    """A look at every channel wakes nobody; asked for by its name, it is tried."""
    value = with_health(fleet("A", "B"), "B", channel, state=ChannelState.UNKNOWN)
    script = Script(value)
    assert f"deliver ping to B over {channel}" not in script.asked(Deliver, ProbeAsked("B"))
    assert f"deliver ping to B over {channel}" in script.asked(Deliver, ProbeAsked("B", channel))


@pytest.mark.parametrize("channel", [Channel.WOL, Channel.TEXT])
def test_a_limit_is_no_failure(channel: Channel) -> None:
    """Woken, or typed at, often enough: the way itself is as good as before, however often it is asked."""
    script = Script(with_health(fleet("A", "B"), "B", channel, state=ChannelState.UNKNOWN))
    for number in range(5):
        script.hear(tried(channel, Verdict.REFUSED, (1, number, "m"), note="woken 3 times within a minute"))
    assert script.fleet.health("B", channel).state is ChannelState.UNKNOWN
    script.hear(tried(channel, Verdict.BARRED, (1, 9, "m"), note="no network to send it to", hard=True))
    assert script.fleet.health("B", channel).state is ChannelState.BROKEN


def test_sent_is_not_awake() -> None:
    """Magic packets that left say nothing of the machine: what they came to is unknown, whatever it was before, until
    the machine is heard or is not. Three good probes would never come: it is as good as its last try."""
    script = Script(with_health(fleet("A", "B"), "B", Channel.WOL, state=ChannelState.BROKEN, retry_at=T0_MONO + 60))
    sent = "magic packet sent to 2 networks"
    assert script.asked(Deliver, tried(Channel.WOL, Verdict.LANDED, (1, 9, "m"), note=sent)) == []
    for verdict, note, state in (
        (Verdict.LANDED, sent, ChannelState.UNKNOWN),
        (Verdict.CONFIRMED, "it woke", ChannelState.HEALTHY),
        (Verdict.LANDED, sent, ChannelState.UNKNOWN),
        (Verdict.LOST, "it was not heard within 60 s", ChannelState.DEGRADED),
    ):
        script.hear(tried(Channel.WOL, verdict, note=note))
        health = script.fleet.health("B", Channel.WOL)
        assert (health.state, health.reason) == (state, note)


def test_what_was_never_tried_says_what_it_would_go_by() -> None:
    """The cards that are known, until packets have left; and nothing when there are none any more."""
    value = fleet("A", "B")
    beat = Heartbeat(0, "0", ways=Ways(nics=(Nic("02:00:00:00:00:01"),)))
    value = replace(value, peers=value.peers.set("B", replace(value.peers["B"], beat=beat)))
    script = Script(value)
    for said, reason, state in (
        (None, "`fleet wake` would call 02:00:00:00:00:01", ChannelState.UNKNOWN),
        ("no MAC known", "no MAC known", ChannelState.ABSENT),
        (None, "`fleet wake` would call 02:00:00:00:00:01", ChannelState.UNKNOWN),
    ):
        script.hear(Readied("B", {Channel.WOL: said}))
        health = script.fleet.health("B", Channel.WOL)
        assert (health.state, health.reason) == (state, reason)
