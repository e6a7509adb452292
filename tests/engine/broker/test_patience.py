"""How long a dying broker is left alone."""

import pytest

from engine.broker.patience import LONGEST_S, WINDOW_S, pause_s, recent


@pytest.mark.parametrize(
    ("deaths", "pause"), [(0, 0.0), (1, 0.0), (5, 0.0), (6, 0.25), (7, 0.5), (8, 1.0), (12, 16.0), (13, LONGEST_S)]
)
def test_pause(deaths: int, pause: float) -> None:
    """A few deaths cost nothing, further ones double the wait, up to half a minute."""
    assert pause_s(deaths) == pause


def test_pause_is_bounded_for_any_number() -> None:
    """However often it dies, the wait stays finite."""
    assert pause_s(10**9) == LONGEST_S


def test_a_minute_forgives() -> None:
    """Deaths older than the window do not count."""
    assert recent((0.0, 10.0, 50.0), WINDOW_S + 5.0) == (10.0, 50.0)
