"""How trying moves a (peer, channel) pair: signals in, states and probes out."""

import pytest
from msgspec.structs import replace

from engine.effects import AskReady, Deliver, Publish, Raise, Save
from engine.health import step as health
from engine.health.cascade import choose
from engine.model.broker import BrokerState
from engine.model.channel import Channel, ChannelHealth, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.model.event import ChannelMoved
from engine.model.mail import Parcel
from engine.model.packets import Receipt, pack
from engine.model.peer import Standing
from engine.signals import (
    Arrived,
    BrokerChanged,
    ChannelHeld,
    ChannelTurned,
    Listening,
    LoopLagged,
    Overtaken,
    ProbeAsked,
    Rang,
    Readied,
    Signal,
    Started,
)
from tests.engine.script import T0_MONO, Script, fleet, letter, tried, with_health

NATS, HTTP, RELAY, GIT = Channel.NATS, Channel.HTTP, Channel.RELAY, Channel.GIT
S = ChannelState
PING = "deliver ping to B over nats"
ROUND = Rang(health.TIMER)


def on(state: ChannelState, channel: Channel = NATS, **facts: object) -> Script:
    """A and B, with one channel between them, in this state; only the health room listens."""
    value = fleet("A", "B", up=(channel,))
    return Script(with_health(value, "B", channel, state=state, **facts), health.step)


def pair(script: Script, channel: Channel = NATS) -> ChannelHealth:
    return script.fleet.health("B", channel)


def moves(script: Script) -> list[str]:
    """The states told to the faces by the last signal."""
    told = (effect.event for effect in script.effects if isinstance(effect, Publish))
    return [f"{one.old}->{one.new}" for one in told if isinstance(one, ChannelMoved)]


def retry_s(script: Script) -> float:
    """Seconds from now to the next look at a broken pair."""
    return pair(script).retry_at - T0_MONO - script.at_s


def ok(ms: float = 1.0, channel: Channel = NATS) -> Signal:
    return tried(channel, Verdict.CONFIRMED, ms=ms)


def lost(ms: float = 1.0, *, hard: bool = False, channel: Channel = NATS) -> Signal:
    return tried(channel, Verdict.LOST, note="no answer", hard=hard, ms=ms)


# --------------------------------------------------------------------------------------------- good, worse, broken


def test_never_tried_is_unknown_until_it_answers() -> None:
    """The first success makes an unknown pair HEALTHY and keeps what it took."""
    script = on(S.UNKNOWN, latencies=(), ok_at=None, tried_at=None)
    script.hear(ok(3.5), at=1.0)
    assert moves(script) == ["UNKNOWN->HEALTHY"]
    assert pair(script).latencies == (3.5,)
    assert pair(script).ok_at == T0_MONO + 1.0


def test_one_failure_degrades_and_a_success_clears_it() -> None:
    """HEALTHY, one failure: DEGRADED; the next success: HEALTHY, with no failure in a row left."""
    script = on(S.HEALTHY)
    script.hear(lost(), at=1.0)
    assert moves(script) == ["HEALTHY->DEGRADED"]
    script.hear(ok(), at=2.0)
    assert moves(script) == ["DEGRADED->HEALTHY"]
    assert pair(script).streak == 0


def test_three_failures_in_a_row_break() -> None:
    """HEALTHY -> DEGRADED -> DEGRADED -> BROKEN."""
    script = on(S.HEALTHY)
    states = []
    for second in (1, 2, 3):
        script.hear(lost(), at=second)
        states.append(pair(script).state)
    assert states == [S.DEGRADED, S.DEGRADED, S.BROKEN]


