"""Gossip: which rumours to believe and which to pass on.

A belief about somebody is (incarnation, claim, accusers). Merging is a join: the higher incarnation wins, of one
incarnation the worse claim, and accusers add up. So it does not matter in which order, how often and over whom rumours
come; everybody ends with the same belief. Only the subject may raise its incarnation: only I may refute a rumour
about me (SWIM, section 4.2).

News is told least-told first, each rumour as often as an epidemic needs to reach everybody, and dropped then. A rumour
that another makes pointless is dropped at once. Nothing here knows packets' senders, clocks or standings.
"""

from collections.abc import Iterable
from math import ceil, log10

import msgspec
from immutables import Map

from engine.membership.packet import RUMOUR_LIMIT, Claim, Rumour, decode_rumour, encode_rumour

# How often a rumour is told: this times the decimal logarithm of the fleet (memberlist: RetransmitMult).
RETELL = 4
# More accusers than the formula of suspicion can want say nothing new.
ACCUSERS_KEPT = 8
NEWS_LIMIT = 512

News = Map[bytes, int]


class Belief(msgspec.Struct, frozen=True):
    """What is held of somebody: a claim about one of its incarnations, and who makes it."""

    incarnation: int = 0
    claim: Claim = Claim.ALIVE
    accusers: frozenset[str] = frozenset()


def belief_of(rumour: Rumour) -> Belief:
    """What a rumour alone would make one believe; ALIVE has no accusers."""
    accused = rumour.claim is not Claim.ALIVE and rumour.accuser
    return Belief(rumour.incarnation, rumour.claim, frozenset({rumour.accuser} if accused else ()))


def merge(one: Belief, other: Belief) -> Belief:
    """Both beliefs as one: commutative, associative, idempotent."""
    if one.incarnation != other.incarnation:
        return one if one.incarnation > other.incarnation else other
    accusers = one.accusers | other.accusers
    if len(accusers) > ACCUSERS_KEPT:
        accusers = frozenset(sorted(accusers)[:ACCUSERS_KEPT])
    return Belief(one.incarnation, max(one.claim, other.claim), accusers)


def tellings(members: int) -> int:
    """How often a rumour is told in a fleet of `members`."""
    return RETELL * ceil(log10(members + 1))


def learn(news: News, rumour: Rumour) -> News:
    """The news with `rumour` to tell, without what it makes pointless; beyond the limit the most told is forgotten."""
    for raw in list(news):
        old = decode_rumour(raw)
        if old and old.subject == rumour.subject and _outdoes(rumour, old):
            news = news.delete(raw)
    news = news.set(encode_rumour(rumour), 0)
    if len(news) > NEWS_LIMIT:
        news = news.delete(max(news.items(), key=lambda item: (item[1], item[0]))[0])
    return news


def _outdoes(new: Rumour, old: Rumour) -> bool:
    # Who declares the dead dead is of no interest; who accuses a suspect is, because independent accusers count.
    same_end = new.claim is old.claim is Claim.DEAD and new.incarnation == old.incarnation
    return same_end or (new.incarnation, new.claim) > (old.incarnation, old.claim)


def forget(news: News, subject: str) -> News:
    """The news without rumours about one who is no longer in the fleet."""
    for raw in list(news):
        old = decode_rumour(raw)
        if old and old.subject == subject:
            news = news.delete(raw)
    return news


def pick(news: News, room: int, members: int, first: Iterable[bytes] = ()) -> tuple[list[bytes], News]:
    """Rumours for one packet with `room` bytes for them, and the news after telling them. `first` go before all."""
    picked: list[bytes] = []
    for raw in _in_turn(news, first):
        if len(raw) <= room and len(picked) < RUMOUR_LIMIT and raw not in picked:
            picked.append(raw)
            room -= len(raw)
    limit = tellings(members)
    for raw in picked:
        told = news.get(raw)
        if told is not None:
            news = news.set(raw, told + 1) if told + 1 < limit else news.delete(raw)
    return picked, news


def _in_turn(news: News, first: Iterable[bytes]) -> Iterable[bytes]:
    yield from first
    if news:
        yield from (raw for raw, _ in sorted(news.items(), key=lambda item: (item[1], item[0])))
