"""Links that work one way, in a row, or not at all any more (faults.md, rows 34, 35, 37 and 39)."""

import time
from contextlib import ExitStack

import pytest

from engine.model.envelope import OPEN_LIMIT, RESERVED, Urgency
from tests.e2e.node import Node
from tests.e2e.until import until
from tests.faults.cuts import apart, one_way
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab
from tests.faults.scale import scaled

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "nft")]

# Longer than the ten seconds after which a peer that is really gone would be called so.
MISSED_S = 14.0


def standings(nodes: list[Node]) -> set[str]:
    """How everybody sees everybody."""
    return {peer["standing"] for node in nodes for peer in node.status()["peers"]}


def arrivals(node: Node) -> list[str]:
    """The ids of what came, as it came."""
    found: list[str] = []
    before = 0
    while True:
        page = node.api.get("/messages", dir="in", before=before, limit=500)
        found += [line["id"] for line in page["lines"]]
        if not (before := page["next"]):
            return found[::-1]


def test_one_way(lab: Lab[Bridge]) -> None:
    """atlas cannot reach birch, birch can reach atlas: mail goes both ways by way of cedar, its receipts too, while the
    cut lasts, and nobody is declared gone by anybody."""
    atlas, birch, cedar = lab.nodes
    with lab.case() as books:
        with lab.fabric.cut(one_way(lab.place(atlas), lab.place(birch))):
            seen, ids, ends = set(), [], time.monotonic() + MISSED_S
            while time.monotonic() < ends:
                ids += [books.post(atlas, birch), books.post(birch, atlas)]
                seen |= standings(lab.nodes)
                time.sleep(0.2)
            stories = books.proved(ids)
            seen |= standings(lab.nodes)
        assert seen <= {"ALIVE", "SUSPECT"}
        assert {story["channel"] for story in stories} >= {"relay"}
        assert atlas.peer("birch")["standing"] == "ALIVE"
        assert not [letter for letter in cedar.letters() if letter["id"] in ids]


def test_a_row_of_three(lab: Lab[Bridge]) -> None:
    """atlas and birch have no link, cedar reaches both: mail goes by way of cedar, and the story says so."""
    atlas, birch, _ = lab.nodes
    with lab.case() as books:
        with lab.fabric.cut(apart(lab.place(atlas), lab.place(birch))):
            stories = books.proved([books.post(*pair) for pair in ((atlas, birch), (birch, atlas)) for _ in range(10)])
        assert {story["channel"] for story in stories} == {"relay"}
        assert all("cedar" in story["story"] for story in stories)
        assert standings(lab.nodes) == {"ALIVE"}


def test_a_peer_that_vanished(lab: Lab[Bridge]) -> None:
    """birch's cable is dead and no connection was closed: what is sent waits, is never said to be delivered, and
    arrives once the cable carries again, the hedges and retries of the meantime notwithstanding."""
    atlas, birch, cedar = lab.nodes
    with lab.case() as books:
        with lab.fabric.unplugged(lab.place(birch)):
            ids = [books.post(here, birch) for here in (atlas, cedar) for _ in range(10)]
            ids += [books.post(birch, there) for there in (atlas, cedar)]
            until(lambda: atlas.peer("birch")["standing"] != "ALIVE", "birch to be missed")
            assert {books.accepted[one][0].rung(one) for one in ids} == {"accepted"}
            assert books.send(atlas, cedar)["channel"] in ("nats", "http")
        books.proved(ids)


def test_nothing_works_and_much_waits(lab: Lab[Bridge]) -> None:
    """birch is cut off from everybody while thousands wait for it: with the links back each is delivered once, what is
    urgent first, and nothing is sent again and again."""
    atlas, birch, cedar = lab.nodes
    with lab.case() as books:
        with ExitStack() as cuts:
            for other in (atlas, cedar):
                cuts.enter_context(lab.fabric.cut(apart(lab.place(other), lab.place(birch))))
            until(lambda: atlas.peer("birch")["standing"] != "ALIVE", "birch to be missed")
            many = books.bulk(atlas, birch, scaled(1_600, 5_000), "x" * 200)
            urgent = [books.post(atlas, birch, "urgent", urgency=Urgency.URGENT) for _ in range(5)]
            healed_ms = time.time() * 1000
        books.hold()
        order = [one for one in arrivals(birch) if one in books.accepted]
        late = [order.index(one) for one in urgent]
        # They have numbers at once, whatever waits; batches of some hundred are under way at once.
        assert max(late) < OPEN_LIMIT - RESERVED < len(order), f"urgent ones came as numbers {late} of {len(order)}"
        tries = [one for msg_id in many[::5] for one in atlas.api.why(msg_id)["tries"] if one["at"] >= healed_ms]
        # Real machines under load answer a relay's copy late, and the direct one is already on its way; how few it
        # takes where only the network is slow is held by the simulator (tests/sim/test_outage.py).
        assert len(tries) <= 2 * len(many[::5]), "nothing is sent again and again"
