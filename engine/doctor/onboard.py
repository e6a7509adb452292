"""The ten checks of two machines that met for the first time: what each asks of the value, and which must hold.

    roster  keys  clock  P1  P2  P3  ssh  disk  agents  message

Each is a question with three answers: it holds, it cannot (with the reason), or not yet. Disk and agents are of the
machine that asks; a channel that cannot be used is no failure as long as real mail arrives both ways.
"""

from collections.abc import Callable

from engine.model.channel import Channel, ChannelState
from engine.model.exam import Exam, Health, Tick
from engine.model.roster import Member
from engine.state import Fleet

Answer = tuple[Health, str]

TICKS = (
    Tick("roster", "roster agreed", required=True),
    Tick("keys", "keys", required=True),
    Tick("clock", "clock"),
    Tick("p1", "P1 nats"),
    Tick("p2", "P2 http"),
    Tick("p3", "P3 relay"),
    Tick("ssh", "ssh way"),
    Tick("disk", "disk of this machine"),
    Tick("agents", "agents of this machine"),
    Tick("message", "first message, both ways", required=True),
)
# As near as a clock must be that nobody wonders.
CLOCK_MS = 60_000.0


def roster(fleet: Fleet, peer: str) -> Answer | None:
    """Both have the same roster."""
    beat = fleet.peers[peer].beat if peer in fleet.peers else None
    if beat is None or beat.roster_version != fleet.roster.version:
        return None
    return Health.WELL, f"version {beat.roster_version}, {sum(one.present for one in fleet.roster.members)} members"


def keys(fleet: Fleet, peer: str) -> Answer | None:
    """Something of it was opened with the keys the roster has, and it announced a sealing key."""
    live = fleet.peers.get(peer)
    if live is None or live.beat is None or live.beat.prekey is None:
        return None
    return Health.WELL, "its frames open with the roster's keys; sealing key announced"


def clock(fleet: Fleet, peer: str) -> Answer | None:
    """Measured from its heartbeats."""
    live = fleet.peers.get(peer)
    if live is None or live.offset_ms is None:
        return None
    said = f"{live.offset_ms / 1_000:+z.1f} s"
    return (Health.WELL, said) if abs(live.offset_ms) <= CLOCK_MS else (Health.ILL, f"{said}; mail does not care")


def channel(which: Channel) -> Callable[[Fleet, str], Answer | None]:
    """A round trip on a channel, or why there is none."""

    def ask(fleet: Fleet, peer: str) -> Answer | None:
        health = fleet.channels.get((peer, which))
        if health is None:
            return None
        if health.state is ChannelState.HEALTHY and health.latencies:
            return Health.WELL, f"{health.latencies[-1]:.1f} ms"
        return (Health.UNUSED, health.reason) if health.state is ChannelState.ABSENT else None

    return ask


def ssh(fleet: Fleet, peer: str) -> Answer | None:
    """What it announced of its sshd, and whether that works."""
    way, health = fleet.ways_of(peer).ssh, fleet.channels.get((peer, Channel.SSH))
    if fleet.peers.get(peer) is None or fleet.peers[peer].beat is None:
        return None
    if way is None:
        return Health.UNUSED, "it announces no sshd"
    if health is None or health.state is ChannelState.ABSENT:
        return Health.UNUSED, health.reason if health else "not used here"
    if health.state is ChannelState.HEALTHY:
        return Health.WELL, f"{way.user}@…:{way.port}"
    return (Health.ILL, health.reason) if health.state is ChannelState.BROKEN else None


ASKED: dict[str, Callable[[Fleet, str], Answer | None]] = {
    "roster": roster,
    "keys": keys,
    "clock": clock,
    "p1": channel(Channel.NATS),
    "p2": channel(Channel.HTTP),
    "p3": channel(Channel.RELAY),
    "ssh": ssh,
}


def why_not(fleet: Fleet, peer: str, code: str) -> Answer:
    """What to say once nobody wants to wait any longer."""
    which = {"p1": Channel.NATS, "p2": Channel.HTTP, "p3": Channel.RELAY, "ssh": Channel.SSH}.get(code)
    if which is not None:
        health = fleet.health(peer, which)
        if health.state is ChannelState.UNKNOWN:
            return Health.UNKNOWN, f"not known yet: {health.reason or 'no answer yet'}"
        return Health.ILL, f"{health.state.lower()}: {health.reason or 'no answer yet'}"
    live = fleet.peers.get(peer)
    return Health.ILL, "no heartbeat came yet" if live is None or live.beat is None else "it has another one than we"


def of_exam(exam: Exam) -> Answer:
    """A check of this machine as a tick."""
    return exam.health, "; ".join([exam.said, *(one.title for one in exam.findings)])


def partner(fleet: Fleet) -> Member | None:
    """With whom a machine is onboarded where nobody is named: the chief, or whoever is there."""
    others = fleet.others()
    chief = fleet.roster.chief
    return chief if chief in others else next(iter(others), None)
