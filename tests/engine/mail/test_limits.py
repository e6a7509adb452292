"""How many messages may be sent, as a table: one bucket a peer and kind."""

import pytest
from immutables import Map

from engine.config import LimitsConfig
from engine.errors import exit_code
from engine.mail import limits
from engine.model.envelope import Kind

SIX = LimitsConfig(context=6)
T0 = 10_000.0


def many(count: int, at: float, buckets: limits.Buckets, peer: str = "B") -> tuple[limits.Buckets, int]:
    """So many single messages at one moment: how many of them were taken."""
    accepted = 0
    for _ in range(count):
        buckets, over = limits.taken(buckets, [peer], Kind.CONTEXT, SIX, at)
        accepted += not over
    return buckets, accepted


def test_a_minute_holds_what_the_configuration_says() -> None:
    """Six a minute: six at once, then one every ten seconds; another peer has its own."""
    buckets, accepted = many(10, T0, Map())
    assert accepted == 6
    _, over = limits.taken(buckets, ["B"], Kind.CONTEXT, SIX, T0)
    assert over == {"B": pytest.approx(10.0)}
    assert many(3, T0 + 10, buckets)[1] == 1
    assert many(9, T0 + 600, buckets)[1] == 6
    assert many(3, T0, buckets, peer="C")[1] == 3


def test_all_of_a_call_or_nothing() -> None:
    """Where one of several peers has had enough, none of them is charged."""
    buckets, _ = many(6, T0, Map())
    after, over = limits.taken(buckets, ["B", "C"], Kind.CONTEXT, SIX, T0)
    assert set(over) == {"B"}
    assert after is buckets


def test_no_limit_counts_nothing() -> None:
    """A kind whose limit is 0 may be sent without end, and nothing is kept of it."""
    assert limits.taken(Map(), ["B"] * 1_000, Kind.SYNC, SIX, T0) == (Map(), {})


def test_every_public_kind_has_a_limit_of_its_own() -> None:
    """The configuration names each kind a person may send."""
    from engine.model.envelope import KINDS

    named = set(LimitsConfig.__struct_fields__) - {"flood"}
    assert {str(kind) for kind, spec in KINDS.items() if spec.public} == named


def test_what_is_full_again_is_forgotten() -> None:
    """Buckets of peers nobody writes to any more do not pile up."""
    buckets: limits.Buckets = Map()
    for number in range(limits.KEPT + 1):
        buckets, _ = limits.taken(buckets, [f"p{number}"], Kind.CONTEXT, SIX, T0 + number)
    assert len(buckets) < 100


def test_the_refusal_says_how_long_to_wait() -> None:
    """Code, exit status, whose limit it is and how many seconds are in the error."""
    error = limits.refusal({"id-b": 9.2}, {"id-b": "berlin"}, Kind.CONTEXT, SIX)
    assert (error.code, exit_code(error.code), error.retry_after_s) == ("refused.rate", 4, 9.2)
    assert error.detail.startswith("berlin: at most 6 context a minute")
    assert error.next_step.startswith("wait 10 s")
    assert error.facts().raised().retry_after_s == 9.2
