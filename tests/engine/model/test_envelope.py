"""The ladder of receipts."""

from engine.model.envelope import FAILED, WAITABLE, Rung
from engine.model.hop import RUNG_OF


def test_every_rung_is_proved_by_somebody() -> None:
    """By the outbox, the other machine's disk, or what a session did with it; the rest are endings."""
    assert set(WAITABLE) == {Rung.ACCEPTED, Rung.ON_HOST, *RUNG_OF.values()}
    assert set(WAITABLE) | FAILED == set(Rung)
