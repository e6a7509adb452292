"""A person's look at the channels to a peer."""

from typing import Any

import msgspec
import pytest

from engine.errors import FleetError
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


async def test_what_cannot_be_held_is_called_by_its_name() -> None:
    """A face may name a peer by its id: the refusal names it as people do."""
    value = fleet("A", "B", up=())
    chief, other = value.roster.members
    members = (chief, msgspec.structs.replace(other, name="studio"))
    value = msgspec.structs.replace(value, roster=msgspec.structs.replace(value.roster, members=members))
    hands: Any = None
    with pytest.raises(FleetError, match="nats to studio is not set up on this node"):
        await Switchboard(Loop(value, hands, lambda: moment(0.0)), hands).hold("B", Channel.NATS, True)
