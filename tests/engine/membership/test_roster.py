"""The roster in force: how one takes another's place, and how everybody gets it."""

from typing import Any

import msgspec
import pytest
from immutables import Map
from msgspec.structs import replace

from engine.effects import ApplyRoster, Arm, Deliver, Dismiss, Effect, Publish, Raise, Resolve, Save
from engine.membership import beat, former, roster
from engine.membership.roster import OVERTAKEN, TIMER, step
from engine.membership.seating import restarted
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind
from engine.model.event import PeerMoved, RosterMoved
from engine.model.mail import Parcel
from engine.model.moment import Moment
from engine.model.packets import Heartbeat, pack
from engine.model.peer import Standing
from engine.model.records import AddEntry, PutMeta, PutRoster
from engine.model.roster import Roster
from engine.security.ancestry import digest
from engine.signals import Arrived, MemberAsked, Rang, RosterMade, RosterOffered
from engine.state import Fleet
from tests.engine.membership.harness import T0_MS, Net, fleet_of, member, name, roster_of

ME, B, C = (name(index) for index in range(3))
ONE = roster_of(3)


def at(second: float) -> Moment:
    return Moment(T0_MS + int(second * 1000), second)


def fleet(index: int = 0) -> Fleet:
    return restarted(fleet_of(index, ONE), at(0.0))


def second(**revoked: int) -> Roster:
    """Version two, with these members revoked."""
    members = tuple(replace(one, revoked_ms=revoked.get(one.id, 0)) for one in ONE.members)
    return replace(ONE, version=2, members=members, signer=ME)


def pushed(effects: list[Any]) -> list[str]:
    rosters = (one for one in effects if isinstance(one, Deliver) and one.envelope.kind is Kind.ROSTER)
    return [one.peer for one in rosters]


def came(frm: str, version: int, digest_of: bytes = b"") -> Arrived:
    body = pack(Heartbeat(T0_MS, "1", roster_version=version, roster_hash=digest_of))
    return Arrived((Parcel(Envelope(frm, 1, version, ME, "m", Kind.HEARTBEAT, body=body)),), Channel.NATS)


def findings(effects: list[Effect]) -> dict[str, bool]:
    raised = (effect.signal for effect in effects if isinstance(effect, Raise))
    return {f"{found.finding.code} {found.finding.subject}": found.present for found in raised}


def test_old_letters_keep_the_names_of_a_fleet_that_was_left() -> None:
    """Whom the roster of another fleet does not know is called as before, with a mark, also after a restart; who is
    met again has the name it has here. A new version of the same fleet forgets nobody."""
    left, effects = step(fleet(), RosterMade(replace(roster_of(1), fleet_id="alone"), "left the fleet", 0), at(1.0))
    assert (left.name_of(B), left.names()[B], left.name_of(ME)) == (f"{B} (former)", f"{B} (former)", ME)
    (kept,) = (one for save in effects if isinstance(save, Save) for one in save.records if isinstance(one, PutMeta))
    assert former.restore(kept.value) == left.former == Map({B: B, C: C})
    assert former.restore(b"no") == Map()
    again, _ = step(left, RosterMade(replace(roster_of(2), fleet_id="third"), "joined", 0), at(2.0))
    assert (again.name_of(B), again.name_of(C)) == (B, f"{C} (former)")
    same, _ = step(fleet(), RosterMade(second(), "a role", 0), at(1.0))
    assert same.former is fleet().former


