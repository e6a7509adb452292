"""Who is in the fleet and how each is: every room says the same of a peer."""

from functools import partial

from msgspec.structs import replace

from engine.model.channel import Channel, ChannelState
from engine.model.finding import Finding, Severity
from engine.model.peer import Standing
from screens.census import Census
from screens.needs import needs
from screens.peer_lines import why
from screens.roll import best, condition, counts, failed, members, natural
from screens.spans import words
from tests.screens.golden import BROKEN, EMPTY, LARGE, NOW, SMALL, fleet, health, member, peer, plan, ways


def test_conditions() -> None:
    """Standing first; an alive peer with a channel in trouble is degraded, and says which and why."""
    looks = {name: condition(BROKEN, f"id-{name}") for name in ("mac1", "studio", "mac2", "linux1", "nas", "pi")}
    assert {name: how.look.word for name, how in looks.items()} == {
        "mac1": "this node",
        "studio": "alive",
        "mac2": "degraded",
        "linux1": "degraded",
        "nas": "unreachable",
        "pi": "not heard yet",
    }
    assert looks["linux1"].why == "nats connection refused"
    assert looks["nas"].why == "nats no answer"


def test_a_held_channel_is_no_trouble() -> None:
    """What a person holds back on purpose does not make a peer degraded."""
    held = fleet([(member("a"), peer("a"), ways(nats=health(), http=health(ChannelState.BROKEN, held=True)))])
    assert condition(held, "id-a").look.word == "alive"


def test_header_counts_what_the_map_shows() -> None:
    """The counts by glyph add up to the members, this node among them."""
    assert counts(Census()(BROKEN).values()) == {"●": 2, "◐": 2, "○": 1, "·": 1}
    assert counts(Census()(EMPTY).values()) == {"●": 1}
    assert sum(counts(Census()(LARGE).values()).values()) == 121


def test_best_link() -> None:
    """The plan's first working channel, else the healthiest and hottest; none for a peer nothing reaches."""
    linux1 = best(BROKEN, "id-linux1", partial(plan, BROKEN))
    assert linux1 is not None
    assert linux1.channel is Channel.HTTP
    unplanned = best(SMALL, "id-mac2")
    assert unplanned is not None
    assert (unplanned.channel, unplanned.ms) == (Channel.NATS, 2.0)
    assert best(BROKEN, "id-nas", partial(plan, BROKEN)) is None
    assert best(BROKEN, "id-mac1", partial(plan, BROKEN)) is None


def test_failed_rung() -> None:
    """A broken edge names the first rung that failed."""
    broken = failed(BROKEN, "id-nas")
    assert broken is not None
    assert broken.channel is Channel.NATS
    assert failed(SMALL, "id-mac2") is None


def test_members_stand_still() -> None:
    """By rank, then by name as people count; the revoked and those who left are gone."""
    names = [one.name for one in members(LARGE)]
    assert names[:2] == ["mac1", "studio"]
    assert sorted(["gpu-10", "gpu-9", "gpu-100"], key=natural) == ["gpu-9", "gpu-10", "gpu-100"]
    gone = replace(SMALL.roster, members=tuple(replace(one, revoked_ms=1) for one in SMALL.roster.members))
    assert members(replace(SMALL, roster=gone)) == []


def test_a_revoked_node_says_of_nobody_else_that_it_left() -> None:
    """From there they are out of reach, and why is said in every place."""
    mine = SMALL.me.id
    revoked = tuple(replace(one, revoked_ms=1) if one.id == mine else one for one in SMALL.roster.members)
    put_out = replace(SMALL, roster=replace(SMALL.roster, members=revoked))
    gone = replace(SMALL.peers["id-mac2"], standing=Standing.LEFT)
    put_out = replace(put_out, peers=put_out.peers.set("id-mac2", gone))
    how = condition(put_out, "id-mac2")
    assert (how.look.word, how.why) == ("unreachable", "this node was revoked")
    assert "Out of reach: this node was revoked." in words(why(put_out, "id-mac2", NOW, 90)[1])


def test_needs_are_few() -> None:
    """A finding that matters, and mail stuck behind an absent peer; a peer that is merely away is no need."""
    assert [need.title for need in needs(BROKEN)] == [
        "3 messages wait for nas",
        "pi shows another key",
        "The disk is nearly full",
    ]
    away = fleet([(member("a"), peer("a", Standing.OFFLINE), ways())])
    assert needs(away) == []
    assert needs(LARGE) == []


def test_a_changed_key_needs_me_once() -> None:
    """A quarantined channel needs a person, and is told once where a finding tells it already."""
    pair = (member("a"), peer("a"), ways(nats=health(ChannelState.QUARANTINED, reason="another key")))
    assert [need.title for need in needs(fleet([pair]))] == ["a showed another key on nats"]
    told = fleet([pair], findings=[Finding("roster.key_changed", "a shows another key", Severity.CRITICAL, "", "a")])
    assert [need.title for need in needs(told)] == ["a shows another key"]


def test_a_symptom_is_no_need_where_its_own_cause_is_told() -> None:
    """Of one peer the header counts the cause alone; of another nothing is explained by it."""
    cause = Finding("channel.cold", "No direct channel works", Severity.HIGH, "", "atlas")
    own = Finding("queue.stuck", "Messages do not leave", Severity.MEDIUM, "", "atlas", depends_on=("channel.cold",))
    other = replace(own, subject="borealis")
    peers = [(member(name), peer(name), ways()) for name in ("atlas", "borealis")]
    found = needs(fleet(peers, findings=[other, own, cause]))
    assert [(need.peer, need.title) for need in found] == [("id-borealis", other.title), ("id-atlas", cause.title)]
