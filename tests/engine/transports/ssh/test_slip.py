"""Slips on a stream: whole however they are cut, and judged before they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.ssh.slip import ANSWER, BUSY, FRAMES, Garbled, Slip, SlipReader, packed

slips = st.builds(Slip, st.sampled_from([FRAMES, ANSWER, BUSY]), st.integers(0, 2**32 - 1), st.binary(max_size=300))


@given(st.lists(slips), st.integers(1, 64))
def test_they_come_out_as_they_went_in(sent: list[Slip], step: int) -> None:
    """However the stream is cut."""
    stream = b"".join(packed(one.kind, one.token, one.data or b"") for one in sent)
    reader = SlipReader(FRAMES, ANSWER, BUSY)
    heard = [slip for start in range(0, len(stream), step) for slip in reader.feed(stream[start : start + step])]
    assert heard == sent
    assert reader.partial == 0


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        packed(ANSWER, 1, b"x"),
        packed(9, 1, b"x"),
        packed(FRAMES, 1)[:-4] + (CARRIAGE_LIMIT + 1).to_bytes(4, "big"),
    ],
    ids=["http", "the wrong direction", "an unknown kind", "too large"],
)
def test_anything_else_ends_the_stream(stream: bytes) -> None:
    """Its head is enough; nothing of the rest is kept."""
    with pytest.raises(Garbled):
        list(SlipReader(FRAMES).feed(stream))


def test_room_is_given_back() -> None:
    """What finds no room is read to its end and told as such; afterwards all of the room is free."""
    room = [10]

    def claim(size: int) -> bool:
        if size > room[0]:
            return False
        room[0] -= size
        return True

    reader = SlipReader(FRAMES, claim=claim)
    stream = packed(FRAMES, 1, b"12345678") + packed(FRAMES, 2, bytes(11)) + packed(FRAMES, 3, b"90")
    heard = [slip for byte in stream for slip in reader.feed(bytes([byte]))]
    assert heard == [Slip(FRAMES, 1, b"12345678"), Slip(FRAMES, 2, None), Slip(FRAMES, 3, b"90")]
    assert room == [10]
    list(reader.feed(packed(FRAMES, 4, b"1234")[:-1]))
    assert room == [7]
    reader.forget()
    assert room == [10]
