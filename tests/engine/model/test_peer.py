"""What standings mean to who acts on them."""

from engine.model.peer import AWAY, EXPECTED, GONE, THERE, Standing


def test_every_standing_is_expected_or_gone() -> None:
    """Two halves, who is asked as if it were there and who is not, each with a narrower one in it."""
    assert set(Standing) == EXPECTED | GONE
    assert not EXPECTED & GONE
    assert EXPECTED - {Standing.UNKNOWN} == THERE
    assert GONE - {Standing.LEFT} == AWAY
