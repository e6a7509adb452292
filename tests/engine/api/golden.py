"""A value with one of everything: atlas, which answers, with birch alive over two channels and cedar gone."""

from typing import Any

from immutables import Map

from engine.config import Config
from engine.model.broker import BrokerState
from engine.model.channel import Channel, ChannelHealth, ChannelState
from engine.model.peer import Peer, Standing
from engine.model.roster import Bundle, Member, Role, Roster
from engine.state import Broker, Fleet, Me

BUNDLE = Bundle(b"", b"", b"", "", b"")


def member(name: str, **facts: Any) -> Member:
    """A member whose id is made of its name."""
    return Member(f"id-{name}", name, BUNDLE, **facts)


def fleet(**facts: Any) -> Fleet:
    """The value, with these slices instead of its own."""
    members = (member("atlas", role=Role.CHIEF), member("birch"), member("cedar", left_ms=5))
    given: dict[str, Any] = {
        "me": Me("id-atlas", "atlas", 1, "0.1.0", pid=7, started_mono=100.0),
        "config": Config(),
        "roster": Roster("fleet-1", "home", 3, 0, members),
        "peers": Map({"id-birch": Peer("id-birch", Standing.ALIVE, heard_mono=118.5, heard_ms=1)}),
        "channels": Map(
            {
                ("id-birch", Channel.NATS): ChannelHealth(ChannelState.HEALTHY, latencies=(1.0, 2.0, 9.0)),
                ("id-birch", Channel.HTTP): ChannelHealth(ChannelState.BROKEN, reason="refused", fails=(1.0, 2.0)),
            }
        ),
        "broker": Broker(BrokerState.UP, 8, "nats://127.0.0.1:4222"),
    }
    return Fleet(**(given | facts))
