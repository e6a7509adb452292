"""Climbing: what a peer's session did moves our rungs, and only upwards; the store decides what is news."""

import pytest

from engine.effects import Save
from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.mail import climb
from engine.mail.naming import named
from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung
from engine.model.packets import Climb, Climbs, pack
from engine.model.records import AddOutbox, AddTry, ClimbRung, MoveRung, Record
from engine.signals import Arrived, Climbed
from engine.store.memory import MemoryStore
from tests.engine.script import T0_MS, Script, fleet, letter, parcel


def after(*records: Record) -> tuple[Rung, str]:
    """The rung of `m1`, a message to B, after these records, and why."""
    store = MemoryStore(link)
    store.submit([AddOutbox(letter("m1")), *records])
    store.commit()
    story = store.story("m1", {})
    assert story
    return story.rung, story.reason


def said(rung: Rung, at_ms: int = 1, dst: str = "B", reason: str = "") -> ClimbRung:
    return ClimbRung("m1", dst, rung, at_ms, reason)


ON_HOST = MoveRung("m1", Rung.ON_HOST, 50, Channel.NATS)


def test_a_word_of_its_session_travels_like_mail() -> None:
    """It takes a number, takes effect once with it, and is told to the faces after it is durable."""
    script = Script(fleet("A", "B"))
    body = pack(Climbs((Climb("m1", Rung.POSTED, 7, 5, "text"), Climb("m2", Rung.HELD, 8, 6, "", "busy"))))
    arrived = Arrived((parcel("r1", 1, kind=Kind.RUNG, body=body),), Channel.NATS)
    lines = script.hear(arrived)
    assert lines[0] == "save stream B 5000:1"
    assert "save m1 at B climbs to posted, m2 at B climbs to held" in lines
    assert lines[-2:] == ["tell m1 posted over text", "tell m2 held"]
    assert not any("climbs" in line for line in script.hear(arrived))


def test_only_rungs_of_a_session_are_believed() -> None:
    """A peer cannot make a message of ours expire, or be accepted again."""
    script = Script(fleet("A", "B"), climb.step)
    wrong = tuple(Climb("m1", rung, 1) for rung in (Rung.ACCEPTED, Rung.ON_HOST, Rung.DEAD, Rung.EXPIRED, Rung.REFUSED))
    assert script.hear(Climbed("B", wrong)) == []


def test_a_word_said_again_is_none() -> None:
    """In one packet the last word on a rung stands for all; in another it adds no try, so nothing is pushed out of the
    story."""
    script = Script(fleet("A", "B"), climb.step)
    many = tuple(Climb("m1", rung, T0_MS, 5, "text") for rung in (Rung.POSTED, Rung.SEEN)) * 64
    assert script.hear(Climbed("B", many)) == [
        *("save m1 at B climbs to posted, m1 at B climbs to seen", "tell m1 posted over text", "tell m1 seen over text")
    ]
    (saved,) = (effect for effect in script.effects if isinstance(effect, Save))
    store = MemoryStore(link)
    store.submit([AddOutbox(letter("m1")), AddTry("m1", Channel.NATS, "confirmed", 1.0, 1)])
    for _ in range(100):
        store.submit(saved.records)
    store.commit()
    story = store.story("m1", {})
    assert story
    assert [one.outcome for one in story.tries] == ["confirmed", "posted", "seen"]


DAY = 86_400_000


@pytest.mark.parametrize(
    ("at_ms", "kept"),
    [
        *((T0_MS - DAY, T0_MS - DAY), (T0_MS + DAY, T0_MS + DAY), (T0_MS - 30 * DAY, T0_MS - 30 * DAY)),
        *((0, T0_MS), (1, T0_MS), (2**63 - 1, T0_MS), (T0_MS + 2 * DAY, T0_MS)),
    ],
)
def test_a_clock_that_cannot_be_says_nothing(at_ms: int, kept: int) -> None:
    """A day of difference is believed, and a word that lay as long as messages are kept; else it was now."""
    script = Script(fleet("A", "B"), climb.step)
    script.hear(Climbed("B", (Climb("m1", Rung.HELD, at_ms, 2**63 - 1, "text"), Climb("m1", Rung.POSTED, at_ms))))
    words = [one for effect in script.effects if isinstance(effect, Save) for one in effect.records]
    found = [(one.at_ms - kept, one.after_ms) for one in words if isinstance(one, ClimbRung)]
    assert found in ([(0, 31 * DAY), (0, 0)], [(0, 31 * DAY), (1, 0)])


def test_upwards_whatever_comes_late() -> None:
    """A word that was overtaken, one that comes before the receipt, and one of somebody else."""
    assert after(ON_HOST, said(Rung.SEEN, 9), said(Rung.POSTED, 8)) == (Rung.SEEN, "")
    assert after(said(Rung.POSTED), ON_HOST) == (Rung.POSTED, "")
    assert after(said(Rung.SEEN), MoveRung("m1", Rung.ACCEPTED, 60)) == (Rung.SEEN, "")
    assert after(ON_HOST, said(Rung.SEEN, dst="C")) == (Rung.ON_HOST, "")


def test_held_and_given_are_one_height() -> None:
    """Of these the later counts, by the receiver's own clock."""
    assert after(ON_HOST, said(Rung.HELD, 1, reason="busy"), said(Rung.POSTED, 2)) == (Rung.POSTED, "")
    assert after(ON_HOST, said(Rung.POSTED, 2), said(Rung.HELD, 1, reason="busy")) == (Rung.POSTED, "")
    assert after(ON_HOST, said(Rung.HELD, 1, reason="busy"), said(Rung.HELD, 2, reason="asking"))[1] == "asking"


def test_a_session_is_named_in_the_thread() -> None:
    """`--session` is the thread; with `--via text` it is to be typed only, and no channel is asked for."""
    value = fleet("A", "B")
    members = [value.roster.members[1]]
    assert named(value, members, "", "talk", Channel.HTTP) == ("talk", Channel.HTTP)
    assert named(value, members, "Work", "", None) == ("work", None)
    assert named(value, members, "work", "", Channel.HTTP) == ("work", Channel.HTTP)
    assert named(value, members, "work", "", Channel.TEXT) == ("text:work", None)


@pytest.mark.parametrize(
    ("session", "thread", "via"),
    [("", "", Channel.TEXT), ("a b", "", None), ("../x", "", None), ("work", "talk", None)],
)
def test_what_names_no_session_is_an_error(session: str, thread: str, via: Channel | None) -> None:
    """Text without a session, a name that is none, a session and another thread."""
    value = fleet("A", "B")
    with pytest.raises(FleetError) as refused:
        named(value, [value.roster.members[1]], session, thread, via)
    assert refused.value.code == "usage.session"
