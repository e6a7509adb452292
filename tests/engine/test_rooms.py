"""The law of a node: every signal has its steps, a turn ends, and what is saved comes before what waits for it."""

import sys
import typing

import msgspec
import pytest

from engine import effects as e
from engine import rooms
from engine.model.channel import Channel
from engine.model.envelope import Rung
from engine.model.event import BrokerMoved
from engine.model.records import MoveRung, PutMeta
from engine.rooms import ROOMS, sorted_out, turn
from engine.signals import ChannelTurned, Nudged, Posted, Rang, Signal
from engine.state import Fleet
from tests.engine.script import fleet, letter, moment


def test_every_signal_has_its_row() -> None:
    """Nothing can happen that nobody hears, and no row is for something that cannot happen."""
    assert set(ROOMS) == set(typing.get_args(Signal))
    assert all(ROOMS.values())


def test_a_room_hears_what_is_routed_to_it() -> None:
    """Its rows in the routing table and the table in its own module say the same: what is routed to a step that does
    not know it ends the node, and what a step knows but never hears is dead."""
    routed = {
        step.__module__: {one for one, row in ROOMS.items() if step in row} for row in ROOMS.values() for step in row
    }
    tables = {name: vars(sys.modules[name]).get("_HEARD") for name in routed}
    known = {name: set(table) for name, table in tables.items() if table}
    assert known
    assert known == {name: routed[name] for name in known}


def test_what_a_turn_raises_is_heard_in_the_same_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order it was raised, after all steps of the signal that raised it."""
    heard: list[str] = []

    def one(value: Fleet, signal: object, now: object) -> tuple[Fleet, list[e.Effect]]:
        heard.append(f"one {type(signal).__name__}")
        raised = [e.Raise(Nudged("B")), e.Publish(BrokerMoved("x")), e.Raise(ChannelTurned("B", Channel.NATS, True))]
        return value, raised if isinstance(signal, Rang) else []

    def two(value: Fleet, signal: object, now: object) -> tuple[Fleet, list[e.Effect]]:
        heard.append(f"two {type(signal).__name__}")
        return value, [e.Publish(BrokerMoved("y"))]

    monkeypatch.setattr(rooms, "ROOMS", {Rang: (one, two), Nudged: (two,), ChannelTurned: (one,)})
    _, effects = turn(fleet("A", "B"), Rang("x"), moment())
    assert heard == ["one Rang", "two Rang", "two Nudged", "one ChannelTurned"]
    assert [effect.event.state for effect in effects if isinstance(effect, e.Publish)] == ["x", "y", "y"]  # type: ignore[union-attr]
    assert not any(isinstance(effect, e.Raise) for effect in effects)


def test_a_circle_is_a_bug_that_must_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals that raise each other for ever end in an error."""
    monkeypatch.setattr(rooms, "ROOMS", {Rang: (lambda value, signal, now: (value, [e.Raise(signal)]),)})
    with pytest.raises(RuntimeError, match="Rang"):
        turn(fleet("A"), Rang("x"), moment())


def test_records_are_sorted_from_the_rest() -> None:
    """Strict records, lazy records, timers, and all that must not be done before the strict ones are durable."""
    strict, lazy = PutMeta("a", b""), MoveRung("m", Rung.ON_HOST, 1)
    tell, more = e.Publish(BrokerMoved("x")), PutMeta("b", b"")
    effects: list[e.Effect] = [tell, e.Save((lazy,), lazy=True), e.Save((strict,)), e.Arm("k", 1.0), e.Save((more,))]
    assert sorted_out(effects) == ([strict, more], [lazy], [e.Arm("k", 1.0)], [tell])
    assert sorted_out([e.Save((strict,)), e.Save((lazy,), lazy=True), e.Save((more,))])[0] == [strict, lazy, more]


def test_an_unchanged_slice_is_the_same_object() -> None:
    """ "Did it change?" is `is`, all the way to a widget."""
    before = fleet("A", "B")
    after, _ = turn(before, Posted(letter("m1"), 1), moment())
    assert after.mail is not before.mail
    for name in before.__struct_fields__:
        if name != "mail":
            assert getattr(after, name) is getattr(before, name), name
    again, _ = turn(after, Rang("nobody's"), moment())
    assert again is after


def test_the_value_is_frozen() -> None:
    """Nobody can change what another thread is looking at."""
    with pytest.raises(AttributeError):
        fleet("A").mail = None  # type: ignore[misc,assignment]
    assert all(msgspec.structs.fields(Fleet))
