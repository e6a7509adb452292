"""The gossip machine: one ping a second, and what follows from an answer or from silence.

    due ──Ping──> answered: well
                  0.5 s of silence: three others are asked, and a PING goes over HTTP (UDP may be all that is cut)
                  1.0 s of silence: SUSPECT, told to everybody (the suspect too, who refutes)

Peers are pinged in a shuffled round, so each is seen once a round and by everybody in another order; peers that are
away are pinged as well, one in every fifth turn. Any word from a peer, on any channel, answers for it.

A node that was itself absent doubts itself, not the others (Lifeguard): what it waits for is given the time it missed,
it says anew that it is alive, and it judges nobody before what has queued up meanwhile is read. All of it is one timer
that rings once a second while all is well.

This module moves the machine; what a standing is, and what a rumour does to it, is `presence`; words on the wire are
`packet`; who to write to and how is `probes`.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from engine.effects import Arm, Effect
from engine.membership import packet, presence, probes, seating, suspicion
from engine.membership.packet import Ack, Claim, Nack, Packet, Ping, PingReq, Rumour
from engine.model.channel import CHANNELS, Verdict
from engine.model.envelope import KINDS
from engine.model.moment import Moment
from engine.model.peer import THERE, Peer
from engine.security.ancestry import digest
from engine.signals import (
    Arrived,
    DatagramCame,
    LoopLagged,
    Rang,
    RosterMade,
    RosterOffered,
    Signal,
    Started,
    Tried,
)
from engine.state import Fleet, Probe, Swim

Step = tuple[Fleet, list[Effect]]

TIMER = "swim.tick"
# Rings are never closer than this, whatever is due: a timer must not be able to spin.
GRAIN_S = 0.01
# Pings under way for others; beyond, the answer is "no" at once.
RELAYS_LIMIT = 256
# A relay says that it hears nothing while the asker still waits for it (Lifeguard, section IV-A).
NACK_SHARE = 0.8
_UNHEARD = (-1, 0)


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The gossip machine after one signal."""
    heard = _HEARD.get(type(signal))
    return heard(fleet, signal, now) if heard else (fleet, [])


# ------------------------------------------------------------------------------------------------------------ time


