"""Which action fits which fault, whether the fault is ours, and how often a repair may go beyond a note: formulas.

    wrong key shown -> reload_roster      nats -> restart_nats     http -> free_port     seed, ssh -> restart_tunnel

P1 broken to everybody who is proved to be there, or with our own link to the broker down, is our fault: a fleet of ten
must not be asked ten times to restart brokers that are well. Silence on every channel proves nothing: then the network
is away, or they are.
"""

from engine.health.table import USABLE
from engine.model.broker import RUNS
from engine.model.channel import CHANNELS, Cause, Channel, ChannelHealth, ChannelState
from engine.model.moment import Moment
from engine.model.peer import GONE, THERE, Standing
from engine.model.repair import Action, Repair
from engine.state import Fleet

BROKEN = frozenset({ChannelState.BROKEN, ChannelState.QUARANTINED})
# So long brokers are left to find each other again: an old link ends after three unanswered seconds (`broker.config`);
# nats-server pauses for one second before it calls again and gives the call one, the handshake has two, and two that
# call each other at once begin anew.
LINKS_S = 10.0
# A failure is news for as long as a try over P1 or P2 may last; after that, whatever broke may work again.
NEWS_S = 5.0

REMEDIES: dict[Channel, Action] = {
    Channel.NATS: Action.RESTART_NATS,
    Channel.HTTP: Action.FREE_PORT,
    Channel.SEED: Action.RESTART_TUNNEL,
    Channel.SSH: Action.RESTART_TUNNEL,
}


def remedy(channel: Channel, state: ChannelState) -> Action | None:
    """What the machine at the other end could do about it; None where only an agent or a person can help."""
    return Action.RELOAD_ROSTER if state is ChannelState.QUARANTINED else REMEDIES.get(channel)


def is_there(fleet: Fleet, peer: str) -> bool:
    """Whether a peer is present, as far as anybody hears."""
    live, member = fleet.peers.get(peer), fleet.member(peer)
    return live is not None and member is not None and member.present and live.standing in THERE


def is_away(fleet: Fleet, peer: str) -> bool:
    """Whether a peer left, or is away altogether: then no channel is at fault."""
    live, member = fleet.peers.get(peer), fleet.member(peer)
    return live is None or member is None or not member.present or live.standing in GONE


def is_stopped(fleet: Fleet, peer: str) -> bool:
    """Whether its machine is there and its node ended: nobody hears it, and its sshd finds nobody at its socket."""
    health, member = fleet.channels.get((peer, Channel.SSH)), fleet.member(peer)
    if health is None or health.held or health.state not in BROKEN or health.cause is not Cause.NOBODY_IN:
        return False
    way = fleet.ways_of(peer).ssh
    return member is not None and member.present and is_away(fleet, peer) and way is not None and bool(way.start)


def ended_node(repair: Repair) -> bool:
    """Whether a repair began because a node had ended."""
    return repair.channel is Channel.SSH and repair.cause is Cause.NOBODY_IN


def absent(fleet: Fleet, repair: Repair) -> bool:
    """Whether a repair is about such a node that nobody hears yet; what its channel says changes with every probe."""
    member = fleet.member(repair.peer)
    return ended_node(repair) and is_away(fleet, repair.peer) and member is not None and member.present


def startable(fleet: Fleet, peer: str) -> bool:
    """Whether it is away only because its node ended, which can be started: over P5."""
    repair = fleet.repairs.get((peer, Channel.SSH))
    return is_stopped(fleet, peer) or (repair is not None and absent(fleet, repair))


def askable(fleet: Fleet, peer: str, channel: Channel) -> bool:
    """Whether anything can be done about a channel of a peer: it is heard, or this is the way to start its node."""
    return not is_away(fleet, peer) or (channel is Channel.SSH and startable(fleet, peer))


def repairable(fleet: Fleet, peer: str, channel: Channel) -> bool:
    """Whether a repair of it has anything to do: no repair sets up what cannot be used."""
    state = fleet.health(peer, channel).state
    return state is not ChannelState.HEALTHY and not unset(fleet, peer, channel) and askable(fleet, peer, channel)


def unset(fleet: Fleet, peer: str, channel: Channel) -> bool:
    """Whether a channel cannot be used, for a reason; P5 to a node that ended is the way to start it all the same."""
    absent = fleet.health(peer, channel).state is ChannelState.ABSENT
    return absent and not (channel is Channel.SSH and startable(fleet, peer))


def others(fleet: Fleet, peer: str, channel: Channel) -> list[ChannelHealth]:
    """The other channels to a peer that carry and can be used now."""
    found = (fleet.channels.get((peer, one)) for one in CHANNELS if one is not channel and CHANNELS[one].carries)
    return [health for health in found if health is not None and health.state in USABLE]


def answered(fleet: Fleet, peer: str, channel: Channel, since: float) -> bool:
    """Whether a round trip over another channel has succeeded since that monotonic second: the machine is there, the
    network too, and the fault is the channel's alone."""
    return any((one.ok_at or 0.0) > since for one in others(fleet, peer, channel))


def unproved(fleet: Fleet, repair: Repair, now: Moment) -> bool:
    """Whether nobody knows that its channel is still broken: others answer, and it has not failed for some time,
    because a break that lasts is tried seldom."""
    health = fleet.health(repair.peer, repair.channel)
    old = health.fails and now.mono - health.fails[-1] > NEWS_S and health.state is not ChannelState.QUARANTINED
    return bool(old) and answered(fleet, repair.peer, repair.channel, repair.began)


def at_home(fleet: Fleet, repair: Repair) -> bool:
    """Whether P1 works to nobody for a reason on this side: nothing leaves, or nobody answers over P1 of several who
    are there for certain, one of whom has answered over another channel since this break."""
    pairs = {peer: fleet.health(peer, Channel.NATS) for peer in fleet.peers if is_there(fleet, peer)}
    ill = [one for one, health in pairs.items() if health.state not in {*USABLE, ChannelState.ABSENT}]
    if not ill or any(health.state in USABLE and health.ok_at is not None for health in pairs.values()):
        return False
    if all(pairs[one].barred for one in ill) or fleet.broker.state not in RUNS:
        return True
    certain = [one for one in ill if fleet.peers[one].standing is Standing.ALIVE]
    proved = not repair.lost and any(answered(fleet, one, Channel.NATS, repair.began) for one in certain)
    return len(certain) > 1 and proved


def left_alone_s(fleet: Fleet, channel: Channel) -> float:
    """How long a channel is left to itself once its machine, which nothing had reached, is back."""
    return max(fleet.config.repair.l2_s, LINKS_S if channel is Channel.NATS else 0.0)


def returned_at(fleet: Fleet, repair: Repair, now: Moment) -> float:
    """When its machine was heard again after this channel had broken (monotonic seconds; -inf: never unheard)."""
    live, health = fleet.peers.get(repair.peer), fleet.health(repair.peer, repair.channel)
    if live is None or live.standing is not Standing.ALIVE or not 0 < health.broke_ms <= live.since_ms <= now.wall_ms:
        return float("-inf")
    return now.mono - (now.wall_ms - live.since_ms) / 1000


def was_cut_off(fleet: Fleet, peer: str, channel: Channel) -> bool:
    """Whether whatever reaches it now had failed, too, since this channel broke."""
    broke_ms = fleet.health(peer, channel).broke_ms
    return broke_ms > 0 and all(one.since_ms >= broke_ms for one in others(fleet, peer, channel))
