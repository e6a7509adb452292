"""Mail to somebody who is gone ends here and now, once, with the reason."""

import msgspec
import pytest
from immutables import Map

from engine.effects import Deliver, Load, Save
from engine.model.mail import Lane, Waiting
from engine.model.records import MoveRung
from engine.model.roster import Member
from engine.signals import Loaded, Posted, RosterOffered, Started
from engine.state import Fleet
from tests.engine.script import Script, fleet, heartbeat, letter, receipt


def without(value: Fleet, name: str, **facts: int) -> RosterOffered:
    """The next roster, in which this member is gone; `facts` empty: in another fleet altogether."""
    kept: list[Member] = []
    for member in value.roster.members:
        if member.name != name:
            kept.append(member)
        elif facts:
            kept.append(msgspec.structs.replace(member, **facts))
    new = msgspec.structs.replace(value.roster, version=value.roster.version + 1, members=tuple(kept))
    return RosterOffered(new, "C")


def sent(count: int) -> Script:
    script = Script(fleet("A", "B", "C"))
    for number in range(1, count + 1):
        script.hear(Posted(letter(f"m{number}"), 1))
    return script


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"revoked_ms": 5}, "B was revoked"),
        ({"left_ms": 5}, "B had left the fleet"),
        ({}, "this node left the fleet they shared"),
    ],
)
def test_open_messages_die_with_the_reason(facts: dict[str, int], why: str) -> None:
    """Nobody is left waiting for a receipt that cannot come."""
    script = sent(2)
    said = script.hear(without(script.fleet, "B", **facts))
    assert "save m1 dead, m2 dead" in said
    saved = [record for effect in script.effects if isinstance(effect, Save) for record in effect.records]
    assert {record.reason for record in saved if isinstance(record, MoveRung)} == {why}
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (0, 2)
    assert not script.fleet.mail.lanes["B"].open
    script.hear(receipt((5_000, 2), seq=1))
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (0, 2)


def test_what_waits_in_the_store_dies_page_by_page() -> None:
    """Each page is read and given up, until there is none."""
    value = fleet("A", "B", "C")
    mail = msgspec.structs.replace(value.mail, lanes=Map({"B": Lane(backlog=3)}), waiting=3)
    script = Script(msgspec.structs.replace(value, mail=mail))
    assert script.asked(Load, without(value, "B", left_ms=5)) == ["load 1024 for B, 1024 of them bulk"]
    page = tuple(Waiting(letter(name)) for name in ("m1", "m2"))
    assert script.asked(Load, Loaded("B", page, 1)) == ["load 1024 for B, 1024 of them bulk"]
    assert script.asked(Load, Loaded("B", (Waiting(letter("m3")),), 0)) == []
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (0, 3)


def test_a_page_on_its_way_is_not_asked_for_twice() -> None:
    """Or its messages would die twice."""
    value = fleet("A", "B", "C")
    mail = msgspec.structs.replace(value.mail, lanes=Map({"B": Lane(backlog=1)}), waiting=1)
    script = Script(msgspec.structs.replace(value, mail=mail))
    assert script.asked(Load, Started()) == ["load 1024 for B, 896 of them bulk"]
    assert script.asked(Load, without(value, "B", left_ms=5)) == []
    script.hear(Loaded("B", (Waiting(letter("m1")),), 0))
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (0, 1)


def test_what_was_on_its_host_stays_so() -> None:
    """A number the peer had lost was being read again when the peer went: its message was delivered once."""
    script = sent(1)
    script.hear(receipt((5_000, 1), seq=1))
    script.hear(heartbeat(seq=2))
    script.hear(without(script.fleet, "B", left_ms=5))
    assert script.hear(Loaded("B", (Waiting(letter("m1", seq=1)),), 0)) == []
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (0, 0)


def test_the_others_hear_nothing_of_it() -> None:
    """Mail to those who are there goes on."""
    script = sent(0)
    script.hear(Posted(letter("c1", "C"), 1))
    script.hear(without(script.fleet, "B", revoked_ms=5))
    assert script.fleet.mail.waiting == 1
    assert script.asked(Deliver, Posted(letter("c2", "C"), 2)) == ["deliver c2 #2 to C over nats"]
