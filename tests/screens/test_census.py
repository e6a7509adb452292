"""The census agrees with judging everybody anew, judges only whom something happened to, and says so by identity."""

from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from engine.model.channel import Channel, ChannelState
from engine.model.peer import Standing
from engine.state import Fleet
from screens import roll
from screens.census import Census
from screens.needs import needs
from tests.screens.golden import BROKEN, LARGE, SMALL, health

CHANNELS = (Channel.NATS, Channel.HTTP, Channel.GIT)


def anew(fleet: Fleet) -> dict[str, roll.Condition]:
    return {one.id: roll.condition(fleet, one.id) for one in fleet.roster.members if one.present}


def turned(fleet: Fleet, peer: str, channel: Channel, state: ChannelState) -> Fleet:
    return replace(fleet, channels=fleet.channels.set((peer, channel), health(state)))


def moved(fleet: Fleet, peer: str, standing: Standing) -> Fleet:
    known = roll.peer_of(fleet, peer)
    return replace(fleet, peers=fleet.peers.set(peer, replace(known, standing=standing)))


def test_nothing_happened_and_nothing_is_another_object() -> None:
    """The same peers and pairs: the same conditions, however often mail moved meanwhile."""
    census = Census()
    first = census(SMALL)
    later = replace(SMALL, mail=replace(SMALL.mail, revision=9))
    assert census(later) is first


def test_only_the_peer_something_happened_to_is_judged_again() -> None:
    """A pair of mac2 breaks: its condition is another one, everybody else's is the same object."""
    census = Census()
    first = census(SMALL)
    second = census(turned(SMALL, "id-mac2", Channel.NATS, ChannelState.BROKEN))
    assert second["id-mac2"].look is roll.DEGRADED
    assert [peer for peer in first if first[peer] is not second[peer]] == ["id-mac2"]


def test_a_measured_latency_is_nothing_a_condition_tells_of() -> None:
    """Nobody is judged again and nobody counted again for a round trip; the row compares the pairs themselves."""
    census = Census()
    first, counted = census(SMALL), census.counts(SMALL)
    later = turned(SMALL, "id-mac2", Channel.NATS, ChannelState.HEALTHY)
    assert later.health("id-mac2", Channel.NATS) != SMALL.health("id-mac2", Channel.NATS)
    assert census(later) is first
    assert census.counts(later) is counted


def test_who_is_heard_again_is_what_it_was() -> None:
    """A peer that was judged again and is as it was leaves the census the same object."""
    census = Census()
    first = census(SMALL)
    assert census(moved(SMALL, "id-mac2", Standing.ALIVE)) is first


def test_another_roster_is_counted_from_the_start() -> None:
    """Members that came and went are there and not there."""
    census = Census()
    census(SMALL)
    assert census(BROKEN) == anew(BROKEN)
    assert census(LARGE) == anew(LARGE)


moves = st.one_of(
    st.tuples(st.just(turned), st.sampled_from(["id-mac2", "id-nas", "id-pi", "id-gone"]), st.sampled_from(CHANNELS),
              st.sampled_from(list(ChannelState))),
    st.tuples(st.just(moved), st.sampled_from(["id-mac2", "id-nas", "id-pi"]), st.sampled_from(list(Standing))),
    st.just((lambda fleet: replace(fleet, channels=Map()),)),
)  # fmt: skip


@given(st.lists(st.lists(moves, max_size=4), max_size=8))
def test_it_says_what_judging_everybody_anew_says(story: list[list[tuple]]) -> None:  # type: ignore[type-arg]
    """Whatever happens between two looks, also pairs that appear and vanish."""
    census, fleet = Census(), BROKEN
    for between in story:
        for act, *facts in between:
            fleet = act(fleet, *facts)
        assert census(fleet) == anew(fleet)
        assert census.counts(fleet) == roll.counts(anew(fleet).values())
        assert needs(fleet, census.locked(fleet)) == needs(fleet)