def test_a_roster_made_here_is_in_force_at_once() -> None:
    """Saved with its ledger entry, trusted, told, pushed to every peer, and the verb that waits is answered."""
    node, effects = step(fleet(), RosterMade(second(), "d joined", ticket=7), at(1.0))
    assert node.roster == second()
    assert node.swim.digest == digest(second())
    saved = effects[0]
    assert isinstance(saved, Save)
    assert not saved.lazy
    put, entry = saved.records
    assert put == PutRoster(second())
    assert isinstance(entry, AddEntry)
    assert (entry.verb, entry.facts["version"], entry.facts["why"]) == ("roster", "2", "d joined")
    assert ApplyRoster(second()) in effects
    assert Publish(RosterMoved(2, "d joined")) in effects
    assert Resolve(7, value="2") in effects
    assert pushed(effects) == [B, C]
    body = next(one.envelope.body for one in effects if isinstance(one, Deliver))
    assert msgspec.msgpack.decode(body, type=Roster) == second()


def test_who_is_revoked_is_told_before_its_keys_are_forgotten() -> None:
    """It is the first to hear it, once a direct channel, and then has left; the others hear it under the new roster."""
    node, effects = step(fleet(), RosterMade(second(**{B: 5}), "b was revoked"), at(1.0))
    applied = effects.index(ApplyRoster(second(**{B: 5})))
    assert set(pushed(effects[:applied])) == {B}
    assert pushed(effects[applied:]) == [C]
    assert node.peers[B].standing is Standing.LEFT
    assert Publish(PeerMoved(B, Standing.UNKNOWN, Standing.LEFT)) in effects
    _, effects = step(node, RosterMade(replace(second(**{B: 5}), version=3), ""), at(9.0))
    assert set(pushed(effects)) == {C}


def test_the_same_roster_again_changes_nothing() -> None:
    """Whoever waits is answered all the same."""
    node = fleet()
    assert step(node, RosterMade(ONE, "nothing new", ticket=7), at(1.0)) == (node, [Resolve(7, value="1")])


def test_a_roster_that_was_overtaken_is_refused() -> None:
    """Two changes were made on one version: the second is told so, and may be made again."""
    node, _ = step(fleet(), RosterMade(second(), "first"), at(1.0))
    late = replace(second(**{C: 1}), issued_ms=9)
    assert step(node, RosterMade(late, "second", ticket=7), at(1.0)) == (node, [Resolve(7, error=OVERTAKEN)])


def test_joining_another_fleet_takes_any_version() -> None:
    """The roster of another fleet may be younger than that of the fleet of one it replaces."""
    node = replace(fleet(), roster=replace(ONE, version=9, fleet_id="alone"))
    assert step(node, RosterMade(second(), "joined"), at(1.0))[0].roster == second()


def test_an_offered_roster_is_in_force_when_it_is_newer() -> None:
    """And is not pushed on by everybody: its maker has, and heartbeats mend what was lost."""
    node, effects = step(fleet(1), RosterOffered(second(), ME), at(1.0))
    assert node.roster == second()
    assert ApplyRoster(second()) in effects
    assert not pushed(effects)


@pytest.mark.parametrize(
    "offered",
    [ONE, replace(ONE, version=0), replace(second(), fleet_id="other")],
    ids=["the same", "an older one", "another fleet's"],
)
def test_a_roster_never_goes_back(offered: Roster) -> None:
    """What is not newer, or not of this fleet, changes nothing."""
    node = fleet(1)
    assert step(node, RosterOffered(offered, ME), at(1.0)) == (node, [])


def test_waves_are_a_second_apart() -> None:
    """Ten changes in a second are pushed twice: the first at once, the last when the second is over."""
    node, waves = fleet(), 0
    for version in range(2, 12):
        made = RosterMade(replace(ONE, version=version), "")
        node, effects = step(node, made, at(1.0 + version / 100))
        waves += bool(pushed(effects))
    assert waves == 1
    assert Arm(TIMER, 2.02) in effects
    node, effects = beat.step(node, Rang(TIMER), at(2.02))
    assert pushed(effects) == [B, C]


def test_a_peer_with_an_older_roster_gets_ours() -> None:
    """Its heartbeat says so, and the roster goes to it."""
    node, _ = step(fleet(), RosterMade(second(), ""), at(1.0))
    _, effects = beat.step(node, came(B, 1), at(5.0))
    assert pushed(effects) == [B]


