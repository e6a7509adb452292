"""The watchdog: what lasts is told once, what stays well is untold, and nothing flaps."""

import pytest
from msgspec.structs import replace

from engine import effects as e
from engine.config import Config
from engine.health import step as health
from engine.health import watchdog
from engine.health.table import TRYING, Event, advance
from engine.model.channel import Cause, Channel, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.model.finding import Severity
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.peer import Standing
from engine.model.vitals import Vitals, clock, disk
from engine.signals import Found, Looked, LoopLagged, Measured, RepairAsked
from engine.state import Fleet
from tests.engine.script import Script, fleet, letter, moment, tried, with_health

LOOK = Looked(0.1, "/", "", "", 0)
WELL = Vitals(10_000, 1_000_000, 10, 1_000, 0, 50, "/h")


def told(script: Script, at: float) -> list[str]:
    """What a look at this second tells and untells."""
    script.hear(LOOK, at)
    found = [one.signal for one in script.effects if isinstance(one, e.Raise)]
    return [f"{'+' if one.present else '-'}{one.finding.code}" for one in found if isinstance(one, Found)]


def over(script: Script, start: float, end: float) -> list[str]:
    """The same over looks ten seconds apart."""
    return [line for at in range(int(start), int(end), 10) for line in told(script, at)]


def cut(value: Fleet, *peers: str) -> Fleet:
    """No channel that asks and answers works to these."""
    for peer in peers:
        for channel in (Channel.NATS, Channel.HTTP):
            value = with_health(value, peer, channel, state=ChannelState.BROKEN, reason="no answer", fails=(1.0,))
    return value


def beating(script: Script, serial: int) -> None:
    """Every peer's next heartbeat came."""
    peers = script.fleet.peers
    for peer in list(peers):
        peers = peers.set(peer, replace(peers[peer], beat_no=(1, serial)))
    script.fleet = replace(script.fleet, peers=peers)


def test_a_cold_peer_is_told_once_it_has_lasted_and_a_repair_begins() -> None:
    """Not at the first look, once after thirty seconds, with the first rung of the ladder; and never twice."""
    script = Script(cut(fleet("A", "B"), "B"), watchdog.step)
    assert over(script, 0, 30) == []
    assert told(script, 30) == ["+channel.cold"]
    asked = [one.signal for one in script.effects if isinstance(one, e.Raise)]
    assert [one.finding.visible_after_s for one in asked if isinstance(one, Found)] == [0.0], "it has lasted"
    assert [(one.peer, one.channel, one.level) for one in asked if isinstance(one, RepairAsked)] == [
        ("B", Channel.NATS, 1)
    ]
    assert over(script, 40, 45) == []


def test_a_channel_that_is_only_tried_again_does_not_work() -> None:
    """The relay goes between broken and healing every few seconds without one answer: the peer is cold all the same,
    told once in words that hold, with a repair of what is being tried at that moment; and its silence is no loop that
    hangs. One good probe, and it is not cold any more."""
    value = cut(fleet("A", "B"), "B")
    for channel in (Channel.NATS, Channel.HTTP, Channel.RELAY):
        health = value.health("B", channel)
        health = advance(replace(health, state=ChannelState.HEALTHY), Event.ENOUGH, Moment(1, 0.0), "no answer")
        value = replace(value, channels=value.channels.set(("B", channel), health))
    script, lines = Script(value, watchdog.step), []
    for at in range(0, 130, 10):
        tried = at % 20 == 10
        for channel in (Channel.NATS, Channel.HTTP, Channel.RELAY):
            health = script.fleet.health("B", channel)
            event, why = (Event.MEND, TRYING) if tried else (Event.ENOUGH, "no answer")
            health = advance(health, event, Moment(1, at), why)
            script.fleet = replace(script.fleet, channels=script.fleet.channels.set(("B", channel), health))
        lines += told(script, at)
        if at == 30:
            asked = [one.signal for one in script.effects if isinstance(one, e.Raise)]
            assert [one.channel for one in asked if isinstance(one, RepairAsked)] == [Channel.NATS]
    assert lines == ["+channel.cold"]
    health = advance(script.fleet.health("B", Channel.RELAY), Event.MEND, Moment(1, 130.0), TRYING)
    proved = replace(health, good=1)
    script.fleet = replace(script.fleet, channels=script.fleet.channels.set(("B", Channel.RELAY), proved))
    beating(script, 1)
    assert over(script, 130, 160) == ["+channel.cold", "-channel.cold"]


def test_what_is_well_again_is_untold_after_a_while() -> None:
    """Twenty seconds well, told as what it was meanwhile; a relapse within them is the same finding."""
    ill = cut(fleet("A", "B"), "B")
    script = Script(ill, watchdog.step)
    assert over(script, 0, 40) == ["+channel.cold"]
    healthy = replace(script.fleet, channels=fleet("A", "B").channels)
    script.fleet = healthy
    beating(script, 1)
    assert told(script, 40) == ["+channel.cold"], "it says that it is not so any more"
    (was,) = (one.finding.detail for one in script.fleet.watch.suspicions.values())
    assert was.startswith("not so any more")
    assert told(script, 50) == []
    script.fleet = replace(script.fleet, channels=ill.channels)
    assert told(script, 60) == ["+channel.cold"], "and then that it is"
    script.fleet = replace(script.fleet, channels=healthy.channels)
    beating(script, 2)
    assert over(script, 70, 100) == ["+channel.cold", "-channel.cold"]
    assert not script.fleet.watch.suspicions


