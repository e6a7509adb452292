"""Which action fits which fault, whether the fault is ours, and how often a repair may go beyond a note: formulas.

    wrong key shown -> reload_roster      nats -> restart_nats     http -> free_port     seed, ssh -> restart_tunnel

P1 broken to everybody, or with our own link to the broker down, is our fault: a fleet of ten must not be asked ten
times to restart brokers that are well.
"""

from engine.health.table import USABLE
from engine.model.channel import CHANNELS, NODE_ABSENT, Channel, ChannelHealth, ChannelState
from engine.model.peer import GONE, THERE
from engine.model.repair import Action, Repair
from engine.state import Fleet

# The channels whose break begins a ladder by itself: what else carries is dearer or slower.
FIRST = (Channel.NATS, Channel.HTTP)
BROKEN = frozenset({ChannelState.BROKEN, ChannelState.QUARANTINED})

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
    if health is None or health.held or health.state in USABLE or not health.reason.startswith(NODE_ABSENT):
        return False
    way = fleet.ways_of(peer).ssh
    return member is not None and member.present and is_away(fleet, peer) and way is not None and bool(way.start)


def ended_node(repair: Repair) -> bool:
    """Whether a repair began because a node had ended."""
    return repair.channel is Channel.SSH and repair.why.startswith(NODE_ABSENT)


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


def others(fleet: Fleet, peer: str, channel: Channel) -> list[ChannelHealth]:
    """The other channels to a peer that carry and can be used now."""
    found = (fleet.channels.get((peer, one)) for one in CHANNELS if one is not channel and CHANNELS[one].carries)
    return [health for health in found if health is not None and health.state in USABLE]


def at_home(fleet: Fleet) -> bool:
    """Whether P1 works to nobody for a reason on this side: nobody of several answers, or nothing leaves."""
    pairs = [fleet.health(peer, Channel.NATS) for peer in fleet.peers if is_there(fleet, peer)]
    ill = [health for health in pairs if health.state not in USABLE and health.state is not ChannelState.ABSENT]
    if not ill or any(health.state in USABLE and health.ok_at is not None for health in pairs):
        return False
    return len(ill) > 1 or all(health.barred for health in ill) or fleet.broker.state not in ("up", "external")


def brokerless(fleet: Fleet, peer: str) -> bool:
    """Whether P1 to a peer cannot be: one of both has no broker, and says so."""
    live = fleet.peers.get(peer)
    said = live.beat.broker if live and live.beat else ""
    return "absent" in (said, fleet.broker.state)
