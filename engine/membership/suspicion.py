"""Suspicion as formulas: how long to wait for an answer, how long to doubt a peer, how much to doubt oneself.

    UNKNOWN ───────────────┐
    ALIVE ──> SUSPECT ──> UNREACHABLE ──> STALE ──> OFFLINE        any word from it: ALIVE
              1.5 s         10 s           90 s      300 s         of silence, with the default configuration

After SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018). A suspicion lasts longer in a
larger fleet, where a refutation needs more rounds to travel, and is twice as long while one node alone holds it as when
three do. Nobody is UNREACHABLE before `unreachable_s` of silence: a stall of six seconds has to stay a suspicion.

Only monotonic seconds come in here. Wall time appears once: how long a peer had been silent before this node started
is read from the store, and decides no more than which word a peer that was never heard is called by.
"""

from math import log, log10

from engine.config import MembershipConfig
from engine.model.peer import Peer, Standing

# Lifeguard's bound on the local health multiplier: a sick node probes nine times slower, never slower than that.
HEALTH_LIMIT = 8
# In a fleet larger than this, two are pinged in a turn. Each peer is pinged once a second by somebody, on average; by
# chance nobody does for three seconds in one case of twenty, and in one of four hundred with two.
CROWD = 32
# Lifeguard stretches an uncorroborated suspicion six-fold. Two-fold keeps the promise of "about ten seconds" when the
# two nodes on the small side of a partition of five are alone to accuse.
PATIENCE = 2.0


def wait_s(config: MembershipConfig, health: int) -> float:
    """Seconds until an unanswered ping is escalated."""
    return config.ping_timeout_s * (1 + health)


def probe_s(config: MembershipConfig, health: int) -> float:
    """Seconds from one ping to the next."""
    return config.period_s * (1 + health)


def pings_a_turn(members: int) -> int:
    """How many peers are pinged at once."""
    return 2 if members > CROWD else 1


def give_up_s(config: MembershipConfig, health: int) -> float:
    """Seconds until a ping that others tried as well has failed: an indirect answer takes twice the round trip."""
    return max(probe_s(config, health), 2 * wait_s(config, health))


def lead_s(config: MembershipConfig) -> float:
    """Seconds of silence that have passed, on average, when a suspicion begins."""
    return config.period_s + config.ping_timeout_s


def doubted(health: int, change: int) -> int:
    """The local health multiplier after `change`, within its bounds."""
    return min(max(health + change, 0), HEALTH_LIMIT)


def accusers_wanted(members: int, config: MembershipConfig) -> int:
    """How many independent accusers end the patience with a suspect: `suspicion_mult` - 1, or 1 where a fleet has not
    so many besides the accused (memberlist: `SuspicionMult` - 2 confirmations of the first)."""
    wanted = max(1, round(config.suspicion_mult) - 1)
    return wanted if members > wanted else 1


def suspicion_s(members: int, accusers: int, config: MembershipConfig) -> float:
    """Seconds from the beginning of a suspicion until the suspect is UNREACHABLE, in a fleet of `members`.

    Lifeguard, section IV-B: max - (max - min) * log(C + 1) / log(K + 1), with C confirmations of K wanted.
    """
    spread = config.suspicion_mult * max(1.0, log10(max(members, 1))) * config.period_s
    low = max(spread, config.unreachable_s - lead_s(config))
    wanted = accusers_wanted(members, config) - 1
    if not wanted:
        return low
    share = min(1.0, log(max(accusers, 1)) / log(wanted + 1))
    return low * (PATIENCE - (PATIENCE - 1) * share)


def falls_at(peer: Peer, members: int, config: MembershipConfig) -> float | None:
    """The monotonic second at which the standing of `peer` falls if nothing is heard; None when it cannot."""
    if peer.suspect_at is None:
        return None
    after = {
        Standing.UNKNOWN: config.unreachable_s,
        Standing.SUSPECT: suspicion_s(members, len(peer.accusers), config),
        Standing.UNREACHABLE: config.stale_s - lead_s(config),
        Standing.STALE: config.offline_s - lead_s(config),
    }.get(peer.standing)
    return None if after is None else peer.suspect_at + after


def fallen(peer: Peer, now_mono: float, config: MembershipConfig) -> Standing:
    """What a peer whose time has come is now: the next standing, or the one so long a silence is called by."""
    silence_s = now_mono - (now_mono if peer.suspect_at is None else peer.suspect_at) + lead_s(config)
    if silence_s >= config.offline_s or peer.standing is Standing.STALE:
        return Standing.OFFLINE
    if silence_s >= config.stale_s or peer.standing is Standing.UNREACHABLE:
        return Standing.STALE
    return Standing.UNREACHABLE


def silent_before_s(peer: Peer, started_ms: int) -> float:
    """Seconds a peer had been silent when this node started, from two stored wall times; 0 if it was never heard."""
    return max(0.0, (started_ms - peer.heard_ms) / 1000) if peer.heard_ms else 0.0