@pytest.mark.parametrize(("gap_s", "state"), [(140.0, S.BROKEN), (160.0, S.DEGRADED)])
def test_three_failures_in_five_minutes_break(gap_s: float, state: ChannelState) -> None:
    """Successes in between clear a row, not the five minutes."""
    script = on(S.HEALTHY)
    for number in range(3):
        script.hear(lost(), at=1 + number * gap_s)
        if number < 2:
            script.hear(ok(), at=2 + number * gap_s)
    assert pair(script).state is state


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.REFUSED, Verdict.BARRED])
def test_a_hard_signal_breaks_at_once(verdict: Verdict) -> None:
    """Refused, no responders or disconnected needs no second opinion."""
    script = on(S.HEALTHY)
    script.hear(tried(NATS, verdict, note="no responders", hard=True), at=1.0)
    assert moves(script) == ["HEALTHY->BROKEN"]
    assert pair(script).reason == "no responders"


def test_overtaken_three_times_in_a_row_is_silence() -> None:
    """Three times in a row another channel was faster by more than the hedge: broken, before any timeout says so."""
    script = on(S.HEALTHY)
    script.hear(Overtaken("B", NATS))
    script.hear(Overtaken("B", NATS))
    assert pair(script).state is S.HEALTHY
    script.hear(ok())
    for _ in range(2):
        script.hear(Overtaken("B", NATS))
    assert pair(script).state is S.HEALTHY
    script.hear(Overtaken("B", NATS))
    assert moves(script) == ["HEALTHY->BROKEN"]
    assert "silent" in pair(script).reason


def test_only_the_last_latencies_are_kept() -> None:
    """Sixty round trips, the newest at the end."""
    script = on(S.HEALTHY, latencies=())
    for number in range(70):
        script.hear(ok(float(number)))
    assert pair(script).latencies == tuple(float(number) for number in range(10, 70))


def test_the_outbox_hears_only_of_what_becomes_usable_or_stops_being_so() -> None:
    """HEALTHY to DEGRADED is still usable: whoever rests must not begin anew at each failure."""
    script = on(S.HEALTHY)
    assert script.asked(Raise, lost(), at=1.0) == []
    assert script.asked(Raise, lost(hard=True), at=2.0) == ["raise ChannelTurned"]
    script.hear(ROUND, at=3.0)
    turned = [script.asked(Raise, ok(), at=3.0 + number / 100) for number in range(3)]
    assert turned == [[], [], ["raise ChannelTurned"]]
    held = on(S.HEALTHY, held=True)
    assert held.asked(Raise, lost(hard=True), at=1.0) == []


# ------------------------------------------------------------------------------------------------ broken and healing


def test_back_off_doubles_from_a_quarter_second_to_twelve() -> None:
    """Each time healing fails the wait doubles, to 12 s at most; it is between half and all of that."""
    script = on(S.HEALTHY)
    script.hear(lost(hard=True), at=1.0)
    bases = []
    for _ in range(10):
        bases.append(pair(script).backoff_s)
        assert bases[-1] / 2 <= retry_s(script) <= bases[-1]
        at = script.at_s + retry_s(script)
        assert PING in script.hear(ROUND, at=at)
        assert moves(script) == ["BROKEN->HEALING"]
        script.hear(lost(), at=at + 0.0001)
        assert moves(script) == ["HEALING->BROKEN"]
    assert bases == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 12.0, 12.0, 12.0]


def test_three_good_probes_heal() -> None:
    """BROKEN, a probe: HEALING; a good probe is followed by the next; the third makes it HEALTHY and forgives all."""
    script = on(S.HEALTHY)
    script.hear(lost(hard=True), at=1.0)
    assert PING in script.hear(ROUND, at=1.25)
    for number in (1, 2):
        assert PING in script.hear(ok(), at=1.25 + number / 100)
        assert pair(script).state is S.HEALING
    assert PING not in script.hear(ok(), at=1.3)
    assert moves(script) == ["HEALING->HEALTHY"]
    healed = pair(script)
    assert (healed.streak, healed.good, healed.backoff_s) == (0, 0, 0.25)
    assert healed.fails == (T0_MONO + 1.0,), "what happened in the window is still told"
    for at in (2.0, 3.0):
        script.hear(lost(), at=at)
    assert pair(script).state is S.DEGRADED, "with the one before it, these would be three"


