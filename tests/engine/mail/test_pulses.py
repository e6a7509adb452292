"""The window of numbers that slides over pulses, against a naive model of what it promises."""

from hypothesis import given
from hypothesis import strategies as st

from engine.mail.pulses import WINDOW, seen, slide
from engine.model.mail import Pulse

THEIRS = 1_795_000_000_000


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3 * WINDOW)), max_size=60))
def test_the_pulse_window_is_a_set(pulses: list[tuple[int, int]]) -> None:
    """Of the newest epoch every number passes once, unless it lies 1,024 behind the highest; of older ones none."""
    window, naive, newest = Pulse(), set[tuple[int, int]](), 0
    for epoch, seq in pulses:
        top = max((one for age, one in naive if age == epoch), default=0)
        passes = epoch > newest or (epoch == newest and (epoch, seq) not in naive and seq > top - WINDOW)
        advanced = slide(window, epoch, seq)
        assert seen(window, epoch, seq) is (epoch == newest and (epoch, seq) in naive and seq > top - WINDOW)
        assert (advanced is not None) is passes
        if advanced is not None:
            window, newest = advanced, max(newest, epoch)
            naive.add((epoch, seq))


def test_a_pulse_far_ahead_costs_nothing() -> None:
    """A member may name any number: the window begins anew there, and the node does not run out of memory."""
    window = slide(Pulse(THEIRS, 1, 1), THEIRS, 2**63 - 1)
    assert window == Pulse(THEIRS, 2**63 - 1, 1)
    assert slide(window, THEIRS, 1) is None
