"""Gossip packets: bounded, never an amplifier, and deaf to garbage."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.membership import gossip
from engine.membership.packet import (
    PACKET_LIMIT,
    QUESTION_FLOOR,
    RUMOUR_LIMIT,
    Ack,
    Claim,
    Nack,
    Packet,
    Ping,
    PingReq,
    Rumour,
    bare_size,
    decode,
    decode_rumour,
    encode,
    encode_rumour,
    laden,
    rumours_of,
)

ME, YOU = "mmmmmmmmmmmmmmmm", "yyyyyyyyyyyyyyyy"
IDS = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=16, max_size=16)
RUMOURS = st.builds(Rumour, st.sampled_from(Claim), IDS, st.integers(0, 2**40), IDS)
PACKETS: list[Packet] = [Ping(ME, 1, 2, YOU), PingReq(ME, 1, 2, YOU), Ack(ME, 1, 2), Nack(ME, 1, 2)]


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: type(packet).__name__)
def test_a_packet_survives_the_wire(packet: Packet) -> None:
    """What is sent is what arrives; only padding is added."""
    came = decode(encode(packet))
    assert came is not None
    assert msgspec.structs.replace(came, pad=b"") == packet if isinstance(came, Ping | PingReq) else came == packet


@given(st.lists(RUMOURS, max_size=60))
def test_a_laden_packet_is_bounded(rumours: list[Rumour]) -> None:
    """However much there is to tell, a packet has at most 1,200 bytes, and what is in it can be read again."""
    news = gossip.News()
    for rumour in rumours:
        news = gossip.learn(news, rumour)
    question = Ping(ME, 2**40, 2**31, YOU)
    picked, _ = gossip.pick(news, PACKET_LIMIT - bare_size(question), 100)
    data = encode(laden(question, picked))
    came = decode(data)
    assert QUESTION_FLOOR <= len(data) <= PACKET_LIMIT
    assert came is not None
    assert {encode_rumour(one) for one in rumours_of(came)} == set(picked)


def test_the_smallest_question_has_room_for_the_largest_bare_answer() -> None:
    """A question is padded, so that every honest answer fits into its size."""
    longest = "z" * 64
    assert len(encode(Ping("a", 0, 0, "b"))) == QUESTION_FLOOR
    assert len(encode(Ack(longest, 2**61, 2**61))) <= QUESTION_FLOOR
    assert len(encode(Nack(longest, 2**61, 2**61))) <= QUESTION_FLOOR


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    """Whatever the bytes, decoding gives a packet or None, and never raises."""
    came = decode(data)
    if came is not None:
        rumours_of(came)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode(Ping(ME, 1, 2, YOU)) + bytes(PACKET_LIMIT),
        msgspec.msgpack.encode([9, ME, 1, 2, YOU]),
        msgspec.msgpack.encode([1, ME, -1, 2, YOU]),
        msgspec.msgpack.encode([1, ME, 2**63, 2, YOU]),
        msgspec.msgpack.encode([1, "x" * 65, 1, 2, YOU]),
        msgspec.msgpack.encode([1, "", 1, 2, YOU]),
        msgspec.msgpack.encode({"src": ME}),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    """Too long, an unknown kind, numbers and names out of bounds, another shape."""
    assert decode(data) is None


def test_unknown_trailing_fields_are_ignored() -> None:
    """A later version may say more in a packet that this one understands."""
    assert decode(msgspec.msgpack.encode([4, ME, 1, 2, "more", {"and": "more"}])) == Nack(ME, 1, 2)


def test_one_bad_rumour_spoils_the_gossip_and_not_the_packet() -> None:
    """The question is answered; nothing of what it tells is believed."""
    good = encode_rumour(Rumour(Claim.SUSPECT, YOU, 1, ME))
    bad = msgspec.msgpack.encode([7, YOU, 1, ME])
    assert decode_rumour(bad) is None
    came = decode(encode(laden(Ping(ME, 1, 2, YOU), [good, bad])))
    assert came is not None
    assert rumours_of(came) == ()


def test_no_more_rumours_are_read_than_are_sent() -> None:
    """A packet stuffed with tiny rumours is read up to the limit."""
    tiny = encode_rumour(Rumour(Claim.ALIVE, "a", 1))
    came = decode(encode(laden(Ping(ME, 1, 2, YOU), [tiny] * 100)))
    assert came is not None
    assert len(rumours_of(came)) == RUMOUR_LIMIT
