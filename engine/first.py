"""The first value of a node's life: what the store remembered, put into one `Fleet`."""

import msgspec
from immutables import Map

from engine.config import Config
from engine.health import kept
from engine.mail import freight
from engine.mail.lanes import ends_at
from engine.membership import former
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from engine.model.roster import Roster
from engine.state import Fleet, Mail, Me
from engine.store.restored import Restored


def first(restored: Restored, roster: Roster, me: Me, config: Config, now: Moment) -> Fleet:
    """The value a node starts with. Durations begin anew, because the monotonic clock does: a message's end of life is
    taken from its age once, and a peer is unknown until it speaks."""
    lanes = Map({peer: _taken_up(lane, now) for peer, lane in restored.lanes.items()})
    mail = Mail(
        lanes=lanes,
        streams=restored.streams,
        floors=restored.floors,
        forwards=restored.forwards,
        burdens=freight.borne(restored.forwards),
        waiting=restored.waiting,
        dead=restored.dead,
    )
    known = {peer_id: peer for peer_id, peer in restored.peers.items() if roster.member(peer_id)}
    others = (member.id for member in roster.members if member.id != me.id)
    peers = Map({peer_id: _silent(known.get(peer_id, Peer(peer_id))) for peer_id in others})
    findings = Map(((one.code, one.subject), one) for one in restored.findings)
    mending = kept.restore(restored.meta.get(kept.META, b""), now)
    names = former.restore(restored.meta.get(former.META, b""))
    value = Fleet(me, config, roster, peers=peers, mail=mail, findings=findings, former=names)
    return msgspec.structs.replace(value, mending=mending)


def _taken_up(lane: Lane, now: Moment) -> Lane:
    opened = {number: _waiting(one, now) for number, one in lane.open.items()}
    return msgspec.structs.replace(lane, open=Map(opened), loading=False, heard=(0, 0))


def _waiting(one: Waiting, now: Moment) -> Waiting:
    ends = float("inf") if one.skipping else ends_at(one.envelope, now)
    return msgspec.structs.replace(one, tried=(), flying=(), due=now.mono, expires_at=ends)


def _silent(peer: Peer) -> Peer:
    """The last good data of a peer, and nothing that was true only of the last process."""
    standing = peer.standing if peer.standing is Standing.LEFT else Standing.UNKNOWN
    return msgspec.structs.replace(
        peer, standing=standing, heard_mono=None, suspect_at=None, accusers=frozenset(), rtt_ms=None
    )