def test_a_flap_is_never_told() -> None:
    """Broken at every other look, for ever: nothing."""
    ill, well = cut(fleet("A", "B"), "B"), fleet("A", "B")
    script = Script(ill, watchdog.step)
    for at in range(0, 400, 10):
        script.fleet = replace(script.fleet, channels=(ill if at % 20 else well).channels)
        beating(script, at)
        assert told(script, at) == []


@pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.ALIVE])
def test_a_peer_that_is_away_is_nobodys_fault(standing: Standing) -> None:
    """Only of one that gossip hears is anything expected."""
    assert over(Script(cut(fleet("A", "B", standing=standing), "B"), watchdog.step), 0, 200) == []


def test_heartbeats_that_do_not_come() -> None:
    """Forty-five seconds without a new one and twenty more, though it answers; the next one makes it well."""
    script = Script(fleet("A", "B"), watchdog.step)
    assert over(script, 0, 70) == []
    assert told(script, 70) == ["+peer.mute"]
    found = script.fleet.watch.suspicions["peer.mute", "B"].finding
    assert "channel.cold" in found.depends_on
    for serial in range(3):
        beating(script, serial + 1)
        last = told(script, 80 + 10 * serial)
    assert last == ["-peer.mute"]


def test_who_comes_back_is_not_told_of_at_once() -> None:
    """A hundred seconds away with mail that waited, or this machine asleep for as long: nobody is mute or stuck before
    it was there for as long as anybody has."""
    waiting = Lane(Lane().open.set((1, 7), Waiting(letter("m", seq=7))))
    value = fleet("A", "B")
    value = replace(value, mail=replace(value.mail, lanes=value.mail.lanes.set("B", waiting)))
    script, here = Script(value, watchdog.step), value.peers
    told(script, 0)
    script.fleet = replace(script.fleet, peers=here.set("B", replace(here["B"], standing=Standing.UNREACHABLE)))
    assert over(script, 10, 110) == []
    script.fleet = replace(script.fleet, peers=here)
    assert over(script, 110, 160) == []
    slept = Script(value, watchdog.step)
    told(slept, 0)
    assert told(slept, 100) == []
    beating(slept, 1)
    slept.fleet = replace(slept.fleet, mail=fleet("A", "B").mail)
    assert over(slept, 110, 150) == []


def test_a_message_that_does_not_leave() -> None:
    """The oldest is the same for a minute and twenty seconds more; while it changes, many may wait."""
    waiting = Waiting(letter("m", seq=7))
    value = fleet("A", "B")
    open_ = Lane().open.set((1, 7), waiting).set((1, 8), Waiting(letter("r", seq=8, kind=Kind.RUNG)))
    stuck = replace(value, mail=replace(value.mail, lanes=value.mail.lanes.set("B", Lane(open_))))
    script = Script(stuck, watchdog.step)
    for at in range(0, 80, 10):
        beating(script, at)
        assert told(script, at) == []
    beating(script, 80)
    assert told(script, 80) == ["+queue.stuck"]
    (seen,) = script.fleet.watch.suspicions.values()
    assert seen.finding.detail.startswith("1 for B, the oldest"), "a RUNG is nobody's message"
    for channel in (Channel.NATS, Channel.HTTP):
        script.fleet = with_health(script.fleet, "B", channel, held=True)
    beating(script, 70)
    assert told(script, 70) == ["+queue.stuck"]
    (seen,) = script.fleet.watch.suspicions.values()
    assert seen.finding.detail.endswith("nats and http are held back by you; `fleet hold B nats --off` releases nats")
    moving = Script(stuck, watchdog.step)
    for at in range(0, 200, 10):
        lane = Lane(Lane().open.set((1, 7 + at), waiting))
        moving.fleet = replace(moving.fleet, mail=replace(value.mail, lanes=value.mail.lanes.set("B", lane)))
        beating(moving, at)
        assert told(moving, at) == []


@pytest.mark.parametrize(
    ("vitals", "code"),
    [
        (replace(WELL, free_mb=30), "disk.low"),
        (replace(WELL, free_mb=100), "disk.low"),
        (replace(WELL, free_inodes=10), "disk.inodes"),
        (replace(WELL, descriptors=900), "fds.few"),
        (replace(WELL, none_left=True), "fds.few"),
        (replace(WELL, backlog=3_000), "loop.backlog"),
        (WELL, ""),
        (Vitals(), ""),
    ],
)
def test_the_machine(vitals: Vitals, code: str) -> None:
    """Each limit has its finding after twenty seconds; what was not measured is no fault."""
    script = Script(fleet("A"), watchdog.step)
    script.hear(Measured(vitals))
    assert over(script, 0, 20) == []
    assert told(script, 20) == ([f"+{code}"] if code else [])


