"""Sending to several, sending too much, and looking at every channel: between real processes."""

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trio(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(3)


def test_one_message_to_several_is_a_group(trio: list[Node]) -> None:
    """Each copy has its own id and receipts, all have one name, and `why` tells how far each of them is."""
    atlas = trio[0]
    sent = atlas.must("send", "birch,cedar", "stop at noon", "-k", "broadcast", "--wait", "on_host", "--json")
    assert [one["rung"] for one in sent] == ["on_host", "on_host"]
    (group,) = {one["group"] for one in sent}
    told = atlas.must("why", group, "--json")
    assert told["story"] == "2 of 2 on host"
    assert [one["to"] for one in told["messages"]] == [one["to"] for one in sent]


def test_too_many_are_refused_as_a_whole(trio: list[Node]) -> None:
    """Beyond the limit of a kind nothing is accepted, for nobody; the answer says how long to wait."""
    atlas, birch, _ = trio
    for _ in range(30):
        atlas.post("birch", "mend yourself", type="repair")
    # A bucket fills while a slow machine sends.
    tries = (atlas.fleet("send", "all", f"extra {number}", "-k", "repair", "--json") for number in range(60))
    number, ran = next((number, ran) for number, ran in enumerate(tries) if ran.status)
    assert ran.status == 4
    assert ran.error["code"] == "refused.rate"
    assert 0 < float(ran.error["retry_after_s"]) <= 4
    assert f"extra {number}" not in birch.bodies() + trio[2].bodies()


def test_check_has_a_line_for_each_of_the_nine(trio: list[Node]) -> None:
    """Hot channels are measured, and of each other it is said why nothing was."""
    found = trio[0].must("check", "birch", "--json")
    assert list(found) == ["cloud", "nats", "http", "relay", "seed", "ssh", "wol", "git", "text"]
    assert {found[name]["outcome"] for name in ("nats", "http", "relay")} == {"confirmed"}
    assert all(one["ms"] is not None or one["reason"] for one in found.values())
