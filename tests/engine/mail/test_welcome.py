"""A greeting is answered once, by mail that is in no inbox, with an id that the greeter can wait for."""

import pytest

from engine import effects as e
from engine.mail import welcome
from engine.model.channel import Channel
from engine.model.envelope import ID_LIMIT, Kind
from engine.signals import Arrived
from tests.engine.script import Script, fleet, letter, parcel


def hello(seq: int = 1, msg_id: str = "m1") -> Arrived:
    """B's greeting."""
    return Arrived((parcel(msg_id, seq, kind=Kind.HELLO, body=welcome.HELLO),), Channel.NATS, token=7)


def test_a_greeting_is_kept_and_answered() -> None:
    """It is kept, and one of ours is on its way to its sender, both before the receipt."""
    script = Script(fleet("A", "B"))
    lines = script.hear(hello())
    assert any("inbox m1" in line for line in lines)
    assert any(f"deliver {welcome.answer_to('m1')} #1 to B over nats" == line for line in lines)
    answers = [one.envelope for one in script.effects if isinstance(one, e.Deliver)]
    assert [(one.kind, one.body) for one in answers] == [(Kind.HELLO, welcome.WELCOME)]


def test_the_answer_to_the_longest_id_can_be_read() -> None:
    """It has an id of its own that is no longer than any."""
    script = Script(fleet("A", "B"))
    longest = "m" * ID_LIMIT
    said = script.hear(hello(msg_id=longest))
    assert f"deliver {welcome.answer_to(longest)} #1 to B over nats" in said
    assert welcome.answer_to(longest) != longest


def test_the_same_greeting_again_is_not_answered_again() -> None:
    """A duplicate is receipted and nothing else."""
    script = Script(fleet("A", "B"))
    script.hear(hello())
    assert not [line for line in script.hear(hello()) if line.startswith("deliver m1")]


@pytest.mark.parametrize(
    "changes", [{"body": b"hello"}, {"kind": Kind.CONTEXT}, {"kind": Kind.SYNC}, {"body": welcome.WELCOME}]
)
def test_other_mail_is_not_answered(changes: dict[str, object]) -> None:
    """Only the one word of its own kind; its answer least of all, or two would greet each other for ever."""
    facts = {"kind": Kind.HELLO, "body": welcome.HELLO, **changes}
    assert not welcome.is_greeting(letter("m1", **facts))  # type: ignore[arg-type]
    lines = Script(fleet("A", "B")).hear(Arrived((parcel("m1", 1, **facts),), Channel.NATS, token=7))  # type: ignore[arg-type]
    assert not [line for line in lines if welcome.answer_to("m1") in line]
