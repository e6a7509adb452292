"""Seats follow the roster in force."""

from immutables import Map
from msgspec.structs import replace

from engine.effects import Publish
from engine.membership.packet import Claim, Rumour, encode_rumour
from engine.membership.seating import restarted, seated
from engine.model.channel import Channel, ChannelHealth
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from engine.model.roster import Member, Roster
from engine.state import Fleet, Probe
from tests.engine.membership.harness import T0_MS, fleet_of, name, roster_of

NOW = Moment(T0_MS, 50.0)
ME, B, C = name(0), name(1), name(2)


def changed(roster: Roster, node_id: str, **changes: int) -> Roster:
    def one(member: Member) -> Member:
        return replace(member, **changes) if member.id == node_id else member

    return replace(roster, version=roster.version + 1, members=tuple(map(one, roster.members)))


def standings(fleet: Fleet) -> dict[str, Standing]:
    return {peer.id: peer.standing for peer in fleet.peers.values()}


def full() -> Fleet:
    """A fleet of three that has traces of everybody everywhere."""
    fleet = restarted(fleet_of(0, roster_of(3)), NOW)
    swim = replace(
        fleet.swim,
        awaiting=Map({5: Probe(B, 49.0)}),
        news=Map({encode_rumour(Rumour(Claim.SUSPECT, B, 1, C)): 0}),
        paths=Map({B: (1, "h", 1)}),
    )
    channels = Map({(peer, channel): ChannelHealth() for peer in (B, C) for channel in Channel})
    return replace(fleet, swim=swim, channels=channels)


def test_a_start_gives_everybody_a_seat() -> None:
    """Who is in the roster is UNKNOWN, with what the store remembers; who is not in it any more has no seat."""
    kept = Map({B: Peer(B, Standing.ALIVE, heard_ms=7, heard_mono=3.0, suspect_at=1.0), "old": Peer("old")})
    fleet = restarted(replace(fleet_of(0, roster_of(3)), peers=kept), NOW)
    assert standings(fleet) == {B: Standing.UNKNOWN, C: Standing.UNKNOWN}
    assert (fleet.peers[B].heard_ms, fleet.peers[B].heard_mono, fleet.peers[B].suspect_at) == (7, None, 50.0)
    assert set(fleet.swim.falls) == {B, C}


def test_who_is_revoked_has_left() -> None:
    """No channel, no ping, no rumour is left of it; the others keep theirs; and it is told."""
    fleet = full()
    fleet, effects = seated(replace(fleet, roster=changed(fleet.roster, B, revoked_ms=1)), NOW)
    assert standings(fleet) == {B: Standing.LEFT, C: Standing.UNKNOWN}
    assert {peer for peer, _ in fleet.channels} == {C}
    assert not any((fleet.swim.awaiting, fleet.swim.news, fleet.swim.paths))
    assert set(fleet.swim.falls) == {C}
    assert [effect.event.new for effect in effects if isinstance(effect, Publish)] == [Standing.LEFT]


def test_who_left_may_come_back() -> None:
    """Admitted again, it is UNKNOWN until it speaks."""
    fleet = full()
    fleet, _ = seated(replace(fleet, roster=changed(fleet.roster, B, left_ms=1)), NOW)
    fleet, _ = seated(replace(fleet, roster=changed(fleet.roster, B, left_ms=0)), NOW)
    assert standings(fleet)[B] is Standing.UNKNOWN
    assert B in fleet.swim.falls


def test_a_newcomer_gets_a_seat_and_others_keep_theirs() -> None:
    """Seating again changes nothing for those who sit."""
    fleet = full()
    before = fleet.peers[B]
    fleet, _ = seated(replace(fleet, roster=roster_of(4, version=2)), NOW)
    assert fleet.peers[name(3)].standing is Standing.UNKNOWN
    assert fleet.peers[B] is before


def test_a_revoked_node_bothers_nobody() -> None:
    """When it is we who were revoked, everybody has left from where we stand."""
    fleet = full()
    fleet, _ = seated(replace(fleet, roster=changed(fleet.roster, ME, revoked_ms=1)), NOW)
    assert set(standings(fleet).values()) == {Standing.LEFT}
    assert fleet.revoked


def test_another_fleet_is_another_room() -> None:
    """Going over to another fleet takes the seats of the old one away."""
    fleet = full()
    other = replace(roster_of(1), fleet_id="other")
    fleet, _ = seated(replace(fleet, roster=other), NOW)
    assert not fleet.peers
    assert not fleet.channels