def _started(fleet: Fleet, signal: Started, now: Moment) -> Step:
    """Packet numbers and incarnations begin at the wall clock, above those of an earlier life; where the clock went
    back, peers refute us once and we rise above what they remember."""
    raised = max(fleet.me.incarnation, now.wall_ms // 1000)
    swim = Swim(serial=now.wall_ms, due=now.mono + _spread(fleet), digest=digest(fleet.roster))
    fleet = replace(fleet, me=replace(fleet.me, incarnation=raised), swim=swim)
    fleet = presence.refute(seating.restarted(fleet, now), raised)
    return _regrouped(fleet, signal, now)


def _regrouped(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The roster moved: whom to ping is counted anew, and the timer starts with the first peer."""
    return _armed(replace(fleet, swim=replace(fleet.swim, order=probes.shuffled(fleet), turn=0)), now)


def _spread(fleet: Fleet) -> float:
    """Where in the period a node pings: machines that boot together must not ping together."""
    return probes.draw(fleet.me.id, 0) % 1000 / 1000 * fleet.config.membership.period_s


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    if signal.key != TIMER:
        return fleet, []
    late_s = now.mono - fleet.swim.wake
    fleet = replace(fleet, swim=replace(fleet.swim, wake=float("inf")))
    if late_s > fleet.config.membership.ping_timeout_s / 2:
        fleet = presence.extend(fleet, late_s, now)
    return _turned(fleet, now)


def _lagged(fleet: Fleet, signal: LoopLagged, now: Moment) -> Step:
    """We were stalled or asleep. Sockets are drained before the next ping; nobody is judged for our silence."""
    config = fleet.config.membership
    fleet = presence.extend(fleet, signal.lag_s, now)
    well = suspicion.doubted(fleet.swim.health, +1)
    due = max(fleet.swim.due, now.mono + config.ping_timeout_s)
    fleet = replace(fleet, swim=replace(fleet.swim, health=well, due=due))
    if signal.lag_s >= config.period_s:
        fleet = presence.refute(fleet, fleet.me.incarnation)
    return _armed(fleet, now)


def _turned(fleet: Fleet, now: Moment) -> Step:
    """All that is due at this moment, then the timer again."""
    effects: list[Effect] = []
    for part in (_judge, _excuse, _ask_first, presence.fall_due, presence.fall_alone, _ping_due):
        fleet, more = part(fleet, now)
        effects += more
    fleet, armed = _armed(fleet, now)
    return fleet, [*effects, *armed]


def _armed(fleet: Fleet, now: Moment) -> Step:
    """One timer for everything, brought forward to what is due sooner. An answer settles all that it was set for, so
    it is put off: an idle node wakes once for each ping and not to find that it was answered. What is overdue is never
    put off."""
    swim = fleet.swim
    if not fleet.peers:
        return fleet, []
    moments = [swim.due, presence.isolated_at(fleet), *swim.falls.values()]
    moments += [_judged_at(fleet, probe) for probe in swim.awaiting.values()]
    moments += [_excused_at(fleet, sent_at) for *_, sent_at in swim.relays.values()]
    soonest = min(moments)
    wake = max(soonest, now.mono + GRAIN_S)
    if wake >= swim.wake and not now.mono < swim.wake < soonest:
        return fleet, []
    return replace(fleet, swim=replace(swim, wake=wake)), [Arm(TIMER, wake, anew=True)]


# ------------------------------------------------------------------------------------------------------------ pings


def _judged_at(fleet: Fleet, probe: Probe) -> float:
    after = suspicion.give_up_s if probe.asked else suspicion.wait_s
    return probe.sent_at + after(fleet.config.membership, fleet.swim.health)


def _judge(fleet: Fleet, now: Moment) -> Step:
    """Silence after a ping: others are asked, then the peer is suspected."""
    effects: list[Effect] = []
    for number, probe in fleet.swim.awaiting.items():
        if _judged_at(fleet, probe) <= now.mono:
            fleet, more = (_lost if probe.asked else probes.ask_others)(fleet, number, probe, now)
            effects += more
    return fleet, effects


def _lost(fleet: Fleet, number: int, probe: Probe, now: Moment) -> Step:
    """Nobody reached the peer. Where those we asked did not answer either, the silence may be ours."""
    swim = replace(fleet.swim, awaiting=fleet.swim.awaiting.delete(number))
    peer = presence.listed(fleet, probe.peer)
    here = peer is not None and peer.standing in THERE
    if here and not probe.backed and len(swim.order) > 1:
        swim = replace(swim, health=suspicion.doubted(swim.health, +1))
    return presence.accuse(replace(fleet, swim=swim), probe.peer, now)


def _excuse(fleet: Fleet, now: Moment) -> Step:
    """Pings made for others that stay unanswered: say so in time, so that the asker does not doubt itself."""
    effects: list[Effect] = []
    for number, (host, port, asked, sent_at) in fleet.swim.relays.items():
        if _excused_at(fleet, sent_at) <= now.mono:
            fleet = replace(fleet, swim=replace(fleet.swim, relays=fleet.swim.relays.delete(number)))
            effects.append(probes.nack(fleet, host, port, asked))
    return fleet, effects


def _excused_at(fleet: Fleet, sent_at: float) -> float:
    return sent_at + NACK_SHARE * suspicion.wait_s(fleet.config.membership, fleet.swim.health)


def _ask_first(fleet: Fleet, now: Moment) -> Step:
    """In a large fleet a round takes longer than patience: whoever was never heard is asked before it is judged."""
    effects: list[Effect] = []
    patience_s = suspicion.give_up_s(fleet.config.membership, fleet.swim.health)
    for peer_id in presence.unasked(fleet, now):
        falls = fleet.swim.falls.set(peer_id, now.mono + patience_s)
        fleet, more = probes.ping(replace(fleet, swim=replace(fleet.swim, falls=falls)), peer_id, now)
        effects += more
    return fleet, effects


def _ping_due(fleet: Fleet, now: Moment) -> Step:
    config, swim = fleet.config.membership, fleet.swim
    if swim.due > now.mono:
        return fleet, []
    due = max(swim.due + suspicion.probe_s(config, swim.health), now.mono + config.ping_timeout_s)
    fleet = replace(fleet, swim=replace(swim, due=due))
    targets: list[str | None] = []
    for _ in range(suspicion.pings_a_turn(presence.members(fleet))):
        fleet, target = probes.next_target(fleet)
        targets.append(target)
    effects: list[Effect] = []
    for peer_id in (*targets, probes.next_away(fleet, alone=targets[0] is None)):
        if peer_id:
            fleet, more = probes.ping(fleet, peer_id, now)
            effects += more
    return fleet, effects


# --------------------------------------------------------------------------------------------------------- evidence


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Step:
    marks, spoke = fleet.swim.marks, set[str]()
    for parcel in signal.parcels:
        envelope = parcel.envelope
        durable = KINDS[envelope.kind].durable
        # What was stored on its way may be a day old: it proves nothing about now.
        if durable and (parcel.relay or CHANNELS[signal.via].stores):
            continue
        key, number = (envelope.src, durable), (envelope.src_epoch, envelope.seq)
        # A number seen before, or an older one, may be a recording.
        if number > marks.get(key, _UNHEARD):
            marks = marks.set(key, number)
            spoke.add(envelope.src)
    if spoke:
        fleet = replace(fleet, swim=replace(fleet.swim, marks=marks))
    return _all_heard(fleet, spoke, now)


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Step:
    confirmed = signal.outcome.verdict is Verdict.CONFIRMED
    return _all_heard(fleet, {signal.peer} if confirmed else set(), now)


def _all_heard(fleet: Fleet, peer_ids: set[str], now: Moment) -> Step:
    effects: list[Effect] = []
    for peer_id in sorted(peer_ids):
        fleet, more = presence.heard(fleet, peer_id, now)
        effects += more
    fleet, armed = _armed(fleet, now) if effects or fleet.swim.awaiting else (fleet, [])
    return fleet, [*effects, *armed]


def _datagram(fleet: Fleet, signal: DatagramCame, now: Moment) -> Step:
    """A packet of a member. One that nobody of ours sent, or that cannot be read, changes nothing."""
    came = packet.decode(signal.packet)
    peer = None if came is None or came.src == fleet.me.id else presence.listed(fleet, came.src)
    if came is None or peer is None:
        return fleet, []
    fleet, effects = _told(fleet, _said(came, peer), now)
    fleet, answered = _ANSWERED[type(came)](fleet, came, signal, now)
    fleet, armed = _armed(fleet, now)
    return fleet, [*effects, *answered, *armed]


def _said(came: Packet, sender: Peer) -> list[Rumour]:
    """What a packet says: its sender's own incarnation, where that is news, and its rumours."""
    risen = came.incarnation > sender.incarnation
    own = [Rumour(Claim.ALIVE, came.src, came.incarnation)] if risen else []
    return [*own, *packet.rumours_of(came)]


def _told(fleet: Fleet, rumours: list[Rumour], now: Moment) -> Step:
    effects: list[Effect] = []
    for rumour in rumours:
        if rumour.subject == fleet.me.id:
            fleet = _about_me(fleet, rumour)
        else:
            fleet, more = presence.believe(fleet, rumour, now)
            effects += more
    return fleet, effects


def _about_me(fleet: Fleet, rumour: Rumour) -> Fleet:
    """Only I may refute a rumour about me; an incarnation I do not remember is one of an earlier life."""
    mine = fleet.me.incarnation
    if rumour.incarnation < mine or (rumour.claim is Claim.ALIVE and rumour.incarnation == mine):
        return fleet
    well = suspicion.doubted(fleet.swim.health, +1)
    return presence.refute(replace(fleet, swim=replace(fleet.swim, health=well)), rumour.incarnation)


def _asked(fleet: Fleet, came: Ping, signal: DatagramCame, now: Moment) -> Step:
    if came.dst != fleet.me.id:
        return fleet, []
    fleet, effects = _seen(fleet, came, signal, now)
    wrong = [better for rumour in packet.rumours_of(came) if (better := presence.correction(fleet, rumour))]
    fleet, ack = probes.ack(fleet, came.src, signal, came.number, wrong)
    return fleet, [*effects, *ack]


def _asked_for_another(fleet: Fleet, came: PingReq, signal: DatagramCame, now: Moment) -> Step:
    fleet, effects = _seen(fleet, came, signal, now)
    target = presence.listed(fleet, came.target)
    if target is None or len(fleet.swim.relays) >= RELAYS_LIMIT:
        return fleet, [*effects, probes.nack(fleet, signal.host, signal.port, came.number)]
    fleet, pinged = probes.ping_for(fleet, came.target)
    order = (signal.host, signal.port, came.number, now.mono)
    fleet = replace(fleet, swim=replace(fleet.swim, relays=fleet.swim.relays.set(fleet.swim.serial, order)))
    return fleet, [*effects, *pinged]


def _seen(fleet: Fleet, came: Ping | PingReq, signal: DatagramCame, now: Moment) -> Step:
    """A question is a word from its sender if it is newer than the last: an old one may be a recording."""
    path = fleet.swim.paths.get(came.src)
    if path is not None and came.number <= path[0]:
        return fleet, []
    paths = fleet.swim.paths.set(came.src, (came.number, signal.host, signal.port))
    return presence.heard(replace(fleet, swim=replace(fleet.swim, paths=paths)), came.src, now)


def _answered(fleet: Fleet, came: Ack, signal: DatagramCame, now: Moment) -> Step:
    probe = fleet.swim.awaiting.get(came.number)
    if probe is None:
        return _answered_for_another(fleet, came, now)
    if probe.peer == came.src:
        fleet = _measured(fleet, probe, signal, now)
    return presence.heard(fleet, probe.peer, now)


def _measured(fleet: Fleet, probe: Probe, signal: DatagramCame, now: Moment) -> Fleet:
    """The peer itself answered us: this way works, and takes so long."""
    number, *_ = fleet.swim.paths.get(probe.peer, (0,))
    paths = fleet.swim.paths.set(probe.peer, (number, signal.host, signal.port))
    peer = replace(fleet.peers[probe.peer], rtt_ms=(now.mono - probe.sent_at) * 1000)
    return replace(fleet, swim=replace(fleet.swim, paths=paths), peers=fleet.peers.set(peer.id, peer))


def _answered_for_another(fleet: Fleet, came: Ack, now: Moment) -> Step:
    order = fleet.swim.relays.get(came.number)
    if order is None:
        return fleet, []
    host, port, asked, _ = order
    fleet = replace(fleet, swim=replace(fleet.swim, relays=fleet.swim.relays.delete(came.number)))
    fleet, effects = presence.heard(fleet, came.src, now)
    return fleet, [*effects, probes.pass_on(fleet, host, port, asked)]


def _backed(fleet: Fleet, came: Nack, signal: DatagramCame, now: Moment) -> Step:
    probe = fleet.swim.awaiting.get(came.number)
    if probe is None or not probe.asked:
        return fleet, []
    awaiting = fleet.swim.awaiting.set(came.number, replace(probe, backed=True))
    return replace(fleet, swim=replace(fleet.swim, awaiting=awaiting)), []


_ANSWERED: dict[type, Callable[[Fleet, Any, DatagramCame, Moment], Step]] = {
    Ping: _asked,
    PingReq: _asked_for_another,
    Ack: _answered,
    Nack: _backed,
}

_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Started: _started,
    RosterMade: _regrouped,
    RosterOffered: _regrouped,
    Rang: _rang,
    LoopLagged: _lagged,
    Arrived: _arrived,
    Tried: _tried,
    DatagramCame: _datagram,
}