def test_a_failure_while_healing_begins_anew() -> None:
    """Two good probes and a bad one: BROKEN, twice the wait, and three good ones are needed again."""
    script = on(S.BROKEN, backoff_s=0.25, retry_at=T0_MONO)
    script.hear(ROUND, at=0.1)
    script.hear(ok(), at=0.2)
    script.hear(ok(), at=0.3)
    script.hear(lost(0.1), at=0.4)
    assert pair(script).state is S.BROKEN
    assert (pair(script).good, pair(script).backoff_s) == (0, 0.5)


def test_a_success_on_a_broken_channel_is_the_first_good_probe() -> None:
    """Mail that gets through while BROKEN is not health: it counts as one of three."""
    script = on(S.BROKEN, retry_at=T0_MONO + 30)
    assert PING in script.hear(ok(), at=1.0)
    assert moves(script) == ["BROKEN->HEALING"]
    assert pair(script).good == 1


def test_a_burst_that_times_out_together_doubles_the_back_off_once() -> None:
    """What was under way when the channel broke tells nothing new, not even while it heals."""
    script = on(S.HEALTHY)
    script.hear(lost(hard=True), at=1.0)
    before = pair(script)
    for _ in range(20):
        script.hear(lost(3_000), at=1.1)
    assert pair(script) == before
    script.hear(ROUND, at=1.25)
    for _ in range(20):
        script.hear(lost(3_000), at=1.3)
    assert pair(script).state is S.HEALING


def test_a_silent_probe_is_asked_again() -> None:
    """A healing pair whose probe came to nothing is looked at again after twice its budget."""
    script = on(S.BROKEN, retry_at=T0_MONO)
    script.hear(ROUND, at=0.1)
    assert PING not in script.hear(ROUND, at=5.9)
    assert PING in script.hear(ROUND, at=6.2)


def test_a_frame_over_a_broken_channel_is_a_reason_to_look() -> None:
    """Something came that way: probed at once, instead of after the back-off."""
    script = on(S.BROKEN, retry_at=T0_MONO + 30)
    came = Arrived((Parcel(letter("m", "A", "B", seq=1)),), NATS)
    assert f"ring {health.TIMER} at 2.000" in script.hear(came, at=2.0)
    assert PING in script.hear(ROUND, at=2.0)


# ------------------------------------------------------------------------------------------------------------ trust


def test_a_pin_mismatch_is_a_quarantine() -> None:
    """A peer that shows another key is out of the cascade and in the ledger; its key is looked at again after a minute,
    or when a person asks."""
    script = on(S.HEALTHY)
    shown = tried(NATS, Verdict.LOST, note="key changed", hard=True, pin=True)
    assert "save lazily entry channel B" in script.hear(shown, at=1.0)
    assert moves(script) == ["HEALTHY->QUARANTINED"]
    script.hear(ok(), at=2.0)
    assert pair(script).state is S.QUARANTINED
    assert choose(script.fleet, "B", Kind.CONTEXT) == ()
    assert PING not in script.hear(ROUND, at=30.0)
    assert pair(script).state is S.QUARANTINED
    assert PING in script.hear(ProbeAsked("B", NATS), at=31.0)
    assert moves(script) == ["QUARANTINED->UNKNOWN"]
    script.hear(shown, at=32.0)
    assert PING in script.hear(ROUND, at=93.0)
    assert pair(script).state is S.UNKNOWN


def test_held_by_a_person() -> None:
    """Holding is written down and told, takes the pair out of the cascade, and is undone the same way."""
    script = on(S.HEALTHY)
    assert "save entry hold B" in script.hear(ChannelHeld("B", NATS, held=True))
    assert choose(script.fleet, "B", Kind.CONTEXT) == ()
    assert "save entry release B" in script.hear(ChannelHeld("B", NATS, held=False))
    assert choose(script.fleet, "B", Kind.CONTEXT) == (NATS,)


# ------------------------------------------------------------------------------------------------------------- time


