"""A peer that has moved is looked for at its new address, whoever was met at the old one."""

import msgspec

from engine.health import step as health
from engine.health.whereabouts import moved
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, pack
from engine.model.peer import Peer
from engine.model.roster import Address
from engine.signals import Arrived
from engine.state import Fleet
from tests.engine.script import Script, fleet, letter, with_health

HTTP = Channel.HTTP
OLD, NEW = (Address("10.0.0.2", http=8856),), (Address("10.0.0.2", http=8857),)


def quarantined() -> Fleet:
    """A, which met an impostor at the address that B told last."""
    value = with_health(fleet("A", "B", up=(HTTP,)), "B", HTTP, state=ChannelState.QUARANTINED)
    told = Peer("B", beat=Heartbeat(1, "0.1", addresses=OLD))
    return msgspec.structs.replace(value, peers=value.peers.set("B", told))


def beat(*addresses: Address, body: bytes = b"") -> Parcel:
    """A heartbeat of B's."""
    packed = body or pack(Heartbeat(2, "0.1", addresses=addresses))
    return Parcel(letter("beat", "A", "B", kind=Kind.HEARTBEAT, seq=2, body=packed))


def test_other_addresses_are_a_move() -> None:
    """The same addresses are none, no addresses are none, and what cannot be read is none."""
    value = quarantined()
    assert moved(value, beat(*NEW))
    for still in (beat(*OLD), beat(), beat(body=b"\xc1"), Parcel(letter("m", "A", "B", seq=1))):
        assert not moved(value, still)


def test_a_move_lifts_the_quarantine() -> None:
    """The pair is unknown again and probed at once; at the same address it stays what a person has to look at."""
    script = Script(quarantined(), health.step)
    script.hear(Arrived((beat(*OLD),), Channel.NATS), at=1.0)
    assert script.fleet.health("B", HTTP).state is ChannelState.QUARANTINED
    assert f"ring {health.TIMER} at 2.000" in script.hear(Arrived((beat(*NEW),), Channel.NATS), at=2.0)
    assert script.fleet.health("B", HTTP).state is ChannelState.UNKNOWN
    assert script.fleet.health("B", HTTP).reason == "it is at another address now"
