"""Every peer: which channel works, which does not, and why not."""

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState, Class
from engine.model.exam import judged, unknown, unused
from engine.model.finding import Finding, Severity
from engine.model.peer import AWAY, Peer, Standing
from engine.state import Fleet

# A channel that broke a moment ago may be healing already.
LASTS_S = 10.0
# What must be well on this side for a channel to work, by the checks' names.
NEEDS = {Channel.NATS: ("broker", "node.broker"), Channel.GIT: ("hub", "tools"), Channel.SSH: (), Channel.SEED: ()}
USED = (ChannelState.HEALTHY, ChannelState.DEGRADED, ChannelState.HEALING, ChannelState.UNKNOWN)


def look(scene: Scene) -> Saw:
    """Who is there, and what is broken to them."""
    if scene.fleet is None:
        return unused("peers are known by a running node")
    fleet = scene.fleet
    present = fleet.others()
    if not present:
        return unused("no peers yet; `fleet invite` prints a code")
    alive = [one for one in present if _live(fleet, one.id).standing is Standing.ALIVE]
    found = [finding for one in alive for finding in judge(fleet, one.id)]
    silent = sum(_live(fleet, one.id).standing in AWAY for one in present)
    if silent == len(present) > 1:
        found.append(_nobody(silent))
    elif not alive and not silent:
        return unknown("nobody has been heard yet")
    away = f", {len(present) - len(alive)} away" if len(present) > len(alive) else ""
    return judged(f"{len(alive)} of {len(present)} peers are there{away}", found)


def _nobody(several: int) -> Finding:
    """One machine may be shut; that all are is this one's doing more likely."""
    what = f"none of {several} peers is heard: this machine is cut off, or was put out of the fleet, or all are away"
    step = "see that this machine has its network; `fleet status` on another says whether it is still a member"
    causes = ("trust.refused", "trust.revoked", "node.listen", "node.gossip")
    return Finding("reach.nobody", "Nobody is there", Severity.HIGH, what, "", step, causes)


def judge(fleet: Fleet, peer: str) -> list[Finding]:
    """What is wrong with the channels to a peer that is there."""
    name = fleet.name_of(peer)
    known = [(channel, fleet.channels[peer, channel]) for channel in CHANNELS if (peer, channel) in fleet.channels]
    direct = [health for channel, health in known if CHANNELS[channel].speed is Class.HOT]
    works = any(health.state in USED for health in direct)
    return [_found(name, channel, health, works) for channel, health in known if _is_wrong(channel, health)]


def _is_wrong(channel: Channel, health: ChannelHealth) -> bool:
    """Broken is wrong; what cannot be used for a reason is not, but for the broker's own channel, which all have."""
    if health.state is ChannelState.ABSENT:
        return channel is Channel.NATS
    return health.state in (ChannelState.BROKEN, ChannelState.QUARANTINED)


def _found(name: str, channel: Channel, health: ChannelHealth, works: bool) -> Finding:
    subject, reason = f"{name}/{channel}", health.reason or health.state.lower()
    if health.state is ChannelState.QUARANTINED:
        what = f"{channel} to {name}: {reason}"
        step = f"compare `fleet status` there with the roster; `fleet revoke {name}` if you did not reinstall it"
        return Finding("reach.key", "A peer shows another key", Severity.CRITICAL, what, subject, step)
    what = f"{channel} to {name}: {reason}" + ("; mail goes another way" if works else "")
    severe = Severity.LOW if works else Severity.HIGH
    step = f"`fleet check {name}` tries every channel now; w on the cell in screen 2 tells its story"
    needs = ("channel.cold", *NEEDS.get(channel, ()))
    lasts, at_ms = LASTS_S, health.since_ms
    return Finding("reach.channel", "A channel is broken", severe, what, subject, step, needs, at_ms, lasts)


def _live(fleet: Fleet, peer: str) -> Peer:
    return fleet.peers.get(peer, Peer(peer))


CHECK = Check("reach", "reachability of peers", look, depends_on=("node.listen", "node.gossip"))