def test_a_quiet_quarter_of_an_hour_is_unknown() -> None:
    """What nobody could try for 15 minutes is unknown again: stale knowledge is not knowledge."""
    script = on(S.HEALTHY)
    script.hear(ROUND, at=899.0)
    assert pair(script).state is S.HEALTHY
    script = on(S.HEALTHY)
    assert PING in script.hear(ROUND, at=901.0)
    assert moves(script) == ["HEALTHY->UNKNOWN"]


@pytest.mark.parametrize(
    ("state", "rest_s"), [(S.HEALTHY, (4.5, 5.0)), (S.DEGRADED, (1.0, 1.0)), (S.UNKNOWN, (4.5, 5.0))]
)
def test_a_resting_pair_is_probed_now_and_then(state: ChannelState, rest_s: tuple[float, float]) -> None:
    """A working pair nobody uses is probed about every five seconds, a failing one every second."""
    early, late = rest_s
    assert PING not in on(state).hear(ROUND, at=early - 0.01)
    assert PING in on(state).hear(ROUND, at=late + 0.01)


def test_a_pair_in_use_is_not_probed() -> None:
    """Mail that is answered is a probe."""
    script = on(S.HEALTHY)
    for second in range(1, 30):
        script.hear(ok(), at=float(second))
        assert PING not in script.hear(ROUND, at=second + 0.5)


def test_a_hundred_peers_are_probed_less_often() -> None:
    """Probing stays a fixed cost: beyond eight peers the rest grows with their number, and they do not go in step."""
    names = ("A", *(f"P{number:03}" for number in range(80)))
    script = Script(fleet(*names, up=(NATS,)), health.step)
    probed = [len(script.asked(Deliver, ROUND, at=float(second))) for second in range(40, 56)]
    assert sum(probed) == 80
    assert max(probed) < 40


def test_what_turns_usable_is_a_reason_to_look_only_at_what_is_broken() -> None:
    """A start makes a channel usable for each of a hundred peers; that is not a hundred looks at all of them."""
    for state, looks in ((S.HEALTHY, []), (S.BROKEN, ["ring health.round at 1.000"])):
        script = on(S.HEALTHY, ok_at=T0_MONO + 1.0)
        script.fleet = with_health(script.fleet, "B", HTTP, state=state, retry_at=T0_MONO + 9.0)
        assert script.hear(ChannelTurned("B", NATS, usable=True), at=1.0) == looks


def test_one_question_to_the_transports_however_many_channels_are_absent() -> None:
    """They say of all channels to a peer whether there is a way."""
    script = on(S.ABSENT, tried_at=T0_MONO)
    script.fleet = with_health(script.fleet, "B", HTTP, state=S.ABSENT, tried_at=T0_MONO)
    script.hear(ROUND, at=60.0)
    assert [one for one in script.effects if isinstance(one, AskReady)] == [AskReady("B")]


def test_own_broker_back_is_a_reason_to_look() -> None:
    """Our broker is up again: P1 to everybody is probed at once, from a fresh back-off."""
    value = fleet("A", "B", "C", up=(NATS, HTTP))
    for peer in "BC":
        value = with_health(value, peer, NATS, state=S.BROKEN, retry_at=T0_MONO + 30, backoff_s=30.0)
    script = Script(value, health.step)
    assert script.hear(BrokerChanged(BrokerState.DOWN), at=1.0) == []
    assert f"ring {health.TIMER} at 2.000" in script.hear(BrokerChanged(BrokerState.UP), at=2.0)
    assert script.asked(Deliver, ROUND, at=2.0) == [PING, "deliver ping to C over nats"]
    script.hear(lost(), at=2.1)
    assert pair(script).backoff_s == 0.25


# ------------------------------------------------------------------------------------------------- what can be tried


@pytest.mark.parametrize("signal", [Started(), Listening(()), LoopLagged(3.0)])
def test_asked_whom_each_transport_reaches(signal: Signal) -> None:
    """After a start, new ports or a sleep every transport is asked about every peer."""
    script = Script(fleet("A", "B", "C"), health.step)
    assert script.asked(AskReady, signal) == ["ask ready B", "ask ready C"]


