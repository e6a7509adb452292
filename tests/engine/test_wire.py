"""Frames keep their shape, lie end to end, and anything that is none is refused before it is parsed."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FleetError
from engine.model.envelope import BODY_LIMIT, Envelope, Kind, Urgency
from engine.wire import (
    BATCH_LIMIT,
    FRAME_LIMIT,
    HEADER_LIMIT,
    MAGIC,
    REFUSALS,
    TAG_SIZE,
    VERSION,
    Refusal,
    dissect,
    frames,
    head,
    peek,
)

PREFIX = 12
NUMBER = st.integers(0, 2**63 - 1)
WORD = st.text(max_size=40)
ID = st.text("".join(map(chr, range(0x21, 0x7F))), max_size=40)


def envelope(**fields: object) -> Envelope:
    given_fields = {"src": "src", "src_epoch": 1, "seq": 2, "dst": "dst", "msg_id": "id", "kind": Kind.TASK, **fields}
    return msgspec.convert(given_fields, Envelope)


def framed(one: Envelope, key_epoch: int = 0, sealed: bytes = b"sealed", tag: bytes = b"t" * TAG_SIZE) -> bytes:
    return head(one, key_epoch, len(sealed) + len(tag)) + sealed + tag


def resized(frame: bytes) -> bytes:
    """The frame with a total length that fits what is left or added of it."""
    return frame[:8] + len(frame).to_bytes(4) + frame[PREFIX:]


def with_header(data: bytes) -> bytes:
    rest = data + b"t" * TAG_SIZE
    return MAGIC + bytes([VERSION, 0]) + len(data).to_bytes(2) + (PREFIX + len(rest)).to_bytes(4) + rest


def refused(code: str, data: bytes) -> Refusal:
    """Asserts that `data` is refused with this code, as a batch or as a single frame."""
    with pytest.raises(Refusal) as caught:
        list(map(dissect, frames(data)))
    assert caught.value.code == code
    assert str(caught.value).startswith(REFUSALS[code])
    return caught.value


@given(
    st.builds(
        Envelope, src=WORD, src_epoch=NUMBER, seq=NUMBER, dst=WORD, msg_id=ID, kind=st.sampled_from(Kind),
        urgency=st.sampled_from(Urgency), thread=st.text(max_size=100), created_ms=NUMBER, ttl_s=NUMBER, hop=NUMBER,
    ),
    NUMBER,
)  # fmt: skip
def test_a_header_comes_back_as_it_went(one: Envelope, key_epoch: int) -> None:
    """Every field of an envelope but its body survives, in the header's order; the key epoch is the sealer's."""
    frame = framed(one, key_epoch)
    header = peek(frame)
    fields = [name for name in Envelope.__struct_fields__ if name != "body"]
    assert header.__struct_fields__ == tuple(fields)
    assert [getattr(header, name) for name in fields[:-1]] == [getattr(one, name) for name in fields[:-1]]
    assert header.key_epoch == key_epoch
    assert dissect(frame)[1] == len(frame) - TAG_SIZE - len(b"sealed")


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=10))
def test_frames_lie_end_to_end(bodies: list[bytes]) -> None:
    """What was concatenated is cut apart again, from any kind of buffer."""
    made = [framed(envelope(), sealed=body) for body in bodies]
    whole = b"".join(made)
    assert frames(whole) == frames(memoryview(whole)) == frames(bytearray(whole)) == made


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    """Random bytes are never a frame, and never an exception of another kind."""
    with pytest.raises(Refusal):
        frames(data)


@given(st.data())
def test_a_cut_frame_is_refused(data: st.DataObject) -> None:
    """A batch that ends in the middle of a frame is refused as a whole."""
    whole = framed(envelope()) * 2
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at != len(whole) // 2))
    refused("garbage", whole[:cut])


def test_garbage_after_a_frame_is_refused() -> None:
    """A batch is all frames or nothing."""
    refused("garbage", framed(envelope()) + b"\n")


@pytest.mark.parametrize("data", [b'{"to":"mac2","body":"hi"}', b"[]"], ids=["object", "list"])
def test_bare_json_is_unsigned(data: bytes) -> None:
    """Readable and signed by nobody is told apart from noise."""
    refused("unsigned", data)


def test_no_tag_is_unsigned() -> None:
    """A frame without a tag, or with a tag of zeros, names its sender and is refused."""
    frame = framed(envelope(), sealed=b"")
    assert refused("unsigned", resized(frame[:-TAG_SIZE])).src == "src"
    assert refused("unsigned", resized(frame[:-1])).src == "src"
    assert refused("unsigned", frame[:-TAG_SIZE] + bytes(TAG_SIZE)).src == "src"


def test_an_unknown_version_is_refused_with_both_named() -> None:
    """A frame of tomorrow can be stepped over, and the refusal says which version spoke and which listened."""
    tomorrow = framed(envelope())
    tomorrow = tomorrow[:4] + b"\x07" + tomorrow[5:]
    today = framed(envelope())
    assert frames(tomorrow + today) == [tomorrow, today]
    why = str(refused("version", tomorrow))
    assert "version 7" in why
    assert f"speaks {VERSION}" in why


def test_unknown_header_fields_are_ignored() -> None:
    """A newer sender may add fields at the end; the ones known are read."""
    header = msgspec.msgpack.decode(framed(envelope())[PREFIX : -TAG_SIZE - len(b"sealed")])
    more = with_header(msgspec.msgpack.encode([*header, "a field of tomorrow", {"deep": [1, 2]}]))
    assert peek(more) == peek(framed(envelope()))


def test_an_unknown_kind_can_be_read() -> None:
    """A relay forwards what it does not understand."""
    header = msgspec.msgpack.decode(framed(envelope())[PREFIX : -TAG_SIZE - len(b"sealed")])
    assert peek(with_header(msgspec.msgpack.encode([*header[:5], "dream", *header[6:]]))).kind == "dream"


# An id is printed, kept in files and typed into terminals.
EVIL_IDS = ('A\nrun "', "\x1b[201~\x03", "a b", "\u202eid", "id\n")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"src": "a"}),
        msgspec.msgpack.encode(["a", 1]),
        msgspec.msgpack.encode(["a", -1, 2, "b", "id", "task", 1, "", 0, 0, 0, 0]),
        msgspec.msgpack.encode(["a", 2**63, 2, "b", "id", "task", 1, "", 0, 0, 0, 0]),
        msgspec.msgpack.encode(["a" * 65, 1, 2, "b", "id", "task", 1, "", 0, 0, 0, 0]),
        msgspec.msgpack.encode(["a", 1, 2, "b", "id", "task", 9, "", 0, 0, 0, 0]),
        *(msgspec.msgpack.encode(["a", 1, 2, "b", id, "task", 1, "", 0, 0, 0, 0]) for id in EVIL_IDS),
        b"\x9c\xa1\xff" + b"\x00" * 11,
        b"\x91" * HEADER_LIMIT,
    ],
    ids="empty broken map short negative huge long urgency line escape blank bidi end utf8 deep".split(),
)
def test_a_broken_header_is_garbage(header: bytes) -> None:
    """Wrong types, numbers beyond what a store can hold and nesting bombs are refused, not crashed over."""
    refused("garbage", with_header(header))


@pytest.mark.parametrize("depth", [10, 900, 1_000, 2_000])
def test_a_deep_field_nobody_knows_is_harmless(depth: int) -> None:
    """A bomb in a field that would be ignored is skipped or refused, never fatal."""
    known = msgspec.msgpack.encode(["a", 1, 2, "b", "id", "task", 1, "", 0, 0, 0, 0])
    bomb = with_header(b"\x9d" + known[1:] + b"\x91" * (depth - 1) + b"\x90")
    if depth == 10:
        assert peek(bomb).src == "a"
    elif depth > HEADER_LIMIT:
        refused("garbage", bomb)
    else:
        with contextlib.suppress(Refusal):
            peek(bomb)


def test_oversize_is_refused_before_anything_is_read() -> None:
    """The length alone is enough: the bytes need not be there."""
    announced = MAGIC + bytes([VERSION, 0, 0, 0]) + (FRAME_LIMIT + 1).to_bytes(4)
    refused("oversized", announced)
    refused("oversized", announced + bytes(FRAME_LIMIT))


def test_the_largest_body_fits_twice_relayed() -> None:
    """A frame may be the body of a frame, twice, and still be read."""
    inner = framed(envelope(), sealed=bytes(BODY_LIMIT + 16_384))
    outer = framed(envelope(), sealed=framed(envelope(), sealed=inner))
    assert frames(outer) == [outer]


def test_a_batch_has_a_limit() -> None:
    """More frames than any sender puts together are refused."""
    frame = framed(envelope())
    assert len(frames(frame * BATCH_LIMIT)) == BATCH_LIMIT
    refused("oversized", frame * (BATCH_LIMIT + 1))


@pytest.mark.parametrize("total", [0, 11], ids=["zero", "eleven"])
def test_a_length_below_the_prefix_ends_the_search(total: int) -> None:
    """A frame that claims to be shorter than its own prefix cannot make the cutter run in place."""
    refused("garbage", framed(envelope())[:8] + total.to_bytes(4) + framed(envelope())[PREFIX:])


def test_a_frame_with_something_behind_it_is_no_frame() -> None:
    """`dissect` takes exactly one frame."""
    with pytest.raises(Refusal) as caught:
        dissect(framed(envelope()) + b"x")
    assert caught.value.code == "garbage"


def test_a_sender_is_told_what_no_receiver_would_read() -> None:
    """A thread's name beyond the header's room, or a body beyond the frame's, is an error before it is sent."""
    for one, room in ((envelope(thread="t" * HEADER_LIMIT), 0), (envelope(), FRAME_LIMIT)):
        with pytest.raises(FleetError) as caught:
            head(one, 0, room)
        assert caught.value.code == "usage.oversized"


def test_every_refusal_is_a_sentence() -> None:
    """The table is complete and speaks to people."""
    assert set(REFUSALS) == set(
        "unsigned garbage oversized version unknown revoked left expired_member misaddressed tampered stale_key "
        "replayed role not_carried unmendable foreign".split()
    )
    assert all(sentence.startswith("It") and sentence.endswith(".") for sentence in REFUSALS.values())
