"""Packets: what is asked for several times is read once, and what does not fit is refused each time."""

import msgspec
import pytest

from engine.errors import FleetError
from engine.model.envelope import Kind
from engine.model.packets import REMEMBERED_BYTES, Forward, Heartbeat, Receipt, pack, unpack


def test_a_heartbeat_is_decoded_once() -> None:
    """Whoever asks next has the same one; the same bytes of another kind are another packet."""
    body = pack(Heartbeat(1, "0.3"))
    assert unpack(Kind.HEARTBEAT, body) is unpack(Kind.HEARTBEAT, bytes(bytearray(body))) == Heartbeat(1, "0.3")
    assert unpack(Kind.RECEIPT, pack(Receipt())) == Receipt()


def test_a_wrapped_frame_is_not_kept() -> None:
    """It may be a megabyte."""
    body = pack(Forward("B", 1, bytes(REMEMBERED_BYTES)))
    assert unpack(Kind.FORWARD, body) == unpack(Kind.FORWARD, body)
    assert unpack(Kind.FORWARD, body) is not unpack(Kind.FORWARD, body)


@pytest.mark.parametrize("body", [b"", b"\xc1", pack(Heartbeat(1, "0.3"))])
def test_what_does_not_fit_is_refused_each_time(body: bytes) -> None:
    """An error is not remembered as a packet."""
    for _ in range(2):
        with pytest.raises(FleetError, match="Packet does not fit"):
            unpack(Kind.RECEIPT, body)


@pytest.mark.parametrize(
    "said",
    [
        {"ways": {"seats": [{"session": "work", "state": "x" * 640_000}]}},
        {"ways": {"seats": [{"session": "work", "state": "idle\n"}]}},
        {"prekey": [1, bytes(640_000)]},
    ],
)
def test_no_part_of_a_heartbeat_is_without_end(said: dict[str, object]) -> None:
    """Every peer keeps it and shows it: a session's state is one word, a key has a key's size."""
    with pytest.raises(FleetError, match="Packet does not fit"):
        unpack(Kind.HEARTBEAT, msgspec.msgpack.encode({"sent_ms": 1, "version": "1", **said}))