def test_of_many_only_a_few_answer_an_old_roster() -> None:
    """In a hundred nodes about four send it, not a hundred; and never the same four."""
    members = roster_of(100, version=2)
    answers = {}
    for sender in ("x", "y"):
        nodes = (restarted(fleet_of(index, members), at(0.0)) for index in range(1, 100))
        beats = [(node, replace(node.peers[ME], beat_no=(1, ord(sender)))) for node in nodes]
        said = Heartbeat(T0_MS, "1", roster_version=1)
        answers[sender] = {node.me.id for node, peer in beats if roster.answer(node, peer, said, at(1.0))}
    assert all(1 <= len(who) <= 12 for who in answers.values())
    assert answers["x"] != answers["y"]


def test_to_a_peer_with_a_newer_roster_we_show_ours() -> None:
    """Our heartbeat goes to it at once, and it will push."""
    _, effects = beat.step(fleet(), came(B, 2), at(5.0))
    assert not pushed(effects)
    # Over two channels while none is proved.
    assert {(one.peer, one.envelope.kind) for one in effects if isinstance(one, Deliver)} == {(B, Kind.HEARTBEAT)}


def test_a_fork_is_a_finding_until_it_is_settled() -> None:
    """Another roster under our number is told with its holder's name; the same one clears it."""
    node = replace(fleet(), swim=replace(fleet().swim, digest=digest(ONE)))
    _, effects = beat.step(node, came(B, 1, b"another"), at(5.0))
    assert findings(effects) == {f"trust.fork {B}": True}
    node = replace(node, findings=Map({("trust.fork", B): roster.FORK}))
    _, effects = beat.step(node, came(B, 1, digest(ONE)), at(5.0))
    assert findings(effects) == {f"trust.fork {B}": False}


def test_a_node_that_was_revoked_knows_it() -> None:
    """A red finding, and it bothers nobody any more."""
    node, effects = step(fleet(1), RosterOffered(second(**{B: 5}), ME), at(1.0))
    assert findings(effects) == {"trust.revoked ": True}
    assert {peer.standing for peer in node.peers.values()} == {Standing.LEFT}


@pytest.mark.parametrize(("index", "asked"), [(0, [Dismiss(C)]), (1, [])], ids=["an admin", "no admin"])
def test_a_member_that_wants_to_go_is_let_go_by_an_admin(index: int, asked: list[Effect]) -> None:
    """Only an admin can issue the roster that says so."""
    assert step(fleet(index), MemberAsked(C), at(1.0))[1] == asked


@pytest.mark.parametrize("seed", range(4))
def test_a_change_reaches_everybody(seed: int) -> None:
    """Made at one node while another is cut off: all that are there have it within two seconds, the other within
    fifteen of its return; a newcomer is ALIVE to everybody, and whoever was revoked has LEFT for everybody."""
    net = Net(5, seed, loss=0.1)
    net.run(15.0)
    lonely, gone, newcomer = name(4), name(3), name(5)
    net.cut = lambda sender, receiver: lonely in (sender, receiver)
    members = (*net.nodes[ME].fleet.roster.members, member(5))
    made = replace(ONE, version=2, members=tuple(replace(one, revoked_ms=int(one.id == gone)) for one in members))
    net.join(5, made)
    net.hear(ME, RosterMade(made, "a newcomer and a revocation"))
    net.run(net.now + 2.0)
    assert all(net.nodes[one].fleet.roster.version == 2 for one in (ME, B, C, gone, newcomer))
    net.run(net.now + 60.0)
    net.cut = lambda sender, receiver: False
    net.run(net.now + 15.0)
    assert net.nodes[lonely].fleet.roster.version == 2
    present = [one for one in net.nodes if one != gone]
    assert all(net.standing(one, gone) is Standing.LEFT for one in present)
    assert all(net.standing(a, b) is Standing.ALIVE for a in present for b in present if a != b)
