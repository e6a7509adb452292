"""Pre-keys turn every seven days, two are kept, and what is thrown away is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FleetError
from engine.security.prekeys import KEPT, ROTATE_MS, PreKeys, due, from_bytes, rotate, to_bytes

NOW = 1_800_000_000_000
KEY = st.binary(min_size=32, max_size=32)


def test_a_node_begins_with_none() -> None:
    """Nothing is announced before the first rotation, which is due at once."""
    assert due(PreKeys(), NOW)
    assert PreKeys().announced is None
    assert PreKeys().private == {}


@pytest.mark.parametrize(
    ("passed_ms", "is_due"),
    [(0, False), (ROTATE_MS - 1, False), (ROTATE_MS, True), (-ROTATE_MS + 1, False), (-ROTATE_MS, True)],
)
def test_seven_days(passed_ms: int, is_due: bool) -> None:
    """A key made far in the future, by a clock that jumped, does not stay for years."""
    assert due(rotate(PreKeys(), b"p" * 32, NOW), NOW + passed_ms) is is_due


@given(st.lists(st.tuples(KEY, st.integers(0, 2**42)), min_size=1, max_size=8))
def test_epochs_rise_and_two_are_kept(made: list[tuple[bytes, int]]) -> None:
    """Whatever the clock does, each new key has a higher number, is the one announced, and the older ones go."""
    keys = PreKeys()
    for private, now_ms in made:
        before, keys = keys, rotate(keys, private, now_ms)
        assert keys.held[0].private == private
        assert keys.announced == (keys.held[0].epoch, keys.held[0].public)
        assert not before.held or keys.held[0].epoch > before.held[0].epoch
    assert keys.held[0].epoch > 0
    assert [one.private for one in keys.held] == [private for private, _ in reversed(made)][:KEPT]
    assert keys.private == {one.epoch: one.private for one in keys.held}


@given(st.lists(st.tuples(KEY, st.integers(0, 2**42)), max_size=4))
def test_they_can_be_stored(made: list[tuple[bytes, int]]) -> None:
    """What was written is read back; nothing gives none."""
    keys = PreKeys()
    for private, now_ms in made:
        keys = rotate(keys, private, now_ms)
    assert from_bytes(to_bytes(keys)) == keys
    assert from_bytes(b"") == PreKeys()


@pytest.mark.parametrize("data", [b"x", b"\xc1", b"\x91\x93\x01\xc4\x01x\x02", b"\x91\x93\x01\xa1\xff\x02"])
def test_damage_is_said(data: bytes) -> None:
    """Damaged keys are an error with a way on, never a guess."""
    with pytest.raises(FleetError) as caught:
        from_bytes(data)
    assert caught.value.code == "trust.prekeys"


def test_a_key_is_not_printed() -> None:
    """What lands in a log is its number."""
    keys = rotate(PreKeys(), b"secret-secret-secret-secret-secr", NOW)
    assert "secret" not in repr(keys)
