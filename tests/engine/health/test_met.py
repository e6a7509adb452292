"""Two that have just met: what has not worked yet is not known yet, and is asked again at once."""

import pytest
from msgspec.structs import replace

from engine.health import step as health
from engine.health.judge import MET_MS, SOON_S, TIMER
from engine.model.channel import Channel, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, pack
from engine.model.ways import SshWay, Ways
from engine.signals import Arrived, Rang, Readied
from engine.state import Fleet
from tests.engine.script import T0_MS, Script, fleet, letter, tried

NATS, SSH = Channel.NATS, Channel.SSH
NOBODY = tried(NATS, Verdict.LOST, note="no responders", hard=True)


def met(who: str, ago_ms: int = 0) -> Fleet:
    """A and B, one of whom joined so long ago; nothing worked between them yet."""
    value = fleet("A", "B", up=())
    members = tuple(replace(one, joined_ms=T0_MS - ago_ms if one.id == who else 1) for one in value.roster.members)
    return replace(value, roster=replace(value.roster, members=members))


@pytest.mark.parametrize("who", ["A", "B"])
def test_what_has_not_worked_yet_is_unknown(who: str) -> None:
    """Whichever of the two is new: no failure is counted, why is said, and it is asked again soon, until it answers."""
    script = Script(met(who), health.step)
    script.hear(Readied("B", {NATS: None}))
    script.hear(NOBODY)
    pair = script.fleet.health("B", NATS)
    assert (pair.state, pair.reason, pair.fails) == (ChannelState.UNKNOWN, "no responders", ())
    assert not script.hear(Rang(TIMER), at=SOON_S / 2)[:-1]
    assert "deliver ping to B over nats" in script.hear(Rang(TIMER), at=SOON_S)
    script.hear(tried(NATS, Verdict.CONFIRMED), at=SOON_S)
    assert script.fleet.health("B", NATS).state is ChannelState.HEALTHY


def test_what_worked_once_is_broken_when_it_fails() -> None:
    """However new the peer is."""
    script = Script(met("B"), health.step)
    script.hear(tried(NATS, Verdict.CONFIRMED))
    script.hear(NOBODY)
    assert script.fleet.health("B", NATS).state is ChannelState.BROKEN


@pytest.mark.parametrize("ago_ms", [MET_MS, -1])
def test_it_is_not_new_for_long(ago_ms: int) -> None:
    """Nor where the clock of whoever admitted it is ahead."""
    script = Script(met("B", ago_ms), health.step)
    script.hear(NOBODY)
    assert script.fleet.health("B", NATS).state is ChannelState.BROKEN


def test_what_it_announces_is_unknown_until_it_was_looked_at() -> None:
    """Before its first word nothing was known of its sshd; that this was so is no reason any more."""
    script = Script(fleet("A", "B", up=()), health.step)
    script.hear(Readied("B", {SSH: "it told of no sshd"}))
    assert script.fleet.health("B", SSH).state is ChannelState.ABSENT
    beat = Heartbeat(1, "1", ways=Ways(ssh=SshWay("ann", 22, ("ssh-ed25519 AAAA",))))
    script.hear(Arrived((Parcel(letter("h", "A", "B", kind=Kind.HEARTBEAT, seq=1, body=pack(beat))),), NATS))
    assert script.fleet.health("B", SSH).state is ChannelState.UNKNOWN
    script.hear(Readied("B", {SSH: "no key of ours"}))
    assert script.fleet.health("B", SSH).reason == "no key of ours"
