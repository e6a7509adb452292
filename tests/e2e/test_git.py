"""P7 between real nodes: a git hub is all that is left between them, and mail and its receipts pass."""

from collections.abc import Iterator

import pytest

from engine.transports.git.refs import ref
from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node
from tests.e2e.until import until
from tests.hubs import Hub

pytestmark = [pytest.mark.slow, pytest.mark.needs("git")]

OTHERS = ("nats", "http", "relay")


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.end()


@pytest.fixture(scope="module")
def pair(fleet_of: FleetOf, hub: Hub) -> list[Node]:
    nodes = fleet_of(
        2, FLEET_GIT_HUB=hub.url, FLEET_GIT_POLL_S="0.5", FLEET_GIT_EAGER_S="0.5", FLEET_SSH_ENABLED="false"
    )
    for node in nodes:
        until(lambda node=node: knows_the_hub(node), f"{node.name} to know that the hub leads to the others")
    return nodes


def knows_the_hub(node: Node) -> bool:
    return all(one["channels"].get("git") not in (None, "ABSENT") for one in node.status()["peers"])


def hold(nodes: list[Node], *, off: bool = False) -> None:
    """Keep all but git out of the cascades of both."""
    for node, other in ((nodes[0], nodes[1]), (nodes[1], nodes[0])):
        for channel in OTHERS:
            node.must("hold", other.name, channel, *(["--off"] if off else []))


def proved_by_git(here: Node, there: Node) -> bool:
    """Send one by git; whether its proof came by git, too. A held channel is probed still, and the answer to a probe
    proves whatever it finds."""
    sent = here.must("send", there.name, f"by git from {here.name}", "--via", "git", "--wait", "on_host")
    assert sent["rung"] == "on_host"
    story = here.ended(sent["id"])
    assert ("git", "landed") in [(one["channel"], one["outcome"]) for one in story["tries"]]
    return f"It is on {there.name}'s disk, proved over P7 git." in story["story"]


def test_mail_and_receipts_over_git_alone(pair: list[Node], hub: Hub) -> None:
    """With every other channel held on both sides a message is on its host, once, and the proof came back over git;
    the story says so, the channel is well, and nothing stays at the hub."""
    atlas, birch = pair
    hold(pair)
    for here, there in ((atlas, birch), (birch, atlas)):
        until(lambda here=here, there=there: proved_by_git(here, there), "a proof that came over git")
        until(lambda here=here, there=there: here.peer(there.name)["channels"]["git"] == "HEALTHY", "git to be well")
    many = ({"to": "birch", "payload": {"body": f"many {number}"}, "any": True} for number in range(200))
    assert len(list(atlas.api.stream(many))) == 200
    until(lambda: atlas.status()["outbox"]["waiting"] == 0, "all of them on their host", 80.0)
    came = birch.bodies()
    assert all(came[f"many {number}"] == 1 for number in range(200))
    hold(pair, off=True)
    until(lambda: atlas.sees(birch), "the others to be used again")
    until(lambda: not hub.refs(), "nothing to be left at the hub")
    assert "git" not in {channel for _, channel in birch.refusals()}


def test_a_revoked_member_is_not_heard_there(pair: list[Node], hub: Hub) -> None:
    """What lies at the hub in a revoked node's name stays there, unread; what lies there for it is taken back."""
    atlas, birch = pair
    me, gone = birch.peer("atlas")["id"], atlas.peer("birch")["id"]
    atlas.must("revoke", "birch", "--yes")
    birch.down()
    letter = hub.commit(hub.tree(f"100644 blob {hub.blob(b'let me in')}\t00000001"))
    hub.force(me, gone, letter)
    for _ in range(2):
        hub.force(gone, me, letter)
        until(lambda: ref(gone, me) not in hub.refs(), "atlas to have looked")
    assert hub.refs() == {ref(me, gone): letter}
    assert "git" not in {channel for _, channel in atlas.refusals()}
