"""The ticks of two machines that met: what is not known is not called broken."""

import pytest

from engine.doctor import onboard
from engine.model.channel import Channel, ChannelState
from engine.model.exam import Health
from tests.engine.script import fleet, with_health


@pytest.mark.parametrize(
    ("state", "health", "said"),
    [
        (ChannelState.UNKNOWN, Health.UNKNOWN, "not known yet: no responders"),
        (ChannelState.BROKEN, Health.ILL, "broken: no responders"),
    ],
)
def test_what_is_said_of_a_channel_when_time_is_over(state: ChannelState, health: Health, said: str) -> None:
    """Unknown is a state of its own; what is broken is."""
    value = with_health(fleet("A", "B"), "B", Channel.NATS, state=state, reason="no responders")
    assert onboard.ASKED["p1"](value, "B") is None
    assert onboard.why_not(value, "B", "p1") == (health, said)
