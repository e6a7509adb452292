"""What needs a person: findings that matter, pins that changed, mail that is stuck. Pure; `n` walks through it.

Calm is the point: a peer that is away is no need of anyone's until mail waits for it, and a symptom is silent while
its cause is shown. The header counts exactly this list.
"""

from typing import NamedTuple

from engine.model.channel import ChannelState
from engine.model.finding import Severity, causes
from engine.model.peer import AWAY
from engine.state import Fleet
from screens.format import count
from screens.roll import peer_of

LOUD = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)


class Need(NamedTuple):
    """One thing to look at: where (`room`, and the peer under its cursor if any), what, and what to do."""

    room: str
    peer: str
    title: str
    next_step: str
    at_ms: int


def needs(fleet: Fleet) -> list[Need]:
    """Everything that needs a person, oldest first."""
    found = [*_findings(fleet), *_quarantines(fleet), *_stuck(fleet)]
    return sorted(found, key=lambda need: (need.at_ms, need.title))


def needy(fleet: Fleet) -> set[str]:
    """The peers that need a person."""
    return {need.peer for need in needs(fleet) if need.peer}


def subject_peer(fleet: Fleet, subject: str) -> str:
    """The node id a finding speaks of, whether it names it by id or by name; empty when it speaks of no peer."""
    if fleet.member(subject):
        return subject
    member = fleet.roster.named(subject)
    return member.id if member else ""


def _findings(fleet: Fleet) -> list[Need]:
    return [
        Need("peers", subject_peer(fleet, one.subject), one.title, one.next_step, one.at_ms)
        for one in causes(fleet.findings.values())
        if one.severity in LOUD
    ]


def _quarantines(fleet: Fleet) -> list[Need]:
    told = {subject_peer(fleet, one.subject) for one in fleet.findings.values()}
    return [
        Need("channels", peer, f"{fleet.name_of(peer)} showed another key on {channel}", "w why", health.since_ms)
        for (peer, channel), health in fleet.channels.items()
        if health.state is ChannelState.QUARANTINED and peer not in told
    ]


def _stuck(fleet: Fleet) -> list[Need]:
    found = []
    for peer_id, lane in fleet.mail.lanes.items():
        waiting = sum(not one.skipping for one in lane.open.values()) + lane.backlog
        peer = peer_of(fleet, peer_id)
        if waiting and peer.standing in AWAY:
            said = f"{count(waiting, 'message')} {'waits' if waiting == 1 else 'wait'} for {fleet.name_of(peer_id)}"
            found.append(Need("channels", peer_id, said, "w why", peer.since_ms))
    return found
