"""P1 is cut while mail flows: in silence, with a refusal, and again and again (faults.md, rows 31, 32 and 62)."""

import time
from contextlib import ExitStack

import pytest

from tests.e2e.node import Node
from tests.e2e.until import until
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab
from tests.faults.scale import scaled

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "nft")]

GAP_S = 1 / 20


def settled(here: Node, there: Node) -> None:
    """A few calm round trips, so that the first, with its handshake, is not the median."""
    for _ in range(4):
        here.api.post("/check", {"name": there.name})


def state(here: Node, there: Node, channel: str = "nats") -> str:
    """What a node thinks of a channel."""
    return str(here.api.get("/channels")[there.name][channel]["state"])


def test_dropped_under_twenty_messages_a_second(lab: Lab[Bridge]) -> None:
    """Packets vanish and nobody is told: another channel is started beside P1 at once and proves every message, P1 is
    found BROKEN within a few of them and then left alone, and is HEALTHY again by itself."""
    atlas, birch, _ = lab.nodes
    settled(atlas, birch)
    with lab.case() as books:
        with lab.fabric.cut(lab.p1(atlas, birch)):
            began, ids = time.monotonic(), []
            for number in range(60):
                time.sleep(max(0.0, began + number * GAP_S - time.monotonic()))
                ids.append(books.post(atlas, birch))
            stories = books.proved(ids)
            until(lambda: state(atlas, birch) in ("BROKEN", "HEALING"), "P1 to be found broken")
        assert {story["channel"] for story in stories} <= {"http", "relay"}
        over_p1 = [one for story in stories for one in story["tries"] if one["channel"] == "nats"]
        assert len(over_p1) <= len(stories) / 2, "a channel that is silent while another answers is left alone"


def test_refused(lab: Lab[Bridge]) -> None:
    """A firewall that answers with a reset: the next channel takes over at once, because P1 fails with a reason and not
    with a timeout."""
    atlas, birch, _ = lab.nodes
    settled(atlas, birch)
    with lab.case() as books:
        with lab.fabric.cut(lab.p1(atlas, birch)._replace(how="reset")):
            # The route between the brokers ends with the first packet that is refused.
            first = books.send(atlas, birch, "the one that finds out")
            stories = [books.send(atlas, birch) for _ in range(20)]
        assert {story["channel"] for story in [first, *stories]} <= {"http", "relay"}
        timeouts = [one for story in stories for one in story["tries"] if "no answer in" in one["note"]]
        assert not timeouts


def test_p1_that_flaps(lab: Lab[Bridge]) -> None:
    """P1 comes and goes every two seconds under a stream of mail: each message arrives once, and hardly any of them is
    sent more than once: no storm."""
    atlas, birch, _ = lab.nodes
    settled(atlas, birch)
    with lab.case() as books:
        cut, ids = lab.p1(atlas, birch), []
        for turn in range(scaled(6, 30)):
            with ExitStack() as flap:
                if turn % 2 == 0:
                    flap.enter_context(lab.fabric.cut(cut))
                for _ in range(20):
                    ids += books.bulk(atlas, birch, 4)
                    time.sleep(0.1)
        stories = books.proved(ids)
        tries = sum(len(story["tries"]) for story in stories)
        assert tries <= 1.3 * len(stories), f"{tries} tries of {len(stories)} messages"
