"""Seating: which peers there are, as the roster in force has it.

    in the roster, present          a seat: UNKNOWN until the first word
    in the roster, revoked or left  LEFT: no ping, no channel, no mail starts to it
    not in the roster               no seat at all (this node went over to another fleet)

When the roster says that this node itself was revoked, everybody has LEFT from where it stands: it bothers nobody. To
people they are unreachable, for whoever is present in the roster has not left (`engine.api.shapes`, `screens.roll`).
What mail does with letters to somebody who left is decided there.
"""

from msgspec.structs import replace

from engine.effects import Effect
from engine.membership import gossip, presence
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]


def restarted(fleet: Fleet, now: Moment) -> Fleet:
    """A life begins: peers keep what the store remembers of them, and none has been heard. Nothing is published: nobody
    moved but we."""
    for peer in list(fleet.peers.values()):
        fresh = replace(peer, standing=Standing.UNKNOWN, heard_mono=None, suspect_at=None, accusers=frozenset())
        fleet = replace(fleet, peers=fleet.peers.set(peer.id, fresh))
    fleet, _ = seated(fleet, now)
    return fleet


def seated(fleet: Fleet, now: Moment) -> Step:
    """Every seat as the roster in force has it, and what has to be done for those that changed."""
    mine = fleet.mine
    inside = mine is not None and mine.present
    effects: list[Effect] = []
    for member in fleet.roster.members:
        if member.id != fleet.me.id:
            fleet, more = (_takes if member.present and inside else _leaves)(fleet, member.id, now)
            effects += more
    known = {member.id for member in fleet.roster.members}
    for stranger in [peer_id for peer_id in fleet.peers if peer_id not in known]:
        fleet = _cleared(replace(fleet, peers=fleet.peers.delete(stranger)), stranger)
    return fleet, effects


def _takes(fleet: Fleet, peer_id: str, now: Moment) -> Step:
    peer = fleet.peers.get(peer_id, Peer(peer_id, since_ms=now.wall_ms))
    if peer.standing is Standing.LEFT:
        return presence.move(fleet, replace(peer, heard_mono=None), Standing.UNKNOWN, now)
    if peer.standing is Standing.UNKNOWN and peer.suspect_at is None:
        return presence.move(fleet, peer, Standing.UNKNOWN, now)
    return fleet, []


def _leaves(fleet: Fleet, peer_id: str, now: Moment) -> Step:
    peer = fleet.peers.get(peer_id, Peer(peer_id, since_ms=now.wall_ms))
    if peer.standing is Standing.LEFT:
        return fleet, []
    return presence.move(_cleared(fleet, peer_id), replace(peer, accusers=frozenset()), Standing.LEFT, now)


def _cleared(fleet: Fleet, peer_id: str) -> Fleet:
    """Without channels to the peer, and without its part in gossip."""
    channels = fleet.channels
    for key in [key for key in channels if key[0] == peer_id]:
        channels = channels.delete(key)
    swim = fleet.swim
    swim = replace(
        swim,
        news=gossip.forget(swim.news, peer_id),
        falls=swim.falls.delete(peer_id) if peer_id in swim.falls else swim.falls,
        paths=swim.paths.delete(peer_id) if peer_id in swim.paths else swim.paths,
    )
    for number, probe in list(swim.awaiting.items()):
        if probe.peer == peer_id:
            swim = replace(swim, awaiting=swim.awaiting.delete(number))
    return replace(fleet, channels=channels, swim=swim)
