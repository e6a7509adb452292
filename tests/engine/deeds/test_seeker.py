"""The seeker calls what shows itself under a missed member's id, and believes its key alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from immutables import Map

from engine.config import Config, DiscoveryConfig
from engine.deeds.seeker import Seeker, missed
from engine.membership import discovery_mdns
from engine.membership.discovery import MDNS, Sighting
from engine.model.peer import Peer, Standing
from engine.model.roster import Address, Roster
from engine.signals import Detoured
from engine.state import Fleet
from tests.engine.script import fleet
from tests.nodes import LOOPBACK, Node

OUTWARD = (Address("10.1.2.3", http=1),)


class Loop:
    """A value that stands still, and what was said to it."""

    def __init__(self, value: Fleet) -> None:
        self.fleet = value
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.post = self.told.put_nowait

    async def until(self, holds: Any) -> None:
        """Never: nobody moves it."""
        await asyncio.get_running_loop().create_future()


@pytest.fixture
async def there() -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes with keys."""
    nodes = Node(1), Node(2)
    yield nodes
    for node in nodes:
        await node.close()


def missing(member: Node, *, at: int = 9) -> Fleet:
    """Who misses a node that said it listens on a port of this machine."""
    value = fleet("A")
    members = (*value.roster.members, member.member(Address(LOOPBACK, http=at)))
    away = Map({member.id: Peer(member.id, Standing.UNREACHABLE)})
    roster: Roster = msgspec.structs.replace(value.roster, members=members)
    return msgspec.structs.replace(
        value, roster=roster, peers=away, me=msgspec.structs.replace(value.me, addresses=OUTWARD)
    )


@pytest.mark.parametrize("honest", [True, False])
async def test_the_key_is_believed(there: tuple[Node, Node], honest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member's own key makes a way to it; another one under its id makes nothing, not even a failure of a channel."""
    member, other = there
    port = (member if honest else other).port()
    await port.rebind((LOOPBACK,))
    seen = Sighting("x", LOOPBACK, MDNS, node=member.id, hosts=(LOOPBACK,), port=port.port)

    async def sightings(*asked: Any) -> list[Sighting]:
        return [seen, msgspec.structs.replace(seen, node="nobody"), msgspec.structs.replace(seen, hosts=())]

    monkeypatch.setattr(discovery_mdns, "sightings", sightings)
    loop = Loop(missing(member))
    seeker = Seeker(loop, beside=LOOPBACK.__eq__)  # type: ignore[arg-type]
    await seeker.look()
    if honest:
        assert await loop.told.get() == Detoured(member.id, Address(LOOPBACK, http=port.port))
        # It is missed still: what was found led nowhere, and is looked for anew.
        await seeker.look()
        assert await loop.told.get() == Detoured(member.id, None)
        assert await loop.told.get() == Detoured(member.id, Address(LOOPBACK, http=port.port))
        await seeker._end(member.id)
        assert await loop.told.get() == Detoured(member.id, None)
    await asyncio.gather(*seeker._calls.values())
    assert loop.told.empty()
    await port.close()


async def test_nobody_beyond_our_networks_is_called(there: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """mDNS does not reach beyond them: who names such a place has a stranger called."""
    member, _ = there
    port = member.port()
    await port.rebind((LOOPBACK,))

    async def sightings(*asked: Any) -> list[Sighting]:
        hosts = (LOOPBACK, "0.0.0.0", "169.254.169.254", "example.org", "255.255.255.255", "::1")
        return [Sighting("x", LOOPBACK, MDNS, node=member.id, hosts=hosts, port=port.port)]

    monkeypatch.setattr(discovery_mdns, "sightings", sightings)
    loop = Loop(missing(member))
    seeker = Seeker(loop)  # type: ignore[arg-type]
    await seeker.look()
    await asyncio.gather(*seeker._calls.values())
    assert loop.told.empty()
    await port.close()


async def test_where_it_is_known_to_be_it_is_not_called(
    there: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channels call it there themselves."""
    member, _ = there
    port = member.port()
    await port.rebind((LOOPBACK,))

    async def sightings(*asked: Any) -> list[Sighting]:
        return [Sighting("x", LOOPBACK, MDNS, node=member.id, hosts=(LOOPBACK,), port=port.port)]

    monkeypatch.setattr(discovery_mdns, "sightings", sightings)
    loop = Loop(missing(member, at=port.port))
    seeker = Seeker(loop, beside=LOOPBACK.__eq__)  # type: ignore[arg-type]
    await seeker.look()
    await asyncio.gather(*seeker._calls.values())
    assert loop.told.empty()
    await port.close()


def test_who_is_missed(there: tuple[Node, Node]) -> None:
    """Those that are away; nobody where the person wants no mDNS, or where no network reaches us."""
    value = missing(there[0])
    assert missed(value) == {there[0].id}
    assert not missed(msgspec.structs.replace(value, me=msgspec.structs.replace(value.me, addresses=())))
    assert not missed(msgspec.structs.replace(value, config=Config(discovery=DiscoveryConfig(mdns=False))))
