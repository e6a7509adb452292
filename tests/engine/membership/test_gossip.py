"""Merging is a join, and news spreads least-told first until it was told often enough."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from engine.membership.gossip import (
    ACCUSERS_KEPT,
    NEWS_LIMIT,
    Belief,
    News,
    belief_of,
    forget,
    learn,
    merge,
    pick,
    tellings,
)
from engine.membership.packet import Claim, Rumour, decode_rumour, encode_rumour

NAMES = st.sampled_from([f"n{index:02d}" for index in range(12)])
RUMOURS = st.builds(Rumour, st.sampled_from(Claim), st.just("x"), st.integers(0, 3), NAMES)
BELIEFS = st.lists(RUMOURS, min_size=1, max_size=12).map(lambda told: reduce(merge, map(belief_of, told)))


@given(BELIEFS, BELIEFS)
def test_merging_is_commutative(one: Belief, other: Belief) -> None:
    """It does not matter who told it first."""
    assert merge(one, other) == merge(other, one)


@given(BELIEFS, BELIEFS, BELIEFS)
def test_merging_is_associative(one: Belief, two: Belief, three: Belief) -> None:
    """It does not matter over whom it came."""
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@given(BELIEFS, BELIEFS)
def test_merging_is_idempotent(one: Belief, other: Belief) -> None:
    """It does not matter how often it came."""
    assert merge(one, one) == one
    assert merge(merge(one, other), other) == merge(one, other)


@given(BELIEFS)
def test_accusers_are_bounded(belief: Belief) -> None:
    """However many accuse, so many are kept as the formula can want."""
    assert len(belief.accusers) <= ACCUSERS_KEPT


def test_only_a_higher_incarnation_refutes() -> None:
    """ALIVE of the same incarnation changes nothing about an accusation; of the next it ends it."""
    accused = belief_of(Rumour(Claim.SUSPECT, "x", 3, "a"))
    assert merge(accused, belief_of(Rumour(Claim.ALIVE, "x", 3))) == accused
    assert merge(accused, belief_of(Rumour(Claim.ALIVE, "x", 4))) == Belief(4)


def test_what_a_rumour_makes_pointless_is_not_told() -> None:
    """A refutation takes the place of the accusations, a death that of suspicions; accusers are told each."""
    one, two = Rumour(Claim.SUSPECT, "x", 1, "a"), Rumour(Claim.SUSPECT, "x", 1, "b")
    other = Rumour(Claim.SUSPECT, "y", 1, "a")
    news = reduce(learn, (one, two, other), News())
    assert set(map(decode_rumour, news)) == {one, two, other}
    dead = Rumour(Claim.DEAD, "x", 1, "c")
    assert set(map(decode_rumour, learn(news, dead))) == {dead, other}
    assert len(learn(learn(news, dead), Rumour(Claim.DEAD, "x", 1, "d"))) == 2
    alive = Rumour(Claim.ALIVE, "x", 2)
    assert set(map(decode_rumour, learn(learn(news, dead), alive))) == {alive, other}
    assert forget(news, "x") == News({encode_rumour(other): 0})


def test_a_rumour_is_told_as_often_as_the_fleet_is_large() -> None:
    """Four times in a fleet of nine, twelve times in one of a hundred; then it is dropped."""
    assert [tellings(members) for members in (1, 9, 10, 99, 100, 1_000)] == [4, 4, 8, 8, 12, 16]
    news = learn(News(), Rumour(Claim.ALIVE, "x", 1))
    told = 0
    while news:
        picked, news = pick(news, 1_000, 9)
        told += len(picked)
    assert told == 4


def test_the_least_told_goes_first() -> None:
    """With room for one, rumours take turns."""
    news = reduce(learn, (Rumour(Claim.ALIVE, name, 1) for name in "abc"), News())
    told = []
    for _ in range(6):
        picked, news = pick(news, len(encode_rumour(Rumour(Claim.ALIVE, "a", 1))), 100)
        told += picked
    assert [told.count(raw) for raw in set(told)] == [2, 2, 2]


def test_what_concerns_the_receiver_goes_before_all_news() -> None:
    """An accusation is told to the accused first, even where there is room for nothing else, and once."""
    about = encode_rumour(Rumour(Claim.SUSPECT, "x", 1, "a"))
    news = learn(News({about: 5}), Rumour(Claim.ALIVE, "b", 1))
    assert pick(news, len(about), 100, (about,))[0] == [about]
    assert pick(news, 1_000, 100, (about,))[0].count(about) == 1


def test_news_is_bounded() -> None:
    """A flood of rumours pushes out what was told most."""
    news = News({encode_rumour(Rumour(Claim.ALIVE, "old", 1)): 9})
    for index in range(NEWS_LIMIT + 10):
        news = learn(news, Rumour(Claim.ALIVE, f"n{index}", 1))
    assert len(news) == NEWS_LIMIT
    assert encode_rumour(Rumour(Claim.ALIVE, "old", 1)) not in news
