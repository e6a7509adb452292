"""The watchdog: what is wrong for long enough is told, and untold once it has been well for long enough.

    not seen -holds-> suspected -lasted-> told -gone-> told, well since -stayed well-> not seen
                      suspected -gone---> not seen     (holds again: told, as before)

It looks once a round of heartbeats, at the value alone: channels that ask and answer, heartbeats, the oldest message of
each lane, and the last measurement of the machine. Of a large fleet it looks at `GLANCE` peers a time, so a look costs
the same at a thousand. Where the fault is a channel's it asks for a repair when it tells it, once; how one is repaired
is the ladder's. It measures nothing itself.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from engine.effects import Effect, Raise
from engine.health import spurned
from engine.health.cascade import held_back
from engine.model import vitals as judge
from engine.model.channel import DIRECT, HOT, Channel, ChannelState, kept_out
from engine.model.envelope import KINDS
from engine.model.finding import Finding, Severity
from engine.model.mail import Waiting
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from engine.signals import Found, Looked, LoopLagged, Measured, RepairAsked, Signal
from engine.state import Fleet, Suspicion, Watch

Step = tuple[Fleet, list[Effect]]

GLANCE = 64
# Stalls of the loop are counted over this long.
STALLS_S = 60.0
KEPT_STALLS = 32


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """What the watchdog makes of one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _measured(fleet: Fleet, signal: Measured, now: Moment) -> Step:
    return _with(fleet, vitals=signal.vitals), []


def _lagged(fleet: Fleet, signal: LoopLagged, now: Moment) -> Step:
    """A machine that slept did not stall."""
    if signal.lag_s > judge.SLEPT_S:
        return fleet, []
    return _with(fleet, stalls=(*_recent(fleet.watch, now), (now.mono, signal.lag_s))[-KEPT_STALLS:]), []


def _looked(fleet: Fleet, signal: Looked, now: Moment) -> Step:
    fleet, peers = _glance(fleet)
    fleet = _noted(fleet, peers, now)
    holds = {(one.code, one.subject): one for one in (*_own(fleet, peers, now), *_of_peers(fleet, peers, now))}
    suspicions, effects = fleet.watch.suspicions, list[Effect]()
    if not suspicions and not holds:
        return fleet, []
    everyone = {one.name for one in fleet.roster.members if one.present}
    unseen = everyone - {fleet.name_of(peer) for peer in peers}
    for key in sorted({*suspicions, *holds}):
        before = suspicions.get(key)
        if key in holds:
            after, more = _held(fleet, holds[key], before, now)
            suspicions = suspicions.set(key, after)
        elif before is not None and key[1] not in unseen:
            gone, more = _absent(fleet, before, now)
            suspicions = suspicions.delete(key) if gone is None else suspicions.set(key, gone)
        else:
            continue
        effects += more
    return (_with(fleet, suspicions=suspicions) if suspicions != fleet.watch.suspicions else fleet), effects


def _held(fleet: Fleet, finding: Finding, before: Suspicion | None, now: Moment) -> tuple[Suspicion, list[Effect]]:
    """It holds: told once it has lasted, and told again where it says something else now."""
    if before is None:
        before = Suspicion(finding, now.mono)
    lasted = now.mono - before.since >= finding.visible_after_s
    after = replace(before, finding=finding, well_since=None, told=before.told or lasted)
    if not after.told or (before.told and before.finding == finding):
        return after, []
    told: list[Effect] = [Raise(_told(finding))]
    return after, told if before.told else [*told, *_repairs(fleet, finding)]


def _told(finding: Finding) -> Found:
    """What is told has lasted: nobody has to wait for it again."""
    return Found(replace(finding, visible_after_s=0.0))


def _repairs(fleet: Fleet, finding: Finding) -> list[Effect]:
    """Where the fault is a channel's, the ladder begins at its first rung; one that has begun goes on as it is."""
    member = fleet.roster.named(finding.subject) if finding.code == COLD else None
    if member is None:
        return []
    ill = [one for one in DIRECT if fleet.health(member.id, one).state in _DOWN]
    return [Raise(RepairAsked(member.id, one, 1, "the watchdog: no direct channel works")) for one in ill[:1]]


def _absent(fleet: Fleet, before: Suspicion, now: Moment) -> tuple[Suspicion | None, list[Effect]]:
    """It does not hold: what was never told is forgotten at once, what was told when it has stayed away. Until then it
    is told as what it was."""
    if not before.told:
        return None, []
    if before.well_since is None:
        was = replace(before.finding, detail=f"{PAST}; it was: {before.finding.detail}", next_step=WAIT)
        return replace(before, finding=was, well_since=now.mono), [Raise(_told(was))]
    if now.mono - before.well_since < fleet.config.watch.well_s:
        return before, []
    return None, [Raise(Found(before.finding, present=False))]


# --- this node --------------------------------------------------------------------------------------------------------


def _own(fleet: Fleet, peers: list[str], now: Moment) -> Iterable[Finding]:
    config, vitals, stalls = fleet.config, fleet.watch.vitals, _recent(fleet.watch, now)
    alive = [one for peer in peers if (one := fleet.peers.get(peer)) and one.standing is Standing.ALIVE]
    clocks = {fleet.name_of(one.id): one.offset_ms for one in alive if one.offset_ms is not None}
    found = [
        *judge.disk(vitals, config.store.ballast_mb, config.store.resume_mb),
        *judge.descriptors(vitals, config.watch.descriptors),
        *judge.lag(len(stalls), max((lag for _, lag in stalls), default=0.0), STALLS_S),
        *judge.backlog(vitals.backlog, config.watch.backlog),
        *judge.clock(clocks, config.watch.clock_s, vitals.platform),
        *spurned.findings(fleet),
    ]
    # Stalls are counted over a minute already.
    return [one if one.code == "loop.lag" else replace(one, visible_after_s=config.watch.lasts_s) for one in found]


