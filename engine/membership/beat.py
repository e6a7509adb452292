"""The heartbeat: how this node is, told to every peer every ten seconds, and what peers tell of themselves.

It goes over the best working channel, over two while none is proved, in slices of sixteen peers spread over the ten
seconds, so that a hundred peers are not a burst and a thousand stretch the round instead of costing more. What peers
should know at once (another branch or head, other addresses, a new sealing key, a new member) brings the next slice
forward, a second after the last at the earliest. The machine is looked at once a round, before.

Of a peer's heartbeats the newest counts, by its number, because its clock may be set back. Its clock minus ours is
estimated from them: a message under way only makes a clock look late, so an estimate rises at once and sinks by an
eighth. Its error is the fastest delivery among the last few, about half a round trip. No duration is taken from it.
"""

from collections.abc import Callable
from itertools import islice
from math import ceil
from typing import Any

from msgspec.structs import replace

from engine.effects import ApplyRoster, Arm, AskReady, Effect, Look, Save
from engine.errors import FleetError
from engine.membership import presence, probes, roster, way
from engine.membership.packet import Claim, Rumour
from engine.model.channel import DIRECT, ChannelState
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Parcel
from engine.model.moment import MINUTE_S, Moment
from engine.model.packets import REACHES_LIMIT, Heartbeat, pack, unpack
from engine.model.peer import Peer
from engine.model.records import PutPeer
from engine.signals import (
    Arrived,
    Listening,
    Looked,
    Rang,
    Reachable,
    Refreshed,
    RosterMade,
    RosterOffered,
    Signal,
    Started,
)
from engine.state import Fleet, Followed

Step = tuple[Fleet, list[Effect]]

TIMER = "beat.round"
SLICE = 16
SLICE_REST_S = 1.0
# The first round waits for the first channels, which are up within about half a second of a start.
FIRST_S = 0.5
# What the store knows of a peer that is well is refreshed every so many rounds: one small write a minute.
KEPT_ROUNDS = 6
SINK = 0.125
# No path is so slow: a clock that is off by more than before was set.
CLOCK_SET_MS = 30_000
# Following a peer is a write, a look at its channels and another configuration of our broker. A machine that changes
# networks says so a few times; one that says so all the time is none that can be followed.
MOVES_A_MINUTE = 12


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The heartbeat after one signal."""
    heard = _HEARD.get(type(signal))
    return heard(fleet, signal, now) if heard else (fleet, [])


# --------------------------------------------------------------------------------------------------------- telling


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    return fleet, [Look(), Arm(TIMER, now.mono + FIRST_S)]


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    if signal.key == roster.TIMER:
        return roster.wave(fleet, now)
    if signal.key != TIMER:
        return fleet, []
    peers = [peer_id for peer_id in sorted(fleet.peers) if presence.listed(fleet, peer_id)]
    slices = max(1, ceil(len(peers) / SLICE))
    turn = fleet.swim.beats % slices
    told = peers[turn * SLICE : (turn + 1) * SLICE]
    looked: list[Effect] = [] if turn else [Look()]
    swim = replace(fleet.swim, beats=fleet.swim.beats + 1, beat_at=now.mono, told=_news(fleet))
    fleet = replace(fleet, swim=swim)
    kept = _kept(fleet, told) if swim.beats // slices % KEPT_ROUNDS == 0 else []
    return fleet, [*kept, *looked, *_beats(fleet, told, now), Arm(TIMER, now.mono + _rest_s(fleet, slices))]


def _rest_s(fleet: Fleet, slices: int) -> float:
    """Seconds to the next slice, jittered by a twentieth either way."""
    jitter = 0.95 + probes.draw(fleet.me.id, fleet.swim.beats) % 1000 / 10_000
    return max(SLICE_REST_S, fleet.config.membership.heartbeat_s / slices) * jitter


def _kept(fleet: Fleet, peer_ids: list[str]) -> list[Effect]:
    heard = (fleet.peers[peer_id] for peer_id in peer_ids)
    records = tuple(PutPeer(peer) for peer in heard if peer.heard_mono is not None)
    return [Save(records, lazy=True)] if records else []


def _hurried(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """Peers should know this now."""
    return fleet, [Arm(TIMER, max(now.mono, fleet.swim.beat_at + SLICE_REST_S))]


def _looked(fleet: Fleet, signal: Looked, now: Moment) -> Step:
    return _hurried(fleet, signal, now) if fleet.swim.beats and fleet.swim.told != _news(fleet) else (fleet, [])


def _news(fleet: Fleet) -> str:
    """What of a look is worth telling at once."""
    look = fleet.me.look
    return f"{look.branch} {look.head}" if look else ""


def _beats(fleet: Fleet, peer_ids: list[str], now: Moment) -> list[Effect]:
    if not peer_ids:
        return []
    base = replace(
        fleet.me.look or Heartbeat(now.wall_ms, fleet.me.version),
        sent_ms=now.wall_ms,
        uptime_s=max(0, int(now.mono - fleet.me.started_mono)),
        broker=fleet.broker.state,
        addresses=fleet.me.addresses,
        roster_version=fleet.roster.version,
        roster_hash=fleet.swim.digest,
        prekey=fleet.me.prekey,
        incarnation=fleet.me.incarnation,
        reaches=_reaches(fleet),
        ways=fleet.me.ways,
    )
    beats = (
        (peer_id, replace(base, floor_epoch=_floor(fleet, peer_id), your_epoch=_newest(fleet, peer_id)))
        for peer_id in peer_ids
    )
    return [effect for to, beat in beats for effect in way.hail(fleet, to, Kind.HEARTBEAT, pack(beat), now)]


def _reaches(fleet: Fleet) -> tuple[str, ...]:
    healthy = (peer_id for peer_id in sorted(fleet.peers) if _reached(fleet, peer_id))
    return tuple(islice(healthy, REACHES_LIMIT))


def _reached(fleet: Fleet, peer_id: str) -> bool:
    return any(fleet.health(peer_id, channel).state is ChannelState.HEALTHY for channel in DIRECT)


def _floor(fleet: Fleet, peer_id: str) -> int:
    """Our oldest epoch with numbers open to the peer."""
    lane = fleet.mail.lanes.get(peer_id)
    return min((epoch for epoch, _ in lane.open), default=fleet.me.epoch) if lane else fleet.me.epoch


def _newest(fleet: Fleet, peer_id: str) -> int:
    """The newest of the peer's epochs that we have seen."""
    window = fleet.mail.pulses.get(peer_id)
    newest: int = max([*fleet.mail.streams.get(peer_id, ()), window.epoch if window else 0])
    return newest