def test_not_available_is_an_entry_with_a_reason() -> None:
    """A channel that cannot be tried is ABSENT and says why; when it can be, it is probed."""
    script = Script(fleet("A", "B", up=()), health.step)
    told = script.hear(Readied("B", {NATS: None, HTTP: None, RELAY: "no peer reaches both"}), at=1.0)
    assert pair(script, RELAY).state is S.ABSENT
    assert pair(script, RELAY).reason == "no peer reaches both"
    assert {line for line in told if "ping" in line} == {PING, "deliver ping to B over http"}
    told = script.hear(Readied("B", {RELAY: None}), at=2.0)
    assert moves(script) == ["ABSENT->UNKNOWN"]
    assert "deliver ping to B over relay" in told


def test_what_was_absent_is_asked_again() -> None:
    """A relay may have appeared meanwhile."""
    script = on(S.ABSENT, RELAY)
    assert script.asked(AskReady, ROUND, at=6.0) == ["ask ready B"]
    assert script.asked(AskReady, ROUND, at=6.1) == []


def test_an_answer_of_the_transport_does_not_break_what_works() -> None:
    """A reason against a pair that answers is worth less than the answers; it is worth asking at once."""
    script = on(S.HEALTHY)
    assert script.asked(Deliver, Readied("B", {NATS: "no address"})) == [PING]
    assert pair(script).state is S.HEALTHY


def test_what_is_not_possible_any_more_is_not_healthy() -> None:
    """The peer came back without a hub: within one try and the next look its cell says so, and a probe of what is not
    set up is no failure."""
    script = on(S.HEALTHY, GIT)
    gone = Readied("B", {GIT: "no hub in common"})
    assert script.asked(Deliver, gone, at=1.0) == ["deliver ping to B over git"]
    script.hear(tried(GIT, Verdict.BARRED, note="no hub in common", hard=True), at=1.1)
    assert "ask ready B" in script.hear(ROUND, at=2.0)
    script.hear(gone, at=2.0)
    assert (pair(script, GIT).state, pair(script, GIT).reason) == (S.ABSENT, "no hub in common")
    fails = pair(script, GIT).fails
    script.hear(tried(GIT, Verdict.BARRED, note="no hub in common", hard=True), at=3.0)
    script.hear(tried(GIT, Verdict.LOST, note="no answer"), at=3.1)
    found = pair(script, GIT)
    assert (found.state, found.fails, found.reason) == (S.ABSENT, fails, "no hub in common")


def test_a_person_wants_to_know_now() -> None:
    """Asked by hand, every channel is probed, even a broken one, which is tried again soon: it may be too early."""
    ill = {"state": S.BROKEN, "retry_at": T0_MONO + 30, "backoff_s": 30.0}
    script = Script(with_health(fleet("A", "B", up=(NATS, HTTP)), "B", HTTP, **ill), health.step)
    assert script.hear(ProbeAsked("B")) == [
        "ask ready B",
        PING,
        "deliver ping to B over http",
        "ring health.round at 0.500",
    ]
    assert (pair(script, HTTP).retry_at, pair(script, HTTP).backoff_s) == (T0_MONO + 0.5, 0.0)


# ------------------------------------------------------------------------------------------------------------ relays


def relayed(script: Script, at: float, kind: Kind = Kind.RECEIPT) -> None:
    body = pack(Receipt()) if kind is Kind.RECEIPT else b""
    envelope = replace(letter("r", "A", "B", seq=1, kind=kind), body=body)
    script.hear(Arrived((Parcel(envelope, relay="C"),), NATS), at=at)


def unproved() -> Script:
    return on(S.UNKNOWN, RELAY, latencies=(), ok_at=None, tried_at=None)


def test_what_a_relay_took_is_owed() -> None:
    """LANDED is no success; the peer's own receipt through the relay is, and it took the whole way."""
    script = unproved()
    script.hear(tried(RELAY, Verdict.LANDED, ms=20), at=1.0)
    assert pair(script, RELAY).state is S.UNKNOWN
    relayed(script, at=1.5)
    assert pair(script, RELAY).state is S.HEALTHY
    assert pair(script, RELAY).latencies == (pytest.approx(520.0),)
    assert pair(script, RELAY).owed_at is None