def test_a_low_disk_says_when_it_would_refuse() -> None:
    """Only once it is full; and from which room on it takes mail again, which is less on a disk that is small."""
    (large,) = disk(replace(WELL, free_mb=30, disk_mb=100_000), 8, 32)
    assert large.detail == "30 MB free for /h; once it is full, new messages are refused until 32 MB are free"
    (small,) = disk(replace(WELL, free_mb=20, disk_mb=30), 8, 32)
    assert small.severity is Severity.MEDIUM
    assert small.detail.endswith("until 16 MB are free")


def test_stalls_of_the_loop() -> None:
    """Three within a minute; one, or a machine that slept for an hour, are none."""
    script = Script(fleet("A"), watchdog.step)
    for at, lag in ((0, 0.7), (1, 3_600.0), (2, 5_000.0), (10, 0.9)):
        script.hear(LoopLagged(lag), at)
    assert told(script, 11) == []
    script.hear(LoopLagged(2.0), 12)
    assert told(script, 13) == ["+loop.lag"]
    assert "2.0 s" in script.fleet.watch.suspicions["loop.lag", ""].finding.detail
    assert over(script, 80, 110) == ["+loop.lag", "-loop.lag"]


OFF = 600_000.0


@pytest.mark.parametrize(
    ("offsets", "found"),
    [
        ({}, []),
        ({"b": 100.0}, []),
        ({"b": OFF}, [("clock.differs", "b")]),
        ({"b": OFF, "c": OFF + 5, "d": OFF}, [("clock.off", "")]),
        ({"b": -OFF, "c": -OFF}, [("clock.off", "")]),
        ({"b": OFF, "c": 0.0, "d": 3.0}, [("clock.differs", "b")]),
        ({"b": OFF, "c": 0.0}, [("clock.differs", "b")]),
        ({"b": OFF, "c": -OFF}, [("clock.differs", "b"), ("clock.differs", "c")]),
    ],
)
def test_whose_clock_is_off(offsets: dict[str, float], found: list[tuple[str, str]]) -> None:
    """What most agree on is right; between two nobody can tell, and it is said so."""
    told = clock(offsets, 60.0, "linux")
    assert [(one.code, one.subject) for one in told] == found
    assert all("timedatectl" in one.next_step for one in told)
    assert all(one.severity in (Severity.MEDIUM, Severity.LOW) for one in told)
    if len(offsets) == 1 and found:
        assert "nobody can tell" in told[0].detail


def test_a_large_fleet_is_looked_at_in_parts() -> None:
    """Of two hundred peers each look takes the next sixty-four, and whoever is cold is told within a minute and a
    half."""
    names = [f"n{number:03d}" for number in range(200)]
    script = Script(cut(fleet("A", *names), "n003", "n150"), watchdog.step)
    lines = []
    for at in range(0, 100, 10):
        beating(script, at)
        lines += told(script, at)
    assert lines == ["+channel.cold"] * 2
    assert script.fleet.config == Config()


def test_a_peer_that_was_put_out_is_untold() -> None:
    """What was said of somebody who is no member any more goes."""
    script = Script(cut(fleet("A", "B", "C"), "B"), watchdog.step)
    for at in range(0, 40, 10):
        beating(script, at)
        told(script, at)
    assert script.fleet.watch.suspicions["channel.cold", "B"].told
    script.fleet = replace(script.fleet, roster=fleet("A", "C").roster)
    for at in range(40, 70, 10):
        beating(script, at)
        last = told(script, at)
    assert last == ["-channel.cold"]


def test_who_was_put_out_learns_why() -> None:
    """Peers that answer, and open nothing of what they get, are named once that has lasted, while no channel to them
    works: a node that was revoked while it was away is told by nobody else."""
    value = fleet("A", "B", "C", standing=Standing.UNREACHABLE)
    for peer in "BC":
        for channel, cause in ((Channel.HTTP, Cause.SPURNED), (Channel.NATS, None)):
            value = with_health(value, peer, channel, state=ChannelState.UNKNOWN, ok_at=None)
            no = tried(channel, Verdict.REFUSED, peer=peer, hard=True, cause=cause)
            value, _ = health.step(value, no, moment(1.0))
    script = Script(value, watchdog.step)
    assert over(script, 0, 20) == []
    assert told(script, 20) == ["+trust.refused"]
    key = ("trust.refused", "")
    assert script.fleet.watch.suspicions[key].finding.detail.startswith("B, C refuse what this node sends")
    for channel in (Channel.HTTP, Channel.NATS):
        script.fleet = with_health(script.fleet, "B", channel, state=ChannelState.HEALTHY, ok_at=1.0)
    told(script, 30)
    assert script.fleet.watch.suspicions[key].finding.detail.startswith("C refuses")
