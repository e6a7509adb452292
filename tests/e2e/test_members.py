"""Who comes in, who is put out, who goes and comes back: told to everybody, on both channels, and obeyed."""

import time
from collections.abc import Iterator

import pytest

from engine.errors import FleetError
from tests.e2e.conftest import FleetOf
from tests.e2e.forge import letter, posted, roster, sealed, stolen_keys, tapped
from tests.e2e.node import Node, start, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trio(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(3)


@pytest.fixture
def newcomer() -> Iterator[Node]:
    """A node that is up, alone."""
    node = Node("cedar")
    start([node])
    yield node
    node.end()


def test_a_code_is_good_once(trio: list[Node], newcomer: Node) -> None:
    """A code that was used, that has expired, that was changed, or that is none at all: refused with the reason, and
    the joiner stays what it was."""
    used = trio[0].must("invite")["code"]
    late = trio[0].must("invite", "--ttl", "1s")
    until(lambda: time.time() * 1_000 > late["expires_at"], "the code to expire")
    assert "expire" in _refused(newcomer, late["code"])["title"]
    middle = len(used) // 2
    _refused(newcomer, used[:middle] + ("a" if used[middle] != "a" else "b") + used[middle + 1 :])
    _refused(newcomer, "fleet1-nonsense")
    assert newcomer.status()["fleet"]["chief"] == newcomer.name
    other = Node("other")
    try:
        start([other])
        other.must("join", used)
        assert _refused(newcomer, used)["code"].startswith(("refused", "join"))
        assert newcomer.status()["peers"] == []
        other.must("leave")
    finally:
        other.end()
    until(lambda: trio[0].peer("other")["standing"] == "LEFT", "the other one to be gone")


def test_joining_starts_the_node(trio: list[Node]) -> None:
    """On the second machine the code is all there is to type."""
    other = Node("other")
    try:
        other.must("join", trio[0].must("invite")["code"])
        assert other.status()["fleet"]["chief"] == trio[0].name
        other.must("leave")
    finally:
        other.end()
    until(lambda: trio[0].peer("other")["standing"] == "LEFT", "the other one to be gone")


def _refused(node: Node, code: str) -> dict[str, str]:
    ran = node.fleet("join", code)
    assert ran.status in (1, 2, 4), ran
    return ran.error


def test_only_an_admin_invites_and_revokes(trio: list[Node]) -> None:
    """A worker is refused (exit 4) and told on which machine it can be done."""
    for argv in (("invite",), ("revoke", "cedar")):
        ran = trio[1].fleet(*argv)
        assert ran.status == 4
        assert ran.error["code"] == "refused.not_admin"
        assert "atlas" in ran.error["next_step"]


def test_leaving_and_coming_back(trio: list[Node]) -> None:
    """A node that leaves is a fleet of one, is written to by nobody, and comes back by a new code: mail flows as
    before, each message once."""
    atlas, birch, cedar = trio
    assert birch.must("leave")["peers"] == []
    for node in (atlas, cedar):
        until(lambda node=node: node.peer("birch")["standing"] == "LEFT", f"{node.name} to know")
    assert atlas.fleet("send", "birch", "to nobody").error["code"] == "unknown.recipient"
    assert birch.fleet("send", "atlas", "to nobody").error["code"] == "unknown.recipient"
    assert birch.fleet("leave").error["code"] == "usage.alone"
    birch.must("join", atlas.must("invite")["code"])
    together(trio)
    for here, there in ((atlas, birch), (birch, atlas), (cedar, birch)):
        here.send(there.name, f"again from {here.name}")
    assert birch.bodies()["again from atlas"] == birch.bodies()["again from cedar"] == 1
    assert atlas.bodies()["again from birch"] == 1


async def test_a_revoked_node_is_out(trio: list[Node], newcomer: Node) -> None:
    """Refused on HTTP and on NATS by everybody as soon as they know, which is at once; it learns of it; what waited for
    it is given up with the reason; it does not come back with the same keys, and a new machine may have its name."""
    atlas, birch, cedar = trio
    keys, book, cedar_id = stolen_keys(cedar), roster(birch), cedar.status()["node"]["id"]
    cedar.send("birch", "the last good one")
    for channel in ("nats", "http", "relay"):
        atlas.api.post("/hold", {"name": "cedar", "channel": channel})
    waiting = atlas.post("cedar", "never to arrive")["id"]
    atlas.api.post("/hold", {"name": "cedar", "channel": "nats", "held": False})
    atlas.api.post("/hold", {"name": "cedar", "channel": "http", "held": False})
    atlas.must("revoke", "cedar")

    until(lambda: "trust.revoked" in cedar.findings(), "cedar to learn of it")
    assert cedar.findings()["trust.revoked"]["severity"] == "critical"
    for node in (atlas, birch):
        until(lambda node=node: node.peer("cedar")["revoked"], f"{node.name} to know")
        envelope = letter(cedar_id, node.status()["node"]["id"], "from the outcast")
        before = node.refusals()
        posted(node, sealed(keys, book, envelope))
        async with tapped(node) as tap:
            await tap.say(sealed(keys, book, envelope))
        for channel in ("http", "nats"):
            until(
                lambda node=node, channel=channel, before=before: (
                    node.refusals()["revoked", channel] > before["revoked", channel]
                ),
                f"{node.name} to refuse it over {channel}",
            )
        assert "from the outcast" not in node.bodies()
        assert node.fleet("send", "cedar", "hello?").error["code"] == "unknown.recipient"
    assert atlas.rung(waiting) in ("dead", "on_host")
    ran = cedar.fleet("send", "birch", "let me in")
    assert ran.status == 4
    assert ran.error["code"] == "refused.revoked"

    cedar.must("leave")
    refused = cedar.fleet("join", atlas.must("invite")["code"])
    assert refused.status == 4
    assert refused.error["code"] == "refused.revoked"
    newcomer.must("join", atlas.must("invite")["code"])
    together([atlas, birch, newcomer])
    assert newcomer.send("birch", "the new cedar")["rung"] == "on_host"
    assert atlas.send("cedar", "welcome")["rung"] == "on_host"
    assert newcomer.bodies() == {"welcome": 1}


def test_the_last_admin_cannot_leave(trio: list[Node]) -> None:
    """A fleet that nobody could admit to any more is not made by a slip."""
    with pytest.raises(FleetError) as refused:
        trio[0].api.post("/leave", {})
    assert refused.value.code == "refused.last_admin"
