"""Presence: how the standing of a peer moves, and what the node does each time it moves.

Three things move it: a word from the peer itself (`heard`), what others say of it (`believe`), and time
(`fall_due`). Evidence outweighs rumour: an authenticated word makes a peer ALIVE whatever is said of it, and an
accusation it has survived does not count a second time. A peer is declared dead by rumour only to those who suspect it
themselves; to the others that is one more accusation.

Every move is told to the faces and saved; losing and regaining a peer goes into the ledger. Dead is cheap and
reversible: nothing here drops mail or re-assigns work. A peer that LEFT neither falls nor rises.
"""

from msgspec.structs import replace

from engine.effects import Effect, Publish, Save
from engine.membership import gossip, suspicion
from engine.membership.gossip import Belief
from engine.membership.packet import Claim, Rumour
from engine.model.event import PeerMoved
from engine.model.moment import Moment
from engine.model.packets import INCARNATION_LIMIT
from engine.model.peer import AWAY, THERE, Peer, Standing
from engine.model.records import AddEntry, PutPeer, Record
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

# A word within this time of the last is not worth a new value of the fleet: messages come a thousand a second.
HEARD_GRAIN_S = 0.25


def members(fleet: Fleet) -> int:
    """How many are up, as far as we know: what the logarithms of gossip count."""
    return len(fleet.swim.order) + 1


def listed(fleet: Fleet, peer_id: str) -> Peer | None:
    """The peer, if it is one of ours: known to the roster and not gone from it."""
    peer = fleet.peers.get(peer_id)
    return None if peer is None or peer.standing is Standing.LEFT else peer


def heard(fleet: Fleet, peer_id: str, now: Moment) -> Step:
    """A word from the peer itself: it is ALIVE, and whatever was asked of it is answered."""
    peer = listed(fleet, peer_id)
    if peer is None:
        return fleet, []
    fleet = _answered(fleet, peer_id)
    recent = peer.heard_mono is not None and now.mono - peer.heard_mono < HEARD_GRAIN_S
    if peer.standing is Standing.ALIVE and recent:
        return fleet, []
    fleet = replace(fleet, swim=replace(fleet.swim, heard_at=now.mono))
    return move(fleet, replace(peer, heard_mono=now.mono, heard_ms=now.wall_ms), Standing.ALIVE, now)


def _answered(fleet: Fleet, peer_id: str) -> Fleet:
    awaiting = fleet.swim.awaiting
    for number, probe in list(awaiting.items()):
        if probe.peer == peer_id:
            awaiting = awaiting.delete(number)
    if awaiting is fleet.swim.awaiting:
        return fleet
    well = suspicion.doubted(fleet.swim.health, -1)
    return replace(fleet, swim=replace(fleet.swim, awaiting=awaiting, health=well))


def believe(fleet: Fleet, rumour: Rumour, now: Moment) -> Step:
    """What a rumour about a peer changes; passed on when it was news."""
    peer = listed(fleet, rumour.subject)
    if peer is None:
        return fleet, []
    before = _belief(peer)
    after = gossip.merge(before, gossip.belief_of(rumour))
    if after == before:
        return fleet, []
    if after.incarnation > before.incarnation:
        # Whoever is accused in a new incarnation had answered the accusation of the one before: doubt begins anew.
        peer = replace(peer, suspect_at=None if peer.standing is Standing.SUSPECT else peer.suspect_at)
        fleet = _tell(fleet, rumour)
    elif rumour.claim is Claim.SUSPECT and len(after.accusers) <= _wanted(fleet):
        fleet = _tell(fleet, rumour)
    return _weigh(fleet, replace(peer, incarnation=after.incarnation, accusers=after.accusers), rumour, now)


def correction(fleet: Fleet, rumour: Rumour) -> Rumour | None:
    """What to say to somebody who tells an accusation that its subject has refuted; None when it has not.

    A refutation that missed one node of a hundred would never reach it otherwise: nobody tells it for ever.
    """
    peer = listed(fleet, rumour.subject)
    refuted = peer is not None and rumour.claim is not Claim.ALIVE and rumour.incarnation < peer.incarnation
    return Rumour(Claim.ALIVE, peer.id, peer.incarnation) if peer is not None and refuted else None


