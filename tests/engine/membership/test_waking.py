"""Waking through a neighbour: whom we ask, and for whom we send."""

import msgspec
import pytest

from engine.effects import Deliver
from engine.membership.waking import neighbours
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, Wake, pack, unpack
from engine.model.peer import Standing
from engine.model.roster import Role
from engine.model.ways import Nic, Ways
from engine.signals import Arrived, Reachable, WakeWanted
from engine.state import Fleet
from tests.engine.script import EPOCH, T0_MS, Channel, Script, fleet, with_health

OFFICE, CELLAR = "10.1.0.255", "10.2.0.255"


def card(broadcast: str) -> Ways:
    """A card on a network."""
    return Ways(nics=(Nic("02:00:00:00:00:01", "", broadcast),))


def placed(value: Fleet, **where: str) -> Fleet:
    """The same fleet, in which these told of a card on these networks."""
    peers = value.peers
    for name, broadcast in where.items():
        beat = Heartbeat(T0_MS, "1", ways=card(broadcast))
        peers = peers.set(name, msgspec.structs.replace(peers[name], beat=beat))
    return msgspec.structs.replace(value, peers=peers)


def standing(value: Fleet, name: str, now: Standing) -> Fleet:
    """The same, in which this one stands so."""
    peer = msgspec.structs.replace(value.peers[name], standing=now)
    return msgspec.structs.replace(value, peers=value.peers.set(name, peer))


def role(value: Fleet, name: str, now: Role) -> Fleet:
    """The same, with another role in the roster."""
    members = tuple(msgspec.structs.replace(one, role=now) if one.id == name else one for one in value.roster.members)
    return msgspec.structs.replace(value, roster=msgspec.structs.replace(value.roster, members=members))


def asleep(**where: str) -> Fleet:
    """A fleet in whose cellar Z sleeps; the others are where they are said to be."""
    return standing(placed(fleet("A", "B", "C", "D", "Z"), Z=CELLAR, **where), "Z", Standing.OFFLINE)


def asking(node: str, seq: int = 1, src: str = "B") -> Arrived:
    """`src` asks us to wake `node`."""
    envelope = Envelope(src, EPOCH, seq, "A", f"w{seq}", Kind.WAKE, body=pack(Wake(node)))
    return Arrived((Parcel(envelope, f"{src}{seq}".encode()),), Channel.NATS, token=seq)


def test_those_on_its_network_are_asked() -> None:
    """Whoever is there and has a card on the sleeper's network; nobody else, and not the sleeper."""
    script = Script(asleep(B=CELLAR, C=OFFICE))
    assert script.hear(WakeWanted("Z")) == ["save lazily entry wake Z", "deliver wake-10000000000 to B over nats"]
    _, effect = script.effects
    assert isinstance(effect, Deliver)
    assert unpack(Kind.WAKE, effect.envelope.body) == Wake("Z")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda value: value, ["B", "C"]),
        (lambda value: standing(value, "B", Standing.SUSPECT), ["C", "D"]),
        (
            lambda value: with_health(with_health(value, "B", Channel.NATS, held=True), "B", Channel.HTTP, held=True),
            ["C", "D"],
        ),
        (lambda value: role(value, "A", Role.OBSERVER), []),
        (lambda value: placed(value, Z=""), []),
    ],
    ids=["two at the most", "a suspect is not asked", "one without a way is not", "an observer asks nobody", "no card"],
)
def test_who_is_asked(change: object, expected: list[str]) -> None:
    """At most two, each present, each reachable; and nobody by a node whose word would be refused."""
    assert callable(change)
    assert neighbours(change(asleep(B=CELLAR, C=CELLAR, D=CELLAR)), "Z") == expected


def test_for_whom_we_send() -> None:
    """For a member whose card is on a network of ours."""
    script = Script(asleep())
    assert "magic for Z" not in script.hear(asking("Z"))
    script.hear(Reachable(card(CELLAR)))
    assert "magic for Z" in script.hear(asking("Z", 2))


def test_for_whom_we_do_not_send() -> None:
    """Not for strangers, not for one who has left, not for ourselves, and never twice for one frame."""
    value = asleep()
    gone = msgspec.structs.replace(value.roster.members[-1], left_ms=1)
    roster = msgspec.structs.replace(value.roster, members=(*value.roster.members[:-1], gone))
    for fleet_, node in ((value, "X"), (value, "A"), (msgspec.structs.replace(value, roster=roster), "Z")):
        script = Script(fleet_)
        script.hear(Reachable(card(CELLAR)))
        assert not any("magic" in line for line in script.hear(asking(node)))
        assert script.fleet.refusals.counts.get("misaddressed") == 1
    script = Script(value)
    script.hear(Reachable(card(CELLAR)))
    script.hear(asking("Z"))
    assert not any("magic" in line for line in script.hear(asking("Z")))
    assert script.fleet.refusals.counts.get("replayed") == 1


def test_whoever_asks_again_and_again_writes_no_history() -> None:
    """One wake a machine in twenty seconds, however often and by whomever it is asked for."""
    script = Script(asleep(B=OFFICE))
    script.hear(Reachable(card(CELLAR)))
    first = script.hear(asking("Z", 1), at=1.0)
    assert any("magic" in effect.lower() for effect in first)
    for seq in range(2, 30):
        assert not any("magic" in effect.lower() for effect in script.hear(asking("Z", seq), at=1.0 + seq / 10))
    assert any("magic" in effect.lower() for effect in script.hear(asking("Z", 40), at=30.0))
