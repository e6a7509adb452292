"""Channels whose every try costs something: never probed unasked, and a limit is no failure."""

import pytest

from engine.effects import Deliver
from engine.model.channel import Channel, ChannelState, Verdict
from engine.signals import ProbeAsked
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


@pytest.mark.parametrize("channel", [Channel.WOL, Channel.TEXT])
def test_one_success_heals(channel: Channel) -> None:
    """Three good probes would never come, and each would cost: it is as good as its last try, and says what that
    was."""
    script = Script(with_health(fleet("A", "B"), "B", channel, state=ChannelState.BROKEN, retry_at=T0_MONO + 60))
    sent = script.asked(Deliver, tried(channel, Verdict.LANDED, (1, 9, "m"), note="magic packet sent to 2 networks"))
    assert sent == []
    health = script.fleet.health("B", channel)
    assert (health.state, health.reason) == (ChannelState.HEALTHY, "magic packet sent to 2 networks")
