"""Packets that are dropped, not refused: nothing says no, so deadlines and heartbeats must."""

import asyncio

import pytest

from engine.model.channel import Verdict
from tests.contract.rigs import HttpRig, NatsRig
from tests.networks import drop, heal, in_own_network

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("nft", "ip")]

SHORT_S = 0.3
FOREVER_S = 30.0


def test_http_keeps_its_deadline_and_heals() -> None:
    """A kept line goes dead, and so do new calls: lost in time; once packets flow again so does mail."""

    async def story() -> None:
        rig = HttpRig()
        await rig.open()
        try:
            assert (await rig.sender.deliver(b"x", rig.target, 3.0)).verdict is Verdict.CONFIRMED
            drop(rig.target.addresses[0].http)
            async with asyncio.timeout(FOREVER_S):
                for _ in range(3):
                    outcome = await rig.sender.deliver(b"x", rig.target, SHORT_S)
                    assert outcome.verdict is Verdict.LOST
                    assert not outcome.hard
                heal()
                assert (await rig.sender.deliver(b"x", rig.target, 5.0)).verdict is Verdict.CONFIRMED
        finally:
            await rig.close()

    in_own_network(story)


def test_nats_notices_a_dead_route_and_heals() -> None:
    """The route between two brokers is cut: lost in time, then known to be gone at once; it comes back by itself."""

    async def story() -> None:
        rig = NatsRig()
        await rig.open()
        try:
            # Both doors: either broker may have called the other.
            drop(*(node.broker.ports.cluster for node in rig.nodes[:2]))
            async with asyncio.timeout(FOREVER_S):
                outcome = await rig.sender.deliver(b"x", rig.target, SHORT_S)
                assert outcome.verdict is Verdict.LOST
                while not outcome.hard:
                    outcome = await rig.sender.deliver(b"x", rig.target, SHORT_S)
                assert "no responders" in outcome.note
                heal()
                while (await rig.sender.deliver(b"x", rig.target, SHORT_S)).verdict is not Verdict.CONFIRMED:
                    pass
        finally:
            await rig.close()

    in_own_network(story)
