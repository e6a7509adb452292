"""The roster in force: putting a new one in its place, and seeing that everybody has it.

    RosterMade     issued here, or adopted by joining   in force, saved, pushed to every peer at once
    RosterOffered  pushed by a peer                     in force if it is newer than ours, saved
    a heartbeat    shows an older version               its sender gets ours (of many, about four send it)
                   shows ours under another hash        a fork: a red finding, and nothing is believed

Signatures and ancestry were checked before the signal (`engine.security.ancestry`). A roster never goes back: of the
same fleet only a higher version counts. Whoever was revoked is told first, while its keys are still known here. Pushes
to everybody are at least a second apart: a hundred machines joining in ten seconds are ten waves, not a hundred.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.effects import ApplyRoster, Arm, Dismiss, Effect, Publish, Raise, Resolve, Save
from engine.errors import ErrorFacts, Fault
from engine.membership import former, presence, probes, seating, way
from engine.model.channel import DIRECT
from engine.model.envelope import Kind
from engine.model.event import RosterMoved
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.model.packets import Heartbeat
from engine.model.peer import Peer
from engine.model.records import AddEntry, PutRoster
from engine.model.roster import Roster
from engine.security.ancestry import digest
from engine.signals import Found, MemberAsked, RosterMade, RosterOffered, Signal
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

TIMER = "beat.roster"
WAVE_REST_S = 1.0
# Of all that hear an old version in a heartbeat, about so many answer it with the roster.
ANSWERERS = 4

_encode = msgspec.msgpack.Encoder().encode


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The roster after one signal."""
    heard = _HEARD.get(type(signal))
    return heard(fleet, signal, now) if heard else (fleet, [])


def _made(fleet: Fleet, signal: RosterMade, now: Moment) -> Step:
    done: list[Effect] = [Resolve(signal.ticket, value=str(signal.roster.version))] if signal.ticket else []
    if signal.roster == fleet.roster:
        return fleet, done
    if not _newer(fleet, signal.roster) and signal.roster.fleet_id == fleet.roster.fleet_id:
        return fleet, [Resolve(signal.ticket, error=OVERTAKEN)] if signal.ticket else []
    fleet, effects = _enforced(fleet, signal.roster, signal.why, now)
    fleet, pushed = wave(fleet, now)
    return fleet, [*effects, *done, *pushed]


def _offered(fleet: Fleet, signal: RosterOffered, now: Moment) -> Step:
    if not _newer(fleet, signal.roster):
        return fleet, []
    return _enforced(fleet, signal.roster, f"version {signal.roster.version} from {fleet.name_of(signal.frm)}", now)


def _newer(fleet: Fleet, offered: Roster) -> bool:
    return offered.fleet_id == fleet.roster.fleet_id and offered.version > fleet.roster.version


def _asked_to_leave(fleet: Fleet, signal: MemberAsked, now: Moment) -> Step:
    """A member wants to go: an admin issues the roster that says so."""
    mine = fleet.mine
    return fleet, [Dismiss(signal.node)] if mine and mine.admin and mine.present else []


def _enforced(fleet: Fleet, roster: Roster, why: str, now: Moment) -> Step:
    """The roster in force: durable, then told to those who lose by it, then trusted by, then shown."""
    before = fleet
    fleet, names = former.left_behind(fleet, roster)
    fleet = replace(fleet, roster=roster, swim=replace(fleet.swim, digest=digest(roster)))
    fleet, moved = seating.seated(fleet, now)
    facts = {"version": str(roster.version), "why": why, "signer": roster.signer}
    return fleet, [
        Save((PutRoster(roster), *names, AddEntry(now.wall_ms, roster.signer, "roster", roster.fleet_id, facts))),
        *_farewells(before, roster, now),
        ApplyRoster(roster),
        *moved,
        Publish(RosterMoved(roster.version, why)),
        Raise(Found(REVOKED, present=fleet.revoked)),
    ]


def _farewells(before: Fleet, roster: Roster, now: Moment) -> list[Effect]:
    """The roster to those it revokes, over both direct channels while these are still theirs: the brokers turn them
    away in the same moment, so P1 alone may be too late."""
    present = {member.id for member in before.roster.members if member.present} - {before.me.id}
    gone = [member.id for member in roster.members if member.revoked_ms and member.id in present]
    ways = [(peer_id, channel) for peer_id in gone for channel in DIRECT]
    body = _encode(roster)
    return [effect for to, channel in ways for effect in way.pulse(before, to, Kind.ROSTER, body, now, prefer=channel)]


# --------------------------------------------------------------------------------------------------------- spreading


def wave(fleet: Fleet, now: Moment) -> Step:
    """The roster to every peer, now or as soon as the last wave is a second old."""
    again_at = fleet.swim.pushed_at + WAVE_REST_S
    if again_at > now.mono:
        return fleet, [Arm(TIMER, again_at)]
    body = _encode(fleet.roster)
    fleet = replace(fleet, swim=replace(fleet.swim, pushed_at=now.mono))
    peers = [peer_id for peer_id in sorted(fleet.peers) if presence.listed(fleet, peer_id)]
    return fleet, [effect for peer_id in peers for effect in way.pulse(fleet, peer_id, Kind.ROSTER, body, now)]


def answer(fleet: Fleet, peer: Peer, beat: Heartbeat, now: Moment) -> list[Effect]:
    """What a heartbeat that shows no newer roster than ours calls for."""
    if beat.roster_version < fleet.roster.version:
        crowd = max(1, len(fleet.peers) // ANSWERERS)
        chosen = probes.draw(fleet.me.id, peer.id, *peer.beat_no) % crowd == 0
        return way.pulse(fleet, peer.id, Kind.ROSTER, _encode(fleet.roster), now) if chosen else []
    forked = beat.roster_hash not in (b"", fleet.swim.digest)
    if forked or ("trust.fork", peer.id) in fleet.findings:
        return [Raise(Found(replace(FORK, subject=peer.id), present=forked))]
    return []


OVERTAKEN = ErrorFacts(
    "roster.overtaken",
    "The roster changed meanwhile",
    "another change of the fleet came first, so this one was not made",
    "do it again",
    Fault.WORLD,
)
REVOKED = Finding(
    "trust.revoked",
    "This node was revoked",
    Severity.CRITICAL,
    "the fleet no longer believes it: nothing it sends is taken, and nothing is sent to it",
    next_step="`fleet leave`, then join from a new, empty home with a new invite",
)
FORK = Finding(
    "trust.fork",
    "Two rosters of one version",
    Severity.CRITICAL,
    "a peer holds another roster under the number of ours: two admins issued one at the same time, or one was restored",
    next_step="on an admin's node run `fleet role NAME ROLE` for anybody: the next version settles it",
)

_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    RosterMade: _made,
    RosterOffered: _offered,
    MemberAsked: _asked_to_leave,
}