# --------------------------------------------------------------------------------------------------------- hearing


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    effects: list[Effect] = []
    for parcel in signal.parcels:
        if parcel.envelope.kind is Kind.HEARTBEAT:
            fleet, more = _heard(fleet, parcel, now)
            effects += more
    return fleet, effects


def _heard(fleet: Fleet, parcel: Parcel, now: Moment) -> Step:
    envelope = parcel.envelope
    peer, beat = presence.listed(fleet, envelope.src), _read(envelope)
    number = (envelope.src_epoch, envelope.seq)
    if peer is None or beat is None or number <= peer.beat_no:
        return fleet, []
    beat = replace(beat, ways=beat.ways_after(peer.beat))
    fleet, moved = _followed(fleet, peer, beat, now)
    offset_ms = peer.offset_ms if parcel.relay else clock_offset_ms(peer, beat.sent_ms, now)
    peer = replace(peer, beat=beat, beat_no=number, offset_ms=offset_ms)
    fleet = replace(fleet, peers=fleet.peers.set(peer.id, peer))
    fleet, effects = presence.believe(fleet, Rumour(Claim.ALIVE, peer.id, beat.incarnation), now)
    # New addresses are kept at once: they are how a peer is found again after a restart of ours.
    saved: list[Effect] = [Save((PutPeer(peer),), lazy=True)] if moved else []
    # Brokers are called at those addresses too.
    followed: list[Effect] = [ApplyRoster(fleet.roster), AskReady(peer.id)] if moved else []
    return fleet, [*saved, *effects, *followed, *_compared(fleet, peer, beat, now)]


def _followed(fleet: Fleet, peer: Peer, beat: Heartbeat, now: Moment) -> tuple[Fleet, bool]:
    """Whether the peer is to be followed to where it says it is: not where it was, and not too often. Beyond the limit
    it is called there all the same, and followed by the next heartbeat that finds room."""
    before = fleet.swim.followed.get(peer.id)
    if before is None:
        before = Followed((peer.beat.addresses, peer.beat.ways) if peer.beat else ((), None))
    said = beat.addresses, beat.ways
    at = tuple(one for one in before.at if now.mono - one < MINUTE_S)
    if (said == before.said and peer.beat is not None) or len(at) >= MOVES_A_MINUTE:
        return fleet, False
    followed = fleet.swim.followed.set(peer.id, Followed(said, (*at, now.mono)))
    return replace(fleet, swim=replace(fleet.swim, followed=followed)), True


def _read(envelope: Envelope) -> Heartbeat | None:
    try:
        beat: Heartbeat = unpack(Kind.HEARTBEAT, envelope.body)
    except FleetError:
        return None
    return beat


def _compared(fleet: Fleet, peer: Peer, beat: Heartbeat, now: Moment) -> list[Effect]:
    """A peer with an older roster gets ours; to one with a newer we show ours, and get its."""
    if beat.roster_version > fleet.roster.version:
        return _beats(fleet, [peer.id], now)
    return roster.answer(fleet, peer, beat, now)


def clock_offset_ms(peer: Peer, sent_ms: int, now: Moment) -> float:
    """A peer's clock minus ours, in milliseconds, after one more heartbeat straight from it. Too low by the fastest
    delivery seen lately."""
    seen = float(sent_ms - now.wall_ms) + (peer.rtt_ms or 0.0) / 2
    if peer.offset_ms is None or seen > peer.offset_ms or peer.offset_ms - seen > CLOCK_SET_MS:
        return seen
    return peer.offset_ms + SINK * (seen - peer.offset_ms)


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Started: _started,
    Rang: _rang,
    Arrived: _arrived,
    Looked: _looked,
    Listening: _hurried,
    Reachable: _hurried,
    Refreshed: _hurried,
    RosterMade: _hurried,
    RosterOffered: _hurried,
}
