"""P3: a third node carries what two cannot give each other, at once or later, and the story says so."""

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow

DIRECT = ("nats", "http")


@pytest.fixture(scope="module")
def trio(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(3)


def hold(here: Node, there: Node, *, off: bool = False) -> None:
    """Keep the direct channels between two nodes out of the cascade, on both sides."""
    for one, other in ((here, there), (there, here)):
        for channel in DIRECT:
            one.must("hold", other.name, channel, *(["--off"] if off else []))


def test_a_third_node_carries(trio: list[Node]) -> None:
    """With both direct channels held on both sides, mail goes by way of cedar, both ways, each once; `why` names the
    relay, cedar's inbox holds none of it, and the peers never doubt each other."""
    atlas, birch, cedar = trio
    hold(atlas, birch)
    for here, there in ((atlas, birch), (birch, atlas)):
        story = here.send(there.name, f"around from {here.name}")
        assert story["channel"] == "relay"
        story = here.ended(story["id"])
        assert [(one["channel"], one["outcome"]) for one in story["tries"]] == [("relay", "landed")]
        assert "P3 relay took it" in story["story"]
        assert "cedar" in story["story"]
        assert f"It is on {there.name}'s disk, proved over P3 relay." in story["story"]
        assert there.bodies()[f"around from {here.name}"] == 1
        assert {line["channel"] for line in there.api.get("/messages", dir="in", limit=1)["lines"]} == {"relay"}
    stories = atlas.bulk("birch", (f"many {number}" for number in range(300)))
    assert len(stories) == 300
    until(lambda: atlas.status()["outbox"]["waiting"] == 0, "all of them on their host")
    came = {body: count for body, count in birch.bodies().items() if body.startswith("many")}
    assert came == {f"many {number}": 1 for number in range(300)}
    assert cedar.letters() == []
    assert cedar.status()["outbox"]["waiting"] == 0
    assert atlas.peer("birch")["standing"] == birch.peer("atlas")["standing"] == "ALIVE"
    hold(atlas, birch, off=True)
    assert atlas.send("birch", "straight again")["channel"] in DIRECT


def test_no_way_at_all(trio: list[Node]) -> None:
    """With every channel held a message stays accepted, says what it waits for, and leaves as soon as one is let go."""
    atlas, birch, _ = trio
    for channel in (*DIRECT, "relay"):
        atlas.must("hold", "birch", channel)
    sent = atlas.fleet("send", "birch", "held back", "--wait", "on_host", "--timeout", "1")
    assert sent.status == 5
    assert sent.value["rung"] == "accepted"
    assert sent.value["error"]["code"] == "timeout.rung"
    assert atlas.must("why", sent.value["id"])["rung"] == "accepted"
    for channel in (*DIRECT, "relay"):
        atlas.must("hold", "birch", channel, "--off")
    until(lambda: atlas.rung(sent.value["id"]) == "on_host", "it to leave")
    assert birch.bodies()["held back"] == 1


def test_via_means_that_channel_alone(trio: list[Node]) -> None:
    """`--via` takes one channel and no other; the answer names it."""
    atlas = trio[0]
    together(trio)
    for channel in (*DIRECT, "relay"):
        story = atlas.must("send", "birch", f"via {channel}", "--via", channel, "--wait", "on_host")
        assert story["channel"] == channel
        # A receipt that rode on another frame may be ahead of the try's own end, which is told a moment later.
        tries = until(lambda story=story: atlas.api.why(story["id"])["tries"], "the try to be told")
        assert {one["channel"] for one in tries} == {channel}


def test_stored_for_an_absent_peer_while_the_sender_goes_away(trio: list[Node]) -> None:
    """birch is down; atlas gives its mail to cedar and goes down too; birch starts and has it, from cedar, once; and
    atlas learns of it when it is back."""
    atlas, birch, cedar = trio
    birch.down()
    until(lambda: atlas.peer("birch")["standing"] != "ALIVE", "birch to be missed")
    sent = atlas.post("birch", "for later")["id"]
    until(lambda: ("relay", "landed") in _tries(atlas, sent), "cedar to take it")
    assert atlas.rung(sent) == "accepted"
    atlas.down()
    cedar.kill()  # what it took is on its disk
    cedar.up()
    birch.up()
    until(lambda: birch.bodies()["for later"], "it to arrive without its sender")
    assert [one["channel"] for one in birch.api.get("/messages", dir="in", limit=1)["lines"]] == ["relay"]
    atlas.up()
    until(lambda: atlas.rung(sent) == "on_host", "atlas to learn of it")
    together(trio)
    assert birch.bodies()["for later"] == 1
    until(lambda: cedar.status()["outbox"]["waiting"] == 0, "cedar to be done with it")


def _tries(node: Node, msg_id: str) -> list[tuple[str, str]]:
    return [(one["channel"], one["outcome"]) for one in node.api.why(msg_id)["tries"]]
