"""A node killed at a named instruction (faults.md, rows 1 to 7): what was promised arrives, and nothing arrives twice.

`FLEET_CRASH_AT` kills the process with SIGKILL as it passes a place. Each test first proves from the dead node's own
database and from its partner that the death fell where its row says, and only then starts the node again.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.errors import FleetError
from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow

# Passes before the death. Pulses pass these places too, so a death may fall between two messages: then once more.
PASSES = (40, 47, 55, 62, 70, 77)


class Seen(NamedTuple):
    """What there is at the moment of death. `unanswered`: the message whose caller got an error, if any. `out`: rungs
    in the sender's outbox by body; `came`: bodies in the receiver's inbox."""

    unanswered: str
    out: dict[str, str]
    came: set[str]


def _open(seen: Seen) -> set[str]:
    """What the sender holds for unsettled."""
    return {body for body, rung in seen.out.items() if rung == "accepted"}


Proof = Callable[[Seen], bool]
SENDER: dict[str, Proof] = {
    "before_commit": lambda seen: seen.unanswered not in seen.out and seen.unanswered not in seen.came,
    "after_commit": lambda seen: seen.out.get(seen.unanswered) == "accepted" and seen.unanswered not in seen.came,
    "after_send": lambda seen: bool(_open(seen)),
    "before_mark": lambda seen: bool(_open(seen) & seen.came),
}
RECEIVER: dict[str, Proof] = {
    "before_commit": lambda seen: bool(_open(seen) - seen.came),
    "after_commit": lambda seen: bool(_open(seen) & seen.came),
    "before_ack": lambda seen: bool(_open(seen) & seen.came),
}


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(2)


@pytest.mark.parametrize("place", SENDER)
def test_the_sender_dies(duo: list[Node], place: str) -> None:
    """Rows 1 to 4: before its commit nothing was promised and nothing is sent; after it, whatever happens, the message
    arrives once."""
    atlas, birch = duo
    for passes in PASSES:
        promised, unanswered = _until_death(atlas, atlas, birch, place, passes)
        seen = _seen(atlas, birch, unanswered)
        _recovered(duo, promised)
        if SENDER[place](seen):
            break
    else:
        pytest.fail(f"no death fell where {place} is")
    came = birch.bodies()
    # What was on the disk when it died was a message, whether or not its caller heard of it; what was not, was none.
    assert (came[unanswered] == 1) == (unanswered in seen.out)


@pytest.mark.parametrize("place", RECEIVER)
def test_the_receiver_dies(duo: list[Node], place: str) -> None:
    """Rows 5 to 7: before its commit nothing was acknowledged and all of it comes again; after it, the number is known
    and only the receipt is given again."""
    atlas, birch = duo
    for passes in PASSES:
        promised, _ = _until_death(birch, atlas, birch, place, passes)
        seen = _seen(atlas, birch, "")
        _recovered(duo, promised)
        if RECEIVER[place](seen):
            break
    else:
        pytest.fail(f"no death fell where {place} is")


def test_a_place_that_does_not_exist_is_an_error(lone: Node) -> None:
    """A test that waits for a crash nobody causes would prove nothing: the name is checked."""
    ran = lone.fleet("up", env={"FLEET_CRASH_AT": "nowhere"})
    assert ran.status != 0
    assert "crash" in ran.error["detail"].lower() + ran.error["title"].lower()


def _until_death(victim: Node, sender: Node, receiver: Node, place: str, passes: int) -> tuple[list[str], str]:
    """Send until `victim` is dead: what was promised, and what was being sent when the sender itself died."""
    victim.down()
    victim.up(env={"FLEET_CRASH_AT": f"{place}:{passes}"})
    promised: list[str] = []
    for number in range(1_000):
        body = f"{victim.name} {place} {passes} {number}"
        try:
            sender.post(receiver.name, body)
        except FleetError:
            until(victim.died, f"{victim.name} to die")
            return promised, body
        promised.append(body)
        if victim is not sender and victim.died():
            return promised, ""
    pytest.fail(f"{victim.name} never passed {place} {passes} times")


def _seen(sender: Node, receiver: Node, unanswered: str) -> Seen:
    out = _read(sender, "SELECT b.body, o.rung FROM outbox AS o JOIN bodies AS b USING (row) WHERE o.kind = 'context'")
    came = _read(receiver, "SELECT b.body, '' FROM inbox AS i JOIN bodies AS b USING (row)")
    return Seen(unanswered, out, set(came))


def _read(node: Node, query: str) -> dict[str, str]:
    """Rows of a copy of its database: reading the original would already mend it."""
    with tempfile.TemporaryDirectory(prefix="fl", dir="/tmp") as folder:
        for path in node.home.glob("fleet.db*"):
            with suppress(FileNotFoundError):
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "fleet.db")) as database:
            return {body.decode(): rung for body, rung in database.execute(query)}


def _recovered(duo: list[Node], promised: list[str]) -> None:
    """Start whoever is dead; every promise is kept, once."""
    atlas, birch = duo
    for node in duo:
        if node.died():
            node.up()
    together(duo)
    until(lambda: atlas.status()["outbox"]["waiting"] == 0, "the outbox to empty")
    came = birch.bodies()
    assert [body for body in promised if came[body] != 1] == []
    assert set(came.values()) <= {1}
