"""The one value, seen from outside (pure): `Fleet` and a moment in, the shapes of `engine.api.views` out.

It decides one thing the value leaves open: how present a peer is that was not heard since this node started. It is
graded by the age of its last stored word, and never ALIVE, because that was not measured. Which channel the next
message would take is the cascade's to say, and comes in as an argument.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from engine.api.views import (
    BrokerView,
    ChannelView,
    DoorsView,
    FleetView,
    Health,
    NodeView,
    OutboxView,
    PeerView,
    RefusalsView,
    Refused,
    Status,
)
from engine.config import MembershipConfig
from engine.model.broker import FALLEN
from engine.model.channel import Channel, ChannelHealth
from engine.model.finding import Finding, Severity, arranged, lasted
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from engine.model.roster import Member
from engine.model.story import Letters
from engine.security.identity import fingerprint
from engine.state import Fleet

LOUD = (Severity.CRITICAL, Severity.HIGH)


Best = Mapping[str, Channel]


def status(fleet: Fleet, now: Moment, doors: DoorsView, home: str, best: Best) -> Status:
    """`GET /status`: this node, its fleet, its peers."""
    return Status(
        _node(fleet, now),
        _fleet(fleet),
        BrokerView(fleet.broker.state, fleet.broker.pid, fleet.broker.url, fleet.broker.note),
        _outbox(fleet),
        peers(fleet, now, best),
        findings(fleet, now),
        doors,
        home,
        sum(fleet.refusals.counts.values()),
    )


def peers(fleet: Fleet, now: Moment, best: Best) -> list[PeerView]:
    """Every other member the roster has ever had, by name; those that left or were revoked stand as LEFT, after whoever
    has their name now."""
    others = (one for one in fleet.roster.members if one.id != fleet.me.id)
    ordered = sorted(others, key=lambda one: (one.name, not one.present))
    return [_peer(fleet, member, now, best.get(member.name)) for member in ordered]


def channels(fleet: Fleet, now: Moment, only: str = "") -> dict[str, dict[Channel, ChannelView]]:
    """`GET /channels`: peer name -> channel -> health, for the present members, or for one of them by name or id."""
    return {
        member.name: {channel: _channel(fleet, fleet.health(member.id, channel), now) for channel in Channel}
        for member in sorted(fleet.others(), key=lambda one: one.name)
        if only in ("", member.name, member.id)
    }


def health(fleet: Fleet, now: Moment) -> Health:
    """`GET /health`: is this node well, in one look."""
    found = findings(fleet, now)
    loud = any(finding.severity in LOUD for finding in found)
    me = fleet.me
    return Health(
        not loud and fleet.broker.state not in FALLEN,
        me.name,
        me.id,
        me.version,
        _uptime(fleet, now),
        fleet.broker.state,
        _outbox(fleet),
        round(me.lag_s, 3),
        found,
    )


def refusals(fleet: Fleet) -> RefusalsView:
    """`GET /refusals`: what was refused at the door, counted."""
    last = [Refused(at, reason, channel, src) for at, reason, channel, src in fleet.refusals.last]
    return RefusalsView(dict(sorted(fleet.refusals.counts.items())), last)


def findings(fleet: Fleet, now: Moment) -> list[Finding]:
    """What a person should know, once it has lasted; each finding under its cause, and of whom by name."""
    shown = (one for one in fleet.findings.values() if lasted(one, now.wall_ms))
    found = (one.finding for one in arranged(shown))
    return [msgspec.structs.replace(one, subject=fleet.name_of(one.subject)) for one in found]


def standing(peer: Peer | None, member: Member, config: MembershipConfig, now: Moment) -> Standing:
    """One of ALIVE SUSPECT UNREACHABLE STALE OFFLINE LEFT."""
    if not member.present:
        return Standing.LEFT
    if peer and peer.standing is Standing.LEFT:
        return Standing.UNREACHABLE  # it is we who were put out
    if peer and peer.standing is not Standing.UNKNOWN:
        return peer.standing
    age = seen_s(peer, now)
    grades = (
        (config.unreachable_s, Standing.SUSPECT),
        (config.stale_s, Standing.UNREACHABLE),
        (config.offline_s, Standing.STALE),
    )
    return next((grade for limit, grade in grades if age is not None and age < limit), Standing.OFFLINE)


def seen_s(peer: Peer | None, now: Moment) -> float | None:
    """Seconds since a peer was last heard; None: never. Over a restart the wall clock is all there is."""
    if peer is None:
        return None
    if peer.heard_mono is not None:
        return round(max(0.0, now.mono - peer.heard_mono), 3)
    return round(max(0, now.wall_ms - peer.heard_ms) / 1000, 3) if peer.heard_ms else None


def _node(fleet: Fleet, now: Moment) -> NodeView:
    me = fleet.me
    mine = fleet.mine
    shown = fingerprint(mine.bundle) if mine else ""
    return NodeView(me.name, me.id, me.version, me.pid, _uptime(fleet, now), me.terminal, shown)


def _fleet(fleet: Fleet) -> FleetView:
    roster = fleet.roster
    return FleetView(roster.fleet_name, roster.fleet_id, roster.version, roster.chief.name if roster.chief else None)


def _outbox(fleet: Fleet) -> OutboxView:
    return OutboxView(fleet.mail.waiting, fleet.mail.dead, fleet.mail.full)


def _uptime(fleet: Fleet, now: Moment) -> float:
    return round(now.mono - fleet.me.started_mono, 3)


def _peer(fleet: Fleet, member: Member, now: Moment, best: Channel | None) -> PeerView:
    peer = fleet.peers.get(member.id)
    beat = peer.beat if peer else None
    return PeerView(
        member.name,
        member.id,
        member.role,
        standing(peer, member, fleet.config.membership, now),
        seen_s(peer, now),
        best if member.present else None,
        {channel: fleet.health(member.id, channel).state for channel in Channel},
        bool(member.revoked_ms),
        beat.version if beat else "",
        beat.branch if beat else "",
        beat.head if beat else "",
        beat.load if beat else None,
        peer.offset_ms if peer else None,
        tuple(channel for channel in Channel if fleet.health(member.id, channel).held),
        tuple(channel for channel in Channel if fleet.health(member.id, channel).retried),
    )


def _channel(fleet: Fleet, found: ChannelHealth, now: Moment) -> ChannelView:
    recent = sum(now.mono - at < fleet.config.health.window_s for at in found.fails)
    latency = None if found.latency_ms is None else round(found.latency_ms, 3)
    return ChannelView(found.state, latency, recent, found.reason, found.held, found.since_ms, found.retried)


def inbox_link(page: Letters, params: Mapping[str, str], limit: int) -> str:
    """Where a page of the inbox that is not the last goes on; empty for the last."""
    if not page.more:
        return ""
    forward = bool(params.get("after"))
    where = {"after": page.letters[-1].id} if forward else {"before": page.letters[0].id}
    kept = {name: params[name] for name in ("session", "before") if name in params}
    asked = urlencode(kept | where | {"limit": str(limit)})
    return f'</inbox?{asked}>; rel="{"next" if forward else "prev"}"'
