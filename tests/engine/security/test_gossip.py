"""Datagrams are heard under any key of the fleet's ring, and under no other."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FleetError
from engine.security import gossip
from engine.security.gossip import DATAGRAM_LIMIT, GossipSeal

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


@given(st.binary(min_size=1, max_size=1_400))
def test_a_packet_comes_back(packet: bytes) -> None:
    """What a member wraps, a member unwraps, and a stranger does not."""
    datagram = GossipSeal((NEW,)).wrap(packet)
    assert GossipSeal((OLD, NEW)).unwrap(datagram) == packet
    assert GossipSeal((OTHER,)).unwrap(datagram) is None


def test_every_byte_counts() -> None:
    """Any byte changed, or any tail cut off, and it is not heard."""
    ring = GossipSeal((NEW,))
    datagram = ring.wrap(b"ping 1")
    for at in range(len(datagram)):
        assert ring.unwrap(datagram[:at] + bytes([datagram[at] ^ 1]) + datagram[at + 1 :]) is None
        assert ring.unwrap(datagram[:at]) is None


@given(st.binary(max_size=DATAGRAM_LIMIT + 10))
def test_noise_is_not_heard(datagram: bytes) -> None:
    """Whatever arrives by UDP, the answer is None and never an exception."""
    assert GossipSeal((OLD, NEW)).unwrap(datagram) is None


def test_a_key_is_replaced_without_an_outage() -> None:
    """While a ring moves from (old) over (old, new) and (new, old) to (new), neighbouring steps hear each other."""
    steps = [GossipSeal(ring) for ring in ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,))]
    for before, after in pairwise(steps):
        assert after.unwrap(before.wrap(b"x")) == before.unwrap(after.wrap(b"x")) == b"x"
    assert steps[3].unwrap(steps[0].wrap(b"x")) is None


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key nothing is said or heard, and a packet has a largest size, at both ends."""
    with monkeypatch.context() as careless:
        careless.setattr(gossip, "DATAGRAM_LIMIT", 10 * DATAGRAM_LIMIT)
        large = GossipSeal((NEW,)).wrap(bytes(DATAGRAM_LIMIT))
        assert GossipSeal((NEW,)).unwrap(large)
    assert GossipSeal((NEW,)).unwrap(large) is None
    assert GossipSeal(()).unwrap(GossipSeal((NEW,)).wrap(b"x")) is None
    for ring, packet in (((), b"x"), ((NEW,), bytes(DATAGRAM_LIMIT))):
        with pytest.raises(FleetError) as caught:
            GossipSeal(ring).wrap(packet)
        assert caught.value.code == "trust.gossip"