def _recent(watch: Watch, now: Moment) -> tuple[tuple[float, float], ...]:
    return tuple((at, lag) for at, lag in watch.stalls if now.mono - at < STALLS_S)


# --- peers ------------------------------------------------------------------------------------------------------------


def _glance(fleet: Fleet) -> tuple[Fleet, list[str]]:
    """The peers of this look: all of a small fleet, the next ones of a large."""
    others = [one.id for one in fleet.others()]
    if len(others) <= GLANCE:
        return fleet, others
    start = fleet.watch.turn % len(others)
    return _with(fleet, turn=(start + GLANCE) % len(others)), (others + others)[start : start + GLANCE]


def _noted(fleet: Fleet, peers: list[str], now: Moment) -> Fleet:
    """Since when each of these has the heartbeat and the oldest open message it has, while it is there: of one that
    comes back nothing is expected before it was back for as long as anybody has."""
    beats, heads = fleet.watch.beats, fleet.watch.heads
    for peer in peers:
        live, lane = fleet.peers.get(peer), fleet.mail.lanes.get(peer)
        away = live is None or live.standing is not Standing.ALIVE
        if live is not None and (away or peer not in beats or beats[peer][0] != live.beat_no):
            beats = beats.set(peer, (live.beat_no, now.mono))
        head = min(lane.open, default=None) if lane is not None else None
        if head is None:
            heads = heads.delete(peer) if peer in heads else heads
        elif away or peer not in heads or heads[peer][0] != head:
            heads = heads.set(peer, (head, now.mono))
    return _with(fleet, beats=beats, heads=heads)


def _of_peers(fleet: Fleet, peers: list[str], now: Moment) -> Iterable[Finding]:
    """Where no channel works, nothing else is expected of a peer: it would be told before its cause has lasted."""
    for peer in peers:
        live = fleet.peers.get(peer)
        if live is not None and live.standing is Standing.ALIVE:
            cold = list(_cold(fleet, live, now))
            yield from cold or (*_mute(fleet, live, now), *_stuck(fleet, live, now))


def _cold(fleet: Fleet, peer: Peer, now: Moment) -> Iterable[Finding]:
    """It gossips, and no channel that asks and answers works to it."""
    pairs = [(channel, fleet.channels.get((peer.id, channel))) for channel in HOT]
    known = [(channel, health) for channel, health in pairs if health is not None]
    if not known or any(health.answers for _, health in known):
        return
    why = "; ".join(f"{channel} {health.trouble}" for channel, health in known)
    name = fleet.name_of(peer.id)
    yield Finding(
        COLD,
        "No direct channel works",
        Severity.HIGH,
        f"{name} is alive, but {why}",
        name,
        f"fleet check {name}",
        ("broker.dying", "broker.missing", "broker.down", "broker.silent", "node.listen"),
        visible_after_s=fleet.config.watch.channel_s,
    )


_DOWN = (ChannelState.BROKEN, ChannelState.HEALING)


def _mute(fleet: Fleet, peer: Peer, now: Moment) -> Iterable[Finding]:
    """Gossip hears it, and its heartbeats do not come; after a sleep of our own the next one is waited for."""
    since = fleet.watch.beats[peer.id][1]
    if now.mono - since < fleet.config.watch.beat_s:
        return
    name, lasts_s = fleet.name_of(peer.id), fleet.config.watch.lasts_s
    what = f"{name} answers pings, but for {now.mono - since:.0f} s no heartbeat of it came"
    step = f"`fleet log` on {name}; `fleet restart` there if its loop hangs"
    yield Finding(MUTE, "Heartbeats do not come", Severity.MEDIUM, what, name, step, (COLD,), visible_after_s=lasts_s)


def _stuck(fleet: Fleet, peer: Peer, now: Moment) -> Iterable[Finding]:
    """Its oldest message has not moved for long, though it is there."""
    head = fleet.watch.heads.get(peer.id)
    if head is None or now.mono - head[1] < fleet.config.watch.queue_s:
        return
    lane = fleet.mail.lanes[peer.id]
    # Of what has no number yet nobody knows here whose it is.
    waiting = sum(KINDS[one.envelope.kind].public for one in lane.open.values()) + lane.backlog
    name, whose = fleet.name_of(peer.id), waiting or "mail of the fleet itself"
    what = f"{whose} for {name}, the oldest for more than {fleet.config.watch.queue_s:.0f} s, though it is alive"
    step = f"`fleet messages --peer {name} --rung accepted` lists them, `fleet why ID` says why"
    oldest = lane.open.get(head[0])
    held = _held_back(fleet, oldest) if oldest else ()
    if held:
        what = f"{what}: {kept_out(held, name)}"
    needs, lasts_s = (COLD, "store.full", "reach.held"), fleet.config.watch.lasts_s
    yield Finding(STUCK, "Messages do not leave", Severity.MEDIUM, what, name, step, needs, visible_after_s=lasts_s)


def _held_back(fleet: Fleet, waiting: Waiting) -> tuple[Channel, ...]:
    of = waiting.envelope
    return held_back(fleet, of.dst, of.kind, via=waiting.via, widened=waiting.widened)


COLD, MUTE, STUCK = "channel.cold", "peer.mute", "queue.stuck"
PAST, WAIT = "not so any more, at the last look", "nothing: it goes once it has stayed away for a while"


def _with(fleet: Fleet, **changes: Any) -> Fleet:
    return replace(fleet, watch=replace(fleet.watch, **changes))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Measured: _measured,
    LoopLagged: _lagged,
    Looked: _looked,
}
