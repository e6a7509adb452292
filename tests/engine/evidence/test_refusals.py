"""Refusals: counted whole, shown, and written down without filling the disk they were refused at."""

import pytest

from engine.evidence import refusals
from engine.evidence.refusals import KEPT
from engine.model.channel import Channel
from engine.signals import Rejected
from engine.wire import REFUSALS
from tests.engine.script import Script, fleet, moment


def script() -> Script:
    return Script(fleet("A", "B"), refusals.step)


def rejected(why: str = "tampered", src: str = "B") -> Rejected:
    return Rejected(why, Channel.NATS, src)


@pytest.mark.parametrize("why", list(REFUSALS))
def test_every_refusal_is_counted_shown_and_written_down(why: str) -> None:
    """Whatever the reason."""
    node = script()
    assert node.hear(rejected(why)) == ["save lazily entry refuse B", f"tell rejected {why} from B"]
    assert node.fleet.refusals.counts[why] == 1
    assert node.fleet.refusals.last == ((moment().wall_ms, why, "nats", "B"),)


def test_nothing_else_changes() -> None:
    """A refused frame moves no peer, no channel and no mail."""
    node = script()
    before = node.fleet
    node.hear(rejected())
    for name in before.__struct_fields__:
        if name != "refusals":
            assert getattr(node.fleet, name) is getattr(before, name)


def test_a_flood_is_written_down_once_a_minute() -> None:
    """For each reason and claimed sender; counted and shown every time."""
    node = script()
    written = [at for at in range(180) if len(node.hear(rejected(), at=float(at))) == 2]
    assert written == [0, 60, 120]
    assert node.fleet.refusals.counts["tampered"] == 180
    assert "save lazily entry refuse C" in node.hear(rejected(src="C"))
    assert "save lazily entry refuse B" in node.hear(rejected("unknown"))


def test_a_flood_in_many_names_is_written_down_in_part() -> None:
    """Thirty-two entries a minute in all, whoever they claim to be from."""
    node = script()
    said = [len(node.hear(rejected(src=f"S{number}"), at=number / 10)) for number in range(1_200)]
    assert said.count(2) == 2 * KEPT
    assert node.fleet.refusals.counts["tampered"] == 1_200


def test_a_clock_set_back_does_not_silence_the_ledger() -> None:
    """An hour back is not "a minute ago" for an hour."""
    node = script()
    node.hear(rejected(), at=4_000.0)
    assert len(node.hear(rejected(), at=400.0)) == 2


def test_the_last_are_kept() -> None:
    """Thirty-two, the newest at the end; the counts are whole."""
    node = script()
    for number in range(100):
        node.hear(rejected(src=f"S{number}"), at=float(number))
    assert [src for *_, src in node.fleet.refusals.last] == [f"S{number}" for number in range(100 - KEPT, 100)]
    assert node.fleet.refusals.counts["tampered"] == 100


def test_several_alike_are_one_word() -> None:
    """A flood that was counted at the socket comes as one signal with its count."""
    node = script()
    node.hear(Rejected("tampered", None, "", count=250))
    assert node.fleet.refusals.counts["tampered"] == 250
