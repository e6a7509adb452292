"""A peer that has moved is looked for at its new address, whoever was met at the old one."""

import msgspec

from engine.effects import AskReady, Deliver
from engine.health import step as health
from engine.health.whereabouts import news
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, pack
from engine.model.peer import Peer
from engine.model.roster import Address
from engine.model.ways import SshWay, Ways
from engine.signals import Arrived, Readied
from engine.state import Fleet
from engine.target import target
from tests.engine.script import EPOCH, Script, fleet, letter, with_health

HTTP, NATS = Channel.HTTP, Channel.NATS
OLD, NEW = (Address("10.0.0.2", http=8856),), (Address("10.0.0.2", http=8857),)


def quarantined() -> Fleet:
    """A, which met an impostor at the address that B told last."""
    value = with_health(fleet("A", "B", up=(HTTP,)), "B", HTTP, state=ChannelState.QUARANTINED)
    told = Peer("B", beat=Heartbeat(1, "0.1", addresses=OLD), beat_no=(EPOCH, 1))
    return msgspec.structs.replace(value, peers=value.peers.set("B", told))


def beat(*addresses: Address, body: bytes = b"", epoch: int = EPOCH) -> Parcel:
    """A heartbeat of B's."""
    packed = body or pack(Heartbeat(2, "0.1", addresses=addresses))
    return Parcel(letter("beat", "A", "B", kind=Kind.HEARTBEAT, src_epoch=epoch, seq=2, body=packed))


def test_what_is_news() -> None:
    """Other addresses and a new life are; the same addresses, no addresses and what cannot be read are not."""
    value = quarantined()
    assert news(value, beat(*NEW)) == "it is at another address now"
    assert news(value, beat(*OLD, epoch=EPOCH + 1)) == "it has started again"
    for still in (beat(*OLD), beat(), beat(body=b"\xc1"), Parcel(letter("m", "A", "B", seq=1))):
        assert news(value, still) == ""


def test_a_new_life_lifts_the_quarantine() -> None:
    """Somebody sat on its port while it was down: once it has started, the same address is looked at again."""
    script = Script(quarantined(), health.step)
    script.hear(Arrived((beat(*OLD, epoch=EPOCH + 1),), Channel.NATS), at=1.0)
    assert script.fleet.health("B", HTTP).state is ChannelState.UNKNOWN


def test_a_first_word_of_a_peer_nobody_doubts_is_no_reason_to_look_at_all() -> None:
    """Each of a hundred peers says one when we start."""
    value = with_health(quarantined(), "B", HTTP, state=ChannelState.HEALTHY)
    said = Script(value, health.step).hear(Arrived((beat(*OLD, epoch=EPOCH + 1),), Channel.NATS), at=1.0)
    assert not [one for one in said if one.startswith("ring")]


def test_a_move_lifts_the_quarantine() -> None:
    """The pair is unknown again and probed at once; at the same address it stays what a person has to look at."""
    script = Script(quarantined(), health.step)
    script.hear(Arrived((beat(*OLD),), Channel.NATS), at=1.0)
    assert script.fleet.health("B", HTTP).state is ChannelState.QUARANTINED
    assert f"ring {health.TIMER} at 2.000" in script.hear(Arrived((beat(*NEW),), Channel.NATS), at=2.0)
    assert script.fleet.health("B", HTTP).state is ChannelState.UNKNOWN
    assert script.fleet.health("B", HTTP).reason == "it is at another address now"


def test_other_ways_lift_the_quarantine_of_ssh() -> None:
    """A machine that got other host keys says so itself: what was wrong by its old word is looked at by its new one."""
    script = Script(quarantined(), health.step)
    shown = msgspec.structs.replace(script.fleet.health("B", HTTP), reason="a host key that it did not announce")
    value = msgspec.structs.replace(script.fleet, channels=script.fleet.channels.set(("B", Channel.SSH), shown))
    script = Script(value, health.step)
    ways = Ways(ssh=SshWay("ann", 22, ("ssh-ed25519 AAAA",)))
    told = pack(Heartbeat(2, "0.1", addresses=OLD, ways=ways))
    effects = script.hear(Arrived((beat(body=told),), Channel.NATS), at=1.0)
    assert script.fleet.health("B", Channel.SSH).state is ChannelState.UNKNOWN
    assert script.fleet.health("B", HTTP).state is ChannelState.QUARANTINED
    assert any("AskReady" in one or "ready" in one for one in effects), effects


def test_what_a_peer_says_of_its_broker_is_asked_about_at_once() -> None:
    """Its last word holds until its next: P1 to a peer that had no broker is tried as soon as it says that it has one,
    also one that is down."""
    script = Script(with_health(fleet("A", "B", up=(HTTP,)), "B", NATS, state=ChannelState.BROKEN))

    def says(seq: int, broker: str) -> bool:
        told = letter(f"b{seq}", "A", "B", kind=Kind.HEARTBEAT, seq=seq, body=pack(Heartbeat(2, "0.1", broker=broker)))
        script.hear(Arrived((Parcel(told, b"%d" % seq),), HTTP), at=float(seq))
        return AskReady("B") in script.effects

    def without() -> bool:
        there = target(script.fleet, "B")
        return there is not None and there.brokerless

    assert (says(1, "absent"), without()) == (True, True)
    script.hear(Readied("B", {NATS: "no broker there"}), at=1.5)
    assert script.fleet.health("B", NATS).state is ChannelState.ABSENT
    assert (says(2, "absent"), without()) == (False, True)
    assert (says(3, "down"), without()) == (True, False)
    script.hear(Readied("B", {NATS: None}), at=3.5)
    assert script.fleet.health("B", NATS).state is ChannelState.UNKNOWN
    assert any(isinstance(one, Deliver) and one.channel is NATS for one in script.effects), "it is tried now"
