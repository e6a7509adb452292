"""Whose fault a break is: a machine that is cut off from everybody blames neither itself nor them."""

import msgspec
import pytest

from engine.health.remedies import LINKS_S
from engine.model.broker import FALLEN, BrokerState
from engine.model.channel import ChannelState
from engine.model.peer import Peer, Standing
from engine.model.repair import Level
from engine.signals import ChannelTurned
from engine.state import Broker
from tests.engine.health.repairs import H, N, begun, broken, lines, mends, repair, rung, three
from tests.engine.script import T0_MONO, T0_MS, Script, with_health


def cut_off() -> Script:
    """P1 to both has just broken, and nothing has answered since."""
    script = Script(broken(broken(three()), peer="C"))
    for peer in "BC":
        script.hear(ChannelTurned(peer, N, usable=False), at=10)
    return script


def stand(script: Script, standing: Standing, *peers: str, since_s: float = 0.0) -> None:
    """What is heard of these."""
    for peer in peers:
        live = Peer(peer, standing, since_ms=T0_MS + round(since_s * 1000))
        script.fleet = msgspec.structs.replace(script.fleet, peers=script.fleet.peers.set(peer, live))


def done(script: Script) -> list[str]:
    """What the last signal had this node do to itself."""
    return [line for line in lines(script) if line.startswith("undertake")]


def test_who_is_cut_off_from_everybody_leaves_its_broker_alone() -> None:
    """That nobody answers on any channel is no proof against this node: nothing is done before they count as away."""
    script = cut_off()
    for at in (15, 16, 17):
        rung(script, at=at)
        assert (done(script), mends(script), ("A", N) in script.fleet.repairs) == ([], [], False)
    stand(script, Standing.UNREACHABLE, "B", "C")
    rung(script, at=20)
    assert "tell repair B nats L0 the peer is away: no channel is at fault" in lines(script)
    assert not script.fleet.repairs


def test_who_is_in_doubt_is_no_witness() -> None:
    """B answers over another channel and C is not heard: P1 to one alone says nothing against this node."""
    script = cut_off()
    stand(script, Standing.SUSPECT, "C")
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 12)
    rung(script, at=15)
    assert (done(script), [to for to, _ in mends(script)]) == ([], ["B"])


@pytest.mark.parametrize("state", FALLEN)
def test_a_broker_that_is_down_is_ours_whoever_is_heard(state: BrokerState) -> None:
    """This node's own client gets no answer from it: that is proof enough."""
    script = cut_off()
    script.fleet = msgspec.structs.replace(script.fleet, broker=Broker(state))
    rung(script, at=15)
    assert done(script) == ["undertake restart_nats"]
    stand(script, Standing.UNREACHABLE, "B", "C")
    rung(script, at=20)
    assert ("A", N) in script.fleet.repairs


def test_our_own_repair_ends_when_nobody_is_heard() -> None:
    """Its broker answers, and who could tell whether anything helped is away."""
    script = cut_off()
    script.fleet = with_health(script.fleet, "C", H, ok_at=T0_MONO + 12)
    rung(script, at=15)
    assert done(script) == ["undertake restart_nats"]
    stand(script, Standing.UNREACHABLE, "B", "C")
    rung(script, at=20)
    assert "tell repair A nats L0 nobody is heard: no channel is at fault" in lines(script)


def test_our_own_repair_ends_when_nobody_else_has_a_broker() -> None:
    """Its broker answers, and there is nobody left to whom P1 could prove anything."""
    script = cut_off()
    script.fleet = with_health(script.fleet, "C", H, ok_at=T0_MONO + 12)
    rung(script, at=15)
    for peer, open_still in (("B", True), ("C", False)):
        script.fleet = with_health(script.fleet, peer, N, state=ChannelState.ABSENT, reason="no broker there")
        rung(script, at=20)
        assert (("A", N) in script.fleet.repairs) is open_still
    assert "tell repair A nats L0 nats is set up to nobody: no channel is at fault" in lines(script)
    rung(script, at=30)
    assert not script.fleet.repairs


def test_who_comes_back_is_given_time_for_its_links() -> None:
    """P1 broke before the machine was away: brokers find each other by themselves, and nobody is asked to restart one
    before that, not even this node."""
    script = cut_off()
    for peer in "BC":
        script.fleet = broken(script.fleet, peer=peer, broke_ms=T0_MS + 9_000)
    stand(script, Standing.ALIVE, "B", "C", since_s=14)
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 14)
    for at in (15, 14 + LINKS_S - 0.1):
        rung(script, at=at)
        assert (done(script), mends(script), repair(script).level) == ([], [], Level.NOTED)
    rung(script, at=14 + LINKS_S)
    assert done(script) == ["undertake restart_nats"]


@pytest.mark.parametrize(("failed_s", "wait_s"), [(12, LINKS_S), (0, 5)])
def test_who_is_heard_and_reached_by_nothing_too(failed_s: float, wait_s: float) -> None:
    """Gossip goes on and no channel does: once one works again, P1 is given the same time. What had only not been asked
    since the break was not cut."""
    script = Script(broken(three(), broke_ms=T0_MS + 10_000))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    rung(script, at=15)
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 17, since_ms=T0_MS + round(failed_s * 1000))
    for at, level in ((17, Level.NOTED), (17 + wait_s - 0.1, Level.NOTED), (17 + wait_s, Level.ASKED)):
        rung(script, at=at)
        assert repair(script).level is level


def test_what_breaks_after_a_return_has_no_other_wait() -> None:
    """It worked since the machine was back: the return has nothing to do with it."""
    script = Script(broken(three(), broke_ms=T0_MS + 10_000))
    stand(script, Standing.ALIVE, "B", since_s=9)
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 12)
    rung(script, at=15)
    assert repair(script).level is Level.ASKED


def test_what_may_work_again_is_tried_before_anybody_is_asked() -> None:
    """After a long break its last failure is old: a new one is waited for, or the round trip that ends it."""
    script = begun(three())
    script.fleet = broken(script.fleet, fails=(T0_MONO + 9,), retry_at=T0_MONO + 30)
    rung(script, at=15)
    assert (mends(script), "deliver ping to B over nats" in lines(script)) == ([], True)
    assert script.fleet.health("B", N).retry_at == T0_MONO + 15.5
    script.fleet = broken(script.fleet, fails=(T0_MONO + 9, T0_MONO + 15.6))
    rung(script, at=16)
    assert [to for to, _ in mends(script)] == ["B"]


def test_what_broke_is_tried_often_once_something_works_again() -> None:
    """Whatever works again is a reason to try what is broken often: its last rest was that of a long absence."""
    value = broken(three(), retry_at=T0_MONO + 40, backoff_s=30.0)
    script = Script(with_health(value, "B", H, state=ChannelState.HEALTHY, ok_at=T0_MONO + 10))
    script.hear(ChannelTurned("B", H, usable=True), at=10)
    health = script.fleet.health("B", N)
    assert (health.retry_at, health.backoff_s) == (T0_MONO + 10, 0.0)
