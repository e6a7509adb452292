"""What needs a person: findings that matter, pins that changed, mail that is stuck. Pure; `n` walks through it.

Calm is the point: a peer that is away is no need of anyone's until mail waits for it, and a symptom is silent while
its cause is shown. The header counts exactly this list.
"""

from collections.abc import Mapping
from typing import NamedTuple

from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.envelope import KINDS
from engine.model.exam import troubles
from engine.model.finding import Finding, Severity, arranged
from engine.model.peer import AWAY
from engine.state import Fleet
from screens.format import count
from screens.roll import Pair, peer_of

# What a finding of the repair ladder is called, before its channel.
REPAIR = "repair."
LOUD = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)


class Need(NamedTuple):
    """One thing to look at: where (`room`, and the peer and the channel under its cursor if any), what, what to do."""

    room: str
    peer: str
    title: str
    next_step: str
    at_ms: int
    channel: Channel | None = None


def told(fleet: Fleet) -> list[Finding]:
    """What is wrong, in every room: what the node has noticed and what the doctor saw, each as grave as both say."""
    return troubles(fleet.doctor.exams, fleet.findings.values())


def needs(fleet: Fleet, locked: Mapping[Pair, ChannelHealth] | None = None) -> list[Need]:
    """Everything that needs a person, oldest first. `locked`: the pairs in quarantine, where somebody knows them."""
    found = [*_findings(fleet), *_quarantines(fleet, fleet.channels if locked is None else locked), *_stuck(fleet)]
    return sorted(found, key=lambda need: (need.at_ms, need.title))


def needy(fleet: Fleet) -> set[str]:
    """The peers that need a person."""
    return {need.peer for need in needs(fleet) if need.peer}


def subject_peer(fleet: Fleet, subject: str) -> str:
    """The node id a finding speaks of, whether it names it by id or by name, or a channel to it; empty when it speaks
    of no peer."""
    subject = subject.partition("/")[0]
    if fleet.member(subject):
        return subject
    member = fleet.roster.named(subject)
    return member.id if member else ""


def _findings(fleet: Fleet) -> list[Need]:
    """Causes; and repairs that ask for somebody's word, which no mend of their cause gives them."""
    return [
        _found(fleet, one.finding)
        for one in arranged(told(fleet))
        if one.finding.severity in LOUD and (not one.depth or one.finding.code.startswith(REPAIR))
    ]


def _found(fleet: Fleet, one: Finding) -> Need:
    """A repair is looked at, and approved, where its channel is; what else is found of a peer, where that is; what is
    found of this machine, at the doctor's."""
    peer, name = subject_peer(fleet, one.subject), one.code.removeprefix(REPAIR)
    if not one.code.startswith(REPAIR) or name not in CHANNELS:
        return Need("peers" if peer else "doctor", peer, one.title, one.next_step, one.at_ms)
    channel = Channel(name)
    repair = fleet.repairs.get((peer, channel))
    step = "A shows its commands, and asks" if repair and repair.plan else one.next_step
    what = f"{one.title}: {channel} to {'everybody' if peer == fleet.me.id else fleet.name_of(peer)}"
    if peer == fleet.me.id:  # its own row is nowhere: it shows on each that it breaks
        ill = (to for (to, at), health in sorted(fleet.channels.items()) if at is channel and health.broke_ms)
        peer = next(ill, "")
    return Need("channels", peer, what, step, one.at_ms, channel)


def _quarantines(fleet: Fleet, pairs: Mapping[Pair, ChannelHealth]) -> list[Need]:
    told = {subject_peer(fleet, one.subject) for one in fleet.findings.values()}
    return [
        Need(
            "channels",
            peer,
            f"{fleet.name_of(peer)} showed another key on {channel}",
            "w why",
            health.since_ms,
            channel,
        )
        for (peer, channel), health in pairs.items()
        if health.state is ChannelState.QUARANTINED and peer not in told
    ]


def _stuck(fleet: Fleet) -> list[Need]:
    found = []
    for peer_id, lane in fleet.mail.lanes.items():
        waiting = sum(KINDS[one.envelope.kind].public for one in lane.open.values()) + lane.backlog
        peer = peer_of(fleet, peer_id)
        if waiting and peer.standing in AWAY:
            said = f"{count(waiting, 'message')} {'waits' if waiting == 1 else 'wait'} for {fleet.name_of(peer_id)}"
            found.append(Need("channels", peer_id, said, "w why", peer.since_ms))
    return found