def _belief(peer: Peer) -> Belief:
    dead, accused = peer.standing in AWAY, bool(peer.accusers)
    claim = Claim.DEAD if dead and accused else Claim.SUSPECT if accused else Claim.ALIVE
    return Belief(peer.incarnation, claim, peer.accusers)


def _weigh(fleet: Fleet, peer: Peer, rumour: Rumour, now: Moment) -> Step:
    if rumour.claim is Claim.ALIVE:
        # Hearsay renews whom we know; whom we never heard stays UNKNOWN until it speaks.
        return move(fleet, peer, peer.standing if peer.standing is Standing.UNKNOWN else Standing.ALIVE, now)
    if rumour.claim is Claim.DEAD and peer.standing is Standing.SUSPECT and peer.suspect_at is not None:
        return move(_tell(fleet, rumour), peer, Standing.UNREACHABLE, now)
    accused = Standing.SUSPECT if peer.standing is Standing.ALIVE else peer.standing
    return move(fleet, peer, accused, now)


def accuse(fleet: Fleet, peer_id: str, now: Moment) -> Step:
    """Our own ping failed in every way: we suspect the peer, and say so. Of one never heard nothing is said: it may be
    we who are new here."""
    peer = listed(fleet, peer_id)
    if peer is None or peer.standing in AWAY:
        return fleet, []
    if fleet.me.id in peer.accusers and peer.standing is not Standing.ALIVE:
        return fleet, []
    accused = replace(peer, accusers=peer.accusers | {fleet.me.id})
    if peer.standing is Standing.UNKNOWN:
        return move(fleet, accused, Standing.UNKNOWN, now)
    fleet = _tell(fleet, Rumour(Claim.SUSPECT, peer_id, peer.incarnation, fleet.me.id))
    return move(fleet, accused, Standing.SUSPECT, now)


def unasked(fleet: Fleet, now: Moment) -> list[str]:
    """Who was never heard, is due to be called unreachable, and was not yet asked in vain by anybody."""
    if not fleet.swim.falls:
        return []
    due = sorted(peer_id for peer_id, at in fleet.swim.falls.items() if at <= now.mono)
    return [one for one in due if fleet.peers[one].standing is Standing.UNKNOWN and not fleet.peers[one].accusers]


def fall_due(fleet: Fleet, now: Moment) -> Step:
    """Every standing whose time has come falls."""
    effects: list[Effect] = []
    for peer_id in sorted(peer_id for peer_id, at in fleet.swim.falls.items() if at <= now.mono):
        fleet, more = _fall(fleet, fleet.peers[peer_id], now)
        effects += more
    return fleet, effects


def _fall(fleet: Fleet, peer: Peer, now: Moment) -> Step:
    if peer.standing is Standing.UNKNOWN and peer.suspect_at is not None:
        before_s = suspicion.silent_before_s(peer, fleet.me.started_ms)
        peer = replace(peer, suspect_at=peer.suspect_at - before_s)
    if peer.standing is Standing.SUSPECT:
        fleet = _tell(fleet, Rumour(Claim.DEAD, peer.id, peer.incarnation, fleet.me.id))
    return move(fleet, peer, suspicion.fallen(peer, now.mono, fleet.config.membership), now)


def isolated_at(fleet: Fleet) -> float:
    """The monotonic second at which nobody will have been heard for so long that nobody can be reached."""
    heard_at = fleet.swim.heard_at
    return float("inf") if heard_at is None else heard_at + fleet.config.membership.unreachable_s


def fall_alone(fleet: Fleet, now: Moment) -> Step:
    """Not one word from anybody: we are the one that is cut off, and everybody is out of reach.

    Nothing is told, because nothing is known of them. Without this, an isolated node that rightly doubts itself would
    show peers as present for half a minute, since nobody is left who could accuse with it.
    """
    if isolated_at(fleet) > now.mono:
        return fleet, []
    fleet = replace(fleet, swim=replace(fleet.swim, heard_at=None))
    effects: list[Effect] = []
    for _, peer in sorted(fleet.peers.items()):
        if peer.standing in THERE:
            fleet, more = move(fleet, peer, Standing.UNREACHABLE, now)
            effects += more
    return fleet, effects


