"""The formulas of suspicion, by table."""

import pytest

from engine.config import MembershipConfig
from engine.membership.suspicion import (
    HEALTH_LIMIT,
    accusers_wanted,
    doubted,
    fallen,
    falls_at,
    give_up_s,
    pings_a_turn,
    probe_s,
    silent_before_s,
    suspicion_s,
    wait_s,
)
from engine.model.peer import Peer, Standing

LAN = MembershipConfig()
WAN = MembershipConfig(ping_timeout_s=1.5, period_s=2.0)
S = Standing


@pytest.mark.parametrize(
    ("members", "accusers", "seconds"),
    [
        (2, 1, 8.5),
        (3, 1, 8.5),
        (4, 1, 17.0),
        (4, 2, 11.64),
        (4, 3, 8.5),
        (100, 1, 17.0),
        (100, 3, 8.5),
        (100, 8, 8.5),
        (1_000, 3, 12.0),
        (10_000, 3, 16.0),
        (10_000, 1, 32.0),
    ],
)
def test_suspicion_shrinks_with_accusers_and_grows_with_the_fleet(members: int, accusers: int, seconds: float) -> None:
    """Three independent accusers end it soonest, one alone waits twice as long; a tenfold fleet adds four seconds."""
    assert suspicion_s(members, accusers, LAN) == pytest.approx(seconds, abs=0.01)


def test_suspicion_never_ends_before_the_configured_silence() -> None:
    """Whatever the fleet's size, nobody is unreachable before `unreachable_s` of silence."""
    for members in range(1, 200):
        assert suspicion_s(members, 8, LAN) + LAN.period_s + LAN.ping_timeout_s >= LAN.unreachable_s


@pytest.mark.parametrize(("members", "wanted"), [(1, 1), (2, 1), (3, 1), (4, 3), (100, 3)])
def test_no_more_accusers_are_wanted_than_there_can_be(members: int, wanted: int) -> None:
    """In a fleet of three only one other can be asked, so one accuser is enough."""
    assert accusers_wanted(members, LAN) == wanted


@pytest.mark.parametrize(
    ("config", "health", "wait", "give_up", "period"),
    [(LAN, 0, 0.5, 1.0, 1.0), (LAN, 2, 1.5, 3.0, 3.0), (WAN, 0, 1.5, 3.0, 2.0), (LAN, 8, 4.5, 9.0, 9.0)],
)
def test_a_node_that_doubts_itself_waits_longer(
    config: MembershipConfig, health: int, wait: float, give_up: float, period: float
) -> None:
    """The local health multiplier stretches every wait; others are given as long again as the peer itself."""
    assert (wait_s(config, health), give_up_s(config, health), probe_s(config, health)) == (wait, give_up, period)


def test_self_doubt_has_bounds() -> None:
    """Self-doubt falls to nothing and rises to its limit."""
    assert doubted(0, -1) == 0
    assert doubted(HEALTH_LIMIT, +1) == HEALTH_LIMIT
    assert doubted(3, -1) == 2


@pytest.mark.parametrize(
    ("standing", "at"),
    [
        (S.UNKNOWN, 110.0),
        (S.SUSPECT, 108.5),
        (S.UNREACHABLE, 188.5),
        (S.STALE, 398.5),
        (S.ALIVE, None),
        (S.OFFLINE, None),
        (S.LEFT, None),
    ],
)
def test_when_a_standing_falls(standing: Standing, at: float | None) -> None:
    """10 s, 90 s and 300 s of silence, of which 1.5 s had passed when suspicion began at second 100."""
    suspected = None if at is None else 100.0
    assert falls_at(Peer("a", standing, suspect_at=suspected, accusers=frozenset("b")), 3, LAN) == at


@pytest.mark.parametrize(
    ("standing", "silent_s", "then"),
    [
        (S.SUSPECT, 8.5, S.UNREACHABLE),
        (S.SUSPECT, 1_000.0, S.OFFLINE),
        (S.UNREACHABLE, 88.4999999, S.STALE),
        (S.STALE, 298.4999999, S.OFFLINE),
        (S.UNKNOWN, 10.0, S.UNREACHABLE),
        (S.UNKNOWN, 100.0, S.STALE),
        (S.UNKNOWN, 86_400.0, S.OFFLINE),
    ],
)
def test_what_a_standing_falls_to(standing: Standing, silent_s: float, then: Standing) -> None:
    """Always further down, even when rounding says it is a moment too early; at once as far as the silence is long."""
    assert fallen(Peer("a", standing, suspect_at=5_000.0), 5_000.0 + silent_s, LAN) is then


def test_silence_before_the_start_comes_from_the_store() -> None:
    """A peer the store remembers from a minute before the start had been silent for a minute; one never heard, for
    none; and a clock that went back makes it none, not less."""
    assert silent_before_s(Peer("a", heard_ms=1_000), 61_000) == 60.0
    assert silent_before_s(Peer("a"), 61_000) == 0.0
    assert silent_before_s(Peer("a", heard_ms=99_000), 61_000) == 0.0


def test_a_crowd_pings_two_at_once() -> None:
    """Small fleets send one ping a second; a crowd sends two, so that a dead peer is found in time by chance alone."""
    assert [pings_a_turn(members) for members in (1, 3, 32, 33, 1_000)] == [1, 1, 1, 2, 2]
