"""A person's look at the channels to a peer."""

from typing import Any

from engine.loop import Loop
from engine.model.channel import Channel, ChannelState
from engine.verbs.switchboard import Switchboard
from tests.engine.script import fleet, moment, with_health


async def test_a_check_says_what_it_did_not_try() -> None:
    """Nobody is woken, typed at or billed by a look: those channels tell what is known of them, as untried."""
    value = with_health(fleet("A", "B"), "B", Channel.WOL, state=ChannelState.UNKNOWN, reason="known so far")
    for channel in set(Channel) - {Channel.WOL}:
        value = with_health(value, "B", channel, state=ChannelState.ABSENT, reason="not set up")
    hands: Any = None
    answers = await Switchboard(Loop(value, hands, lambda: moment(0.0)), hands).check("B")
    said = {name: (one["outcome"], one["reason"]) for name, one in answers.items()}
    assert said.pop("wol") == ("untried", "known so far")
    assert set(said.values()) == {("barred", "not set up")}
