"""The gossip socket, with real sockets on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise

import pytest
import pytest_asyncio

from engine.errors import FleetError
from engine.membership.datagram import BAD_A_WINDOW, BURST, GOOD_A_WINDOW, Datagrams
from engine.security.gossip import DATAGRAM_LIMIT, GossipSeal
from engine.signals import DatagramCame, Rejected, Signal

KEY, OTHER = b"k" * 32, b"o" * 32
HERE = "127.0.0.1"


class Ear:
    """What a socket told, and a way to wait for more."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._woken = asyncio.Event()

    def __call__(self, signal: Signal) -> None:
        self.heard.append(signal)
        self._woken.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._woken.clear()
            await asyncio.wait_for(self._woken.wait(), 10)

    @property
    def packets(self) -> list[bytes]:
        return [signal.packet for signal in self.heard if isinstance(signal, DatagramCame)]

    @property
    def refused(self) -> int:
        return sum(signal.count for signal in self.heard if isinstance(signal, Rejected))


Made = tuple[Datagrams, Ear]


@pytest_asyncio.fixture
async def made() -> AsyncIterator[Callable[..., Awaitable[Made]]]:
    opened: list[Datagrams] = []

    async def make(*keys: bytes, host: str = HERE) -> Made:
        ear = Ear()
        datagrams = Datagrams(GossipSeal(keys or (KEY,)), ear)
        await datagrams.bind(host, 0)
        opened.append(datagrams)
        return datagrams, ear

    yield make
    for datagrams in opened:
        datagrams.close()


Make = Callable[..., Awaitable[Made]]


async def test_a_packet_arrives_with_its_source(made: Make) -> None:
    """Payload, host and port are told; the tag is gone."""
    a, _ = await made()
    b, ear = await made()
    a.send(HERE, b.port, b"hello")
    await ear.until(lambda: bool(ear.heard))
    assert ear.heard == [DatagramCame(b"hello", HERE, a.port)]


async def test_what_carries_no_tag_of_the_fleet_is_refused_and_counted(made: Make) -> None:
    """Another fleet's key, no tag, a truncated and an oversized datagram: none is heard, each is counted."""
    stranger, _ = await made(OTHER)
    b, ear = await made()
    stranger.send(HERE, b.port, b"hello")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        for data in (b"", b"\x01", b"plain", GossipSeal((KEY,)).wrap(b"x")[:-1], bytes(DATAGRAM_LIMIT + 1)):
            raw.sendto(data, (HERE, b.port))
    await ear.until(lambda: ear.refused == 6)
    assert not ear.packets


async def test_keys_are_changed_under_way(made: Make) -> None:
    """From `trust` on the new key is used and the old one no longer accepted."""
    a, _ = await made()
    b, ear = await made(OTHER)
    a.send(HERE, b.port, b"old")
    a.trust(GossipSeal((OTHER,)))
    a.send(HERE, b.port, b"new")
    await ear.until(lambda: bool(ear.packets) and ear.refused == 1)
    assert ear.packets == [b"new"]


async def test_a_taken_port_is_passed_over(made: Make) -> None:
    """The next free one is taken, and said."""
    a, _ = await made()
    b = Datagrams(GossipSeal((KEY,)), Ear())
    await b.bind(HERE, a.port)
    assert b.port not in (0, a.port)
    b.close()


async def test_binding_again_keeps_the_port(made: Make) -> None:
    """From loopback to every interface, peers need not learn another port."""
    a, ear = await made()
    port = a.port
    await a.bind("0.0.0.0", port)
    assert a.port == port
    b, _ = await made()
    b.send(HERE, port, b"still here")
    await ear.until(lambda: bool(ear.packets))


async def test_a_copy_in_a_program_that_starts_does_not_move_it(made: Make) -> None:
    """Whatever is started holds a copy of every socket until it runs; the port is worth that moment."""
    a, _ = await made()
    port = a.port
    assert a._socket is not None
    copy = a._socket.dup()
    asyncio.get_running_loop().call_later(0.03, copy.close)
    await a.bind("0.0.0.0", port)
    assert a.port == port


async def test_an_address_that_is_not_ours_is_an_error(made: Make) -> None:
    """The error names the address and what to set."""
    with pytest.raises(FleetError) as caught:
        await made(host="203.0.113.7")
    assert caught.value.code == "node.gossip"
    assert "203.0.113.7" in caught.value.detail


async def test_what_cannot_be_sent_is_lost_and_nothing_else(made: Make) -> None:
    """No route, no port, too large, no key, closed: gossip loses datagrams."""
    a, _ = await made()
    a.send("203.0.113.300", 1, b"x")
    a.send("::1", a.port, b"x")
    a.send(HERE, 0, b"x")
    a.send(HERE, a.port, bytes(DATAGRAM_LIMIT))
    a.trust(GossipSeal(()))
    a.send(HERE, a.port, b"x")
    a.close()
    a.close()
    a.send(HERE, a.port, b"x")


async def test_a_name_is_resolved_beside_the_loop(made: Make) -> None:
    """The first packets to a name are lost; the loop never waits for a resolver."""
    a, _ = await made()
    b, ear = await made()
    while not ear.packets:
        a.send("localhost", b.port, b"hello")
        await asyncio.sleep(0.01)
    assert ear.heard[0] == DatagramCame(b"hello", HERE, a.port)


async def test_both_families_on_one_socket(made: Make) -> None:
    """A node that listens on IPv6 hears and reaches IPv4 peers by their plain addresses."""
    try:
        six, ear = await made(host="::")
    except FleetError:
        pytest.skip("this machine has no IPv6")
    four, heard = await made()
    four.send(HERE, six.port, b"to six")
    await ear.until(lambda: bool(ear.packets))
    assert ear.heard == [DatagramCame(b"to six", HERE, four.port)]
    six.send(HERE, four.port, b"to four")
    await heard.until(lambda: bool(heard.packets))


def flood(port: int, data: bytes, number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        for _ in range(number):
            raw.sendto(data, (HERE, port))


async def test_a_flood_is_taken_in_slices(made: Make) -> None:
    """However much waits, at most a burst is taken before the rest of the loop has its turn."""
    b, ear = await made()
    flood(b.port, GossipSeal((KEY,)).wrap(b"x"), 2 * BURST)
    between: list[int] = []

    async def watch() -> None:
        while len(ear.packets) < 2 * BURST and len(between) < 100_000:
            between.append(len(ear.packets))
            await asyncio.sleep(0)

    await asyncio.wait_for(watch(), 20)
    steps = [later - earlier for earlier, later in pairwise(between)]
    assert max(steps) <= BURST


@pytest.mark.parametrize(("key", "limit"), [(KEY, GOOD_A_WINDOW), (OTHER, BAD_A_WINDOW)], ids=["good", "bad"])
async def test_a_flood_has_a_share_of_the_time(made: Make, key: bytes, limit: int) -> None:
    """Beyond the share of a window the socket is left alone until the next one, and then read again."""
    b, ear = await made()
    b._window_ends = asyncio.get_running_loop().time() + 3_600
    data = GossipSeal((key,)).wrap(b"x")
    while b._good + b._bad < limit:
        flood(b.port, data, 32)
        await asyncio.sleep(0)
    taken = b._good + b._bad
    flood(b.port, data, 32)
    for _ in range(20):
        await asyncio.sleep(0)
    assert limit <= b._good + b._bad == taken
    b._window_ends = 0.0
    b._resume()
    await ear.until(lambda: len(ear.packets) > taken or b._bad > 0)
