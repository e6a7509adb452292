"""Mail between real processes: everything arrives, everything once, and what cannot be sent is said at once."""

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node
from tests.e2e.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trio(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(3)


def test_a_thousand_messages_each_way_arrive_once(trio: list[Node]) -> None:
    """1,000 messages in both directions at once: every one `on_host`, every one in the inbox once."""
    atlas, birch, _ = trio
    there = "".join(f"there {number}\n" for number in range(1_000))
    back = "".join(f"back {number}\n" for number in range(1_000))
    going = atlas.spawn("send", "birch", "--stdin", "--wait", "on_host", "--json")
    coming = birch.fleet("send", "atlas", "--stdin", "--wait", "on_host", stdin=back)
    out, _ = going.communicate(there, 100)
    assert going.returncode == coming.status == 0
    assert [story["rung"] for story in coming.values] == ["on_host"] * 1_000
    assert out.count('"rung": "on_host"') == 1_000
    for node, word in ((birch, "there"), (atlas, "back")):
        came = {body: count for body, count in node.bodies().items() if body.startswith(word)}
        assert came == {f"{word} {number}": 1 for number in range(1_000)}
    assert atlas.status()["outbox"]["waiting"] == birch.status()["outbox"]["waiting"] == 0


def test_an_unknown_name_is_an_error_at_once(trio: list[Node]) -> None:
    """A message to a name that does not exist is refused, never queued, and the names that do exist are told."""
    atlas = trio[0]
    ran = atlas.fleet("send", "nobody", "hello")
    assert ran.status == 1
    assert ran.error["code"] == "unknown.recipient"
    assert ran.error["fault"] == "THEIRS"
    assert "birch, cedar" in ran.error["detail"]
    assert atlas.status()["outbox"]["waiting"] == 0


def test_a_message_to_a_stopped_peer_waits_and_arrives_once(trio: list[Node]) -> None:
    """While its peer is down a message stays `accepted`, survives a restart of the sender, and then arrives once."""
    atlas, birch, cedar = trio
    birch.down()
    kept = [atlas.post("birch", f"kept {number}", via="http")["id"] for number in range(3)]
    kept.append(cedar.post("birch", "kept 3")["id"])
    assert [atlas.rung(one) for one in kept[:3]] == ["accepted"] * 3
    assert atlas.status()["outbox"]["waiting"] == 3
    atlas.kill()
    atlas.up()
    assert [atlas.rung(one) for one in kept[:3]] == ["accepted"] * 3
    birch.up()
    until(lambda: all(atlas.rung(one) == "on_host" for one in kept[:3]), "the kept messages on their host")
    until(lambda: cedar.rung(kept[3]) == "on_host", "cedar's on its host")
    came = {body: count for body, count in birch.bodies().items() if body.startswith("kept")}
    assert came == {f"kept {number}": 1 for number in range(4)}