def test_a_receipt_may_overtake_the_relays_word() -> None:
    """The peer's receipt came before the relay's own answer: nothing is owed any more."""
    script = unproved()
    relayed(script, at=1.0)
    assert pair(script, RELAY).state is S.UNKNOWN
    script.hear(tried(RELAY, Verdict.LANDED, ms=30), at=1.01)
    assert pair(script, RELAY).state is S.HEALTHY
    assert pair(script, RELAY).latencies == (pytest.approx(20.0),)
    assert pair(script, RELAY).owed_at is None


@pytest.mark.parametrize("state", [S.UNKNOWN, S.BROKEN, S.HEALING])
def test_what_is_not_possible_any_more_is_not_broken(state: ChannelState) -> None:
    """The last relay went: the channel is not set up, with the reason, instead of being called broken for ever."""
    script = on(state, RELAY)
    script.hear(Readied("B", {RELAY: "no peer reaches both"}), at=1.0)
    assert (pair(script, RELAY).state, pair(script, RELAY).reason) == (S.ABSENT, "no peer reaches both")
    script.hear(Readied("B", {RELAY: None}), at=2.0)
    assert pair(script, RELAY).state is S.UNKNOWN


def test_only_a_receipt_proves_that_the_relay_reaches_the_peer() -> None:
    """What the peer sent by itself proves the other direction."""
    script = unproved()
    script.hear(tried(RELAY, Verdict.LANDED, ms=20), at=1.0)
    for kind in (Kind.PING, Kind.HEARTBEAT, Kind.CONTEXT):
        relayed(script, at=1.1, kind=kind)
    assert pair(script, RELAY).owed_at is not None


@pytest.mark.parametrize(
    ("standing", "state"), [(Standing.ALIVE, S.DEGRADED), (Standing.SUSPECT, S.DEGRADED), (Standing.OFFLINE, S.HEALTHY)]
)
def test_a_receipt_that_stays_owed(standing: Standing, state: ChannelState) -> None:
    """Five seconds without the peer's receipt are the relay's failure, unless the peer is away and cannot answer."""
    value = fleet("A", "B", up=(RELAY,), standing=standing)
    script = Script(value, health.step)
    script.hear(tried(RELAY, Verdict.LANDED, ms=0.0), at=1.0)
    script.hear(ROUND, at=5.9)
    assert pair(script, RELAY).state is S.HEALTHY
    script.hear(ROUND, at=6.1)
    assert pair(script, RELAY).state is state
    assert pair(script, RELAY).owed_at is None


# ------------------------------------------------------------------------------------------------------- house rules


def test_same_input_same_output() -> None:
    """Steps are pure: the same value, signal and moment give the same result, and leave their input alone."""
    value = with_health(fleet("A", "B", "C"), "B", NATS, state=S.BROKEN, retry_at=T0_MONO)
    up = BrokerChanged(BrokerState.UP)
    signals: list[Signal] = [Started(), ROUND, lost(), ok(), Overtaken("B", NATS), up, ProbeAsked("B")]
    for signal in signals:
        one, two = Script(value, health.step), Script(value, health.step)
        assert (one.hear(signal, at=1.0), one.fleet) == (two.hear(signal, at=1.0), two.fleet)
    assert value.health("B", NATS).state is S.BROKEN


def test_only_trust_is_written_down() -> None:
    """A channel that fails and heals fills no ledger; the screens have its ring of changes."""
    script = on(S.HEALTHY)
    for second in range(1, 200):
        signal = lost(hard=True) if second % 3 else ok()
        assert script.asked(Save, signal, at=float(second)) == []


def test_strangers_are_not_looked_at() -> None:
    """A round looks at present members only, whatever is still remembered of others."""
    value = with_health(fleet("A", "B"), "Z", NATS, state=S.BROKEN, retry_at=0.0)
    assert not any("Z" in line for line in Script(value, health.step).hear(ROUND, at=100.0))
