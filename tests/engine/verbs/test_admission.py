"""How a machine leaves, and what it is told: nothing is given up in silence, and who does not know is named."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from engine.clock import SystemClock
from engine.config import Config
from engine.model.story import Left
from engine.security.roster import found
from engine.signals import Posted, RosterMade
from engine.state import Fleet, Me
from engine.verbs import admission
from engine.verbs.admission import Admission, parted
from tests.engine.parts import KEYS, ROSTER, B, entropy

FRESH = found(KEYS["b"], "b", "home", 1, entropy)
MEMBER = Fleet(Me(B, "b-2", 1, "0"), Config(), ROSTER)


class Node:
    """A loop and hands in one: everything is durable at once; `heard`: whether an admin answers."""

    def __init__(self, fleet: Fleet, heard: bool) -> None:
        self.fleet = self.visible = fleet
        self.heard, self.posted = heard, list[str]()

    def ticket(self) -> tuple[int, "asyncio.Future[str]"]:
        future = asyncio.get_running_loop().create_future()
        future.set_result("id")
        return 1, future

    def post(self, signal: Posted | RosterMade) -> None:
        self.posted.append(
            f"to {self.fleet.name_of(signal.envelope.dst)}" if isinstance(signal, Posted) else signal.why
        )

    async def until(self, holds: Callable[[Fleet], bool]) -> None:
        assert holds(self.fleet)
        if not self.heard:
            await asyncio.Event().wait()


async def leaves(node: Any) -> Left:
    async def reach(_: Any) -> tuple[str, ...]:
        return ()

    return await Admission(node, node, KEYS["b"], SystemClock(), reach).leave(FRESH)


async def test_what_is_given_up_is_counted_and_who_was_not_told_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin is away: it goes on listing this machine, and only a person can tell it."""
    monkeypatch.setattr(admission, "GOODBYE_S", 0)
    node = Node(replace(MEMBER, mail=replace(MEMBER.mail, waiting=2)), heard=False)
    left = await leaves(node)
    assert node.posted == ["to a", "left the fleet"]
    assert (left.name, left.given_up, left.untold) == ("b-2", 2, "a")
    assert left.story == (
        f"This machine has left {ROSTER.fleet_name}; it is b again, alone in a new fleet called home. 2 messages that "
        "waited were given up (`fleet messages --rung dead`). a has not confirmed the goodbye and may still count it "
        "as a member: `fleet revoke b-2` there puts it out, for good."
    )


async def test_a_goodbye_that_was_confirmed_is_no_news() -> None:
    """Only where it is now is told; in the singular where one message waited."""
    left = await leaves(Node(MEMBER, heard=True))
    assert left.untold == ""
    assert left.story.endswith("it is b again, alone in a new fleet called home.")
    assert "it is alone in" in parted(replace(left, name="b"), FRESH).story
    assert "1 message that waited was given up" in parted(replace(left, given_up=1), FRESH).story


async def test_who_was_revoked_has_nobody_to_tell() -> None:
    """No admin takes anything from it, and it is no member there."""
    members = tuple(replace(one, revoked_ms=1) if one.id == B else one for one in ROSTER.members)
    node = Node(replace(MEMBER, roster=replace(ROSTER, members=members)), heard=False)
    assert (await leaves(node)).untold == ""
    assert node.posted == ["left the fleet"]