def extend(fleet: Fleet, lag_s: float, now: Moment) -> Fleet:
    """We were absent for `lag_s`: that time counts against nobody. Extending twice never reaches past now."""
    swim = fleet.swim
    awaiting = swim.awaiting
    for number, probe in list(awaiting.items()):
        awaiting = awaiting.set(number, replace(probe, sent_at=min(now.mono, probe.sent_at + lag_s)))
    heard_at = None if swim.heard_at is None else min(now.mono, swim.heard_at + lag_s)
    fleet = replace(fleet, swim=replace(swim, awaiting=awaiting, heard_at=heard_at))
    for peer_id in swim.falls:
        peer = fleet.peers[peer_id]
        if peer.suspect_at is not None and peer.suspect_at < now.mono:
            fleet = _put(fleet, replace(peer, suspect_at=min(now.mono, peer.suspect_at + lag_s)))
    return fleet


def refute(fleet: Fleet, incarnation: int) -> Fleet:
    """Say that we are alive, in an incarnation above `incarnation` and our own. A liar cannot drive us beyond the last
    that anybody can read."""
    raised = min(max(fleet.me.incarnation, incarnation) + 1, INCARNATION_LIMIT - 1)
    fleet = replace(fleet, me=replace(fleet.me, incarnation=raised))
    return _tell(fleet, Rumour(Claim.ALIVE, fleet.me.id, raised))


def move(fleet: Fleet, peer: Peer, standing: Standing, now: Moment) -> Step:
    """The fleet with `peer` in this standing, and what has to be done if that is another than before."""
    old = peer.standing
    peer = replace(peer, standing=standing, suspect_at=_suspect_at(peer, standing, now))
    if standing is old:
        return _put(fleet, peer), []
    peer = replace(peer, since_ms=now.wall_ms)
    return _put(fleet, peer), [
        Save((PutPeer(peer), *_entry(fleet, peer, old, now)), lazy=True),
        Publish(PeerMoved(peer.id, old, standing)),
    ]


def _suspect_at(peer: Peer, standing: Standing, now: Moment) -> float | None:
    if standing in (Standing.ALIVE, Standing.LEFT):
        return None
    return now.mono if peer.suspect_at is None else peer.suspect_at


def _entry(fleet: Fleet, peer: Peer, old: Standing, now: Moment) -> tuple[Record, ...]:
    """Losing a peer and having it back is history; a passing suspicion, or the first word after a start, is not."""
    lost = peer.standing is Standing.UNREACHABLE
    back = peer.standing is Standing.ALIVE and old in AWAY
    if not lost and not back:
        return ()
    facts = {"name": fleet.name_of(peer.id), "from": str(old), "heard_ms": str(peer.heard_ms)}
    return (AddEntry(now.wall_ms, fleet.me.id, f"peer.{peer.standing.lower()}", peer.id, facts),)


def _put(fleet: Fleet, peer: Peer) -> Fleet:
    falls_at = suspicion.falls_at(peer, members(fleet), fleet.config.membership)
    falls = fleet.swim.falls
    if falls_at is not None:
        falls = falls.set(peer.id, falls_at)
    elif peer.id in falls:
        falls = falls.delete(peer.id)
    swim = fleet.swim if falls is fleet.swim.falls else replace(fleet.swim, falls=falls)
    return replace(fleet, peers=fleet.peers.set(peer.id, peer), swim=swim)


def _tell(fleet: Fleet, rumour: Rumour) -> Fleet:
    return replace(fleet, swim=replace(fleet.swim, news=gossip.learn(fleet.swim.news, rumour)))


def _wanted(fleet: Fleet) -> int:
    return suspicion.accusers_wanted(members(fleet), fleet.config.membership)
