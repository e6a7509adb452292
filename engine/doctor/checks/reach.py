"""Every peer: which channel works, which does not, and why not."""

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.health.cascade import held_back
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState, Class, listed
from engine.model.envelope import KINDS, Kind
from engine.model.exam import judged, unknown, unused
from engine.model.finding import PEERS_AWAY, Finding, Severity
from engine.model.mail import Lane
from engine.model.peer import AWAY, Peer, Standing
from engine.model.vitals import span
from engine.state import Fleet

# A channel that broke a moment ago may be healing already.
LASTS_S = 10.0
# What must be well on this side for a channel to work, by the checks' names.
NEEDS = {Channel.NATS: ("broker", "node.broker"), Channel.GIT: ("hub", "tools"), Channel.SSH: (), Channel.SEED: ()}
# Broken is wrong, also while it is only tried again; what cannot be used for a reason is not.
WRONG = (ChannelState.BROKEN, ChannelState.QUARANTINED)
SILENT = AWAY | {Standing.SUSPECT}
# So many that are away are called by name.
NAMED = 6


def look(scene: Scene) -> Saw:
    """Who is there, and what is broken to them."""
    if scene.fleet is None:
        return unused("peers are known by a running node")
    fleet = scene.fleet
    if fleet.revoked:
        return unused("this node was revoked: its peers take nothing from it")
    present = fleet.others()
    if not present:
        return unused("no peers yet; `fleet invite` prints a code")
    alive = [one for one in present if _live(fleet, one.id).standing is Standing.ALIVE]
    found = [finding for one in alive for finding in (*held(fleet, one.id), *judge(fleet, one.id))]
    silent = [live for one in present if (live := _live(fleet, one.id)).standing in SILENT]
    if len(present) > 1 and sum(one.standing in AWAY for one in silent) == len(present):
        found.append(_nobody(len(silent)))
    elif silent:
        found.append(_away(fleet, silent, scene.now_ms))
    elif not alive:
        return unknown("nobody has been heard yet")
    away = f", {len(present) - len(alive)} not heard" if len(present) > len(alive) else ""
    several = "peers are" if len(present) > 1 else "peer is"
    return judged(f"{len(alive)} of {len(present)} {several} there{away}", found)


def _away(fleet: Fleet, silent: list[Peer], now_ms: int) -> Finding:
    """Peers that nobody hears: no fault of this machine, and nothing that a person who looks for one should miss."""
    newest = sorted(silent, key=lambda one: -one.heard_ms)
    named = [fleet.name_of(one.id) for one in newest]
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    several = len(named) > 1
    how = "away" if any(one.standing in AWAY for one in silent) else "in doubt"
    what = f"{', '.join([*named[:NAMED], *more])} are {how}" if several else f"{named[0]} is {how}"
    if newest[0].heard_ms:
        what += f", {f'{named[0]} ' if several else ''}not heard for {span(now_ms - newest[0].heard_ms)}"
    step = f"`fleet check {named[0]}` tries every channel now; `fleet wake {named[0]}` where it only sleeps"
    title = f"Peers are {how}" if several else f"A peer is {how}"
    return Finding(PEERS_AWAY, title, Severity.INFO, what, "", step)


def _nobody(several: int) -> Finding:
    """One machine may be shut; that all are is this one's doing more likely."""
    what = f"none of {several} peers is heard: this machine is cut off, or was put out of the fleet, or all are away"
    step = "see that this machine has its network; `fleet status` on another says whether it is still a member"
    causes = ("trust.refused", "trust.revoked", "node.listen", "node.gossip")
    return Finding("reach.nobody", "Nobody is there", Severity.HIGH, what, "", step, causes)


def held(fleet: Fleet, peer: str) -> list[Finding]:
    """That nothing goes to a peer that is there, because a person holds back all that would take it; and what waits."""
    lane = fleet.mail.lanes.get(peer, Lane())
    public = [one for one in lane.open.values() if KINDS[one.envelope.kind].public]
    each = [held_back(fleet, peer, one.envelope.kind, via=one.via, widened=one.widened) for one in public]
    usual = held_back(fleet, peer, Kind.CONTEXT)
    # Of what has no number yet nobody knows here what it is.
    waiting = sum(map(bool, each)) + (lane.backlog if usual else 0)
    kept = [channel for channel in CHANNELS if any(channel in one for one in (*each, usual))]
    if not kept:
        return []
    name = fleet.name_of(peer)
    many = f"{waiting} message{'s' if waiting > 1 else ''} wait{'' if waiting > 1 else 's'} for {name}"
    what = f"{many if waiting else f'nothing new would reach {name}'}, which is there: "
    what += f"{listed(kept)} {'are' if len(kept) > 1 else 'is'} held back by you"
    step = f"`fleet hold {name} {kept[0]} --off` lets {kept[0]} back in, as x does on its cell in screen 2"
    title = "Mail is held back" if waiting else "A peer is held back"
    return [Finding("reach.held", title, Severity.MEDIUM if waiting else Severity.LOW, what, name, step)]


def judge(fleet: Fleet, peer: str) -> list[Finding]:
    """What is wrong with the channels to a peer that is there."""
    name = fleet.name_of(peer)
    known = [(channel, fleet.channels[peer, channel]) for channel in CHANNELS if (peer, channel) in fleet.channels]
    direct = [health for channel, health in known if CHANNELS[channel].speed is Class.HOT]
    works = any(health.answers for health in direct)
    return [_found(name, channel, health, works) for channel, health in known if health.shown in WRONG]


def _found(name: str, channel: Channel, health: ChannelHealth, works: bool) -> Finding:
    subject, reason = f"{name}/{channel}", health.trouble
    if health.state is ChannelState.QUARANTINED:
        what = f"{channel} to {name}: {reason}"
        step = f"compare `fleet status` there with the roster; `fleet revoke {name}` if you did not reinstall it"
        return Finding("reach.key", "A peer shows another key", Severity.CRITICAL, what, subject, step)
    what = f"{channel} to {name}: {reason}" + ("; mail goes another way" if works else "")
    severe = Severity.LOW if works else Severity.HIGH
    step = f"`fleet check {name}` tries every channel now; w on the cell in screen 2 tells its story"
    needs = ("channel.cold", *NEEDS.get(channel, ()))
    lasts, at_ms = LASTS_S, health.broke_ms or health.since_ms
    return Finding("reach.channel", "A channel is broken", severe, what, subject, step, needs, at_ms, lasts)


def _live(fleet: Fleet, peer: str) -> Peer:
    return fleet.peers.get(peer, Peer(peer))


CHECK = Check("reach", "reachability of peers", look, depends_on=("node.listen", "node.gossip"))
