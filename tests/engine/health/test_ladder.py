"""The repair ladder as a conversation: what breaks, what each rung asks for, and what ends it."""

import itertools
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine import effects as e
from engine.errors import FleetError
from engine.health import kept
from engine.health.ladder import TABLE, TIMER, Event, advance
from engine.health.rungs import OURS_AN_HOUR
from engine.model.broker import BrokerState
from engine.model.channel import Cause, ChannelState, Verdict
from engine.model.envelope import Kind
from engine.model.finding import Severity
from engine.model.packets import Heartbeat, Mend, Mended, pack, unpack
from engine.model.peer import Peer, Standing
from engine.model.records import AddEntry, PutMeta
from engine.model.repair import Action, Ended, Level, above, digest, left, opens_at
from engine.model.roster import Address, Role
from engine.model.ways import SshWay, Ways
from engine.signals import ChannelTurned, MendAnswered, MendEnded, PlanApproved, PlanRan, RepairAsked
from engine.state import Broker
from tests.engine.health.repairs import B, H, N, R, S, answer, begun, broken, config, lines, mends, repair, rung, three
from tests.engine.script import T0_MONO, T0_MS, Script, fleet, moment, tried, with_health

# ------------------------------------------------------------------------------------------------------ the machine


@pytest.mark.parametrize(("level", "event"), itertools.product(Level, Event))
def test_every_pair_is_in_the_table_or_illegal(level: Level, event: Event) -> None:
    """An absent key is the illegal step, and its message names rung and event; no step leads down by itself."""
    if (level, event) in TABLE:
        assert advance(level, event) >= level
        return
    with pytest.raises(FleetError, match=f"{event} on L{level:d}"):
        advance(level, event)


@pytest.mark.parametrize(
    ("level", "levels", "wanted"),
    [
        (1, (1, 2, 3, 4), 2),
        (1, (1, 3, 4), 3),
        (1, (1, 4), 4),
        (2, (1, 2), None),
        (4, (1, 2, 3, 4), None),
        (1, (), None),
    ],
)
def test_the_next_rung_is_the_next_in_use(level: int, levels: tuple[int, ...], wanted: int | None) -> None:
    """A rung that is switched off is not there."""
    assert above(Level(level), levels) == wanted


@pytest.mark.parametrize(
    ("times", "now", "wanted"),
    [((), 0.0, 0.0), ((1.0, 2.0), 3.0, 0.0), ((1.0, 2.0, 3.0), 4.0, 3601.0), ((1.0, 2.0, 3.0), 3601.5, 0.0),
     ((1.0, 2.0, 3.0, 4.0), 5.0, 3602.0)],
)  # fmt: skip
def test_when_one_more_may_follow(times: tuple[float, ...], now: float, wanted: float) -> None:
    """At three an hour, the third last must be an hour old."""
    assert opens_at(times, now, 3) == wanted
    assert (left(times, now, 3) > 0) is (wanted == 0)


# -------------------------------------------------------------------------------------------------------- the rungs


@pytest.mark.parametrize(
    ("up_s", "joined_s", "noted"), [(61, 61, True), (59, 61, False), (61, 59, False), (61, -600, True)]
)
def test_what_is_new_is_left_alone(up_s: float, joined_s: float, noted: bool) -> None:
    """What never worked is broken once neither machine is new; a clock that is wrong makes nobody new for longer."""
    value = broken(three(), ok_at=None)
    members = tuple(replace(one, joined_ms=T0_MS - int(joined_s * 1000)) for one in value.roster.members)
    me = replace(value.me, started_mono=T0_MONO - up_s)
    script = Script(replace(value, me=me, roster=replace(value.roster, members=members)))
    script.hear(ChannelTurned("B", N, usable=False))
    assert (("B", N) in script.fleet.repairs) is noted


def test_a_break_is_noted_at_once() -> None:
    """L1 is an entry in the ledger, a finding that shows if it lasts, and an event; nobody is asked anything."""
    script = Script(broken(three()))
    said = script.hear(ChannelTurned("B", N, usable=False), at=10)
    assert "save lazily entry repair B" in said
    assert "tell repair B nats L1 noted: no answer" in said
    assert "tell found repair.nats" in said
    assert f"ring {TIMER} at 11.000" in said
    assert mends(script) == []
    found = script.fleet.findings["repair.nats", "B/nats"]
    assert (found.severity, found.visible_after_s) == (Severity.LOW, 5.0)


def test_then_the_peer_is_asked_over_what_works() -> None:
    """L2 comes after its wait, as durable mail that names the action, the channel and what was seen."""
    script = begun(three())
    rung(script, at=14.9)
    assert mends(script) == []
    rung(script, at=15)
    ((to, mend),) = mends(script)
    assert (to, mend.action, mend.channel, mend.why) == ("B", "restart_nats", "nats", "no answer")
    assert any(said.startswith("deliver mend-") and said.endswith("to B over http") for said in lines(script))
    assert repair(script).level is Level.ASKED


def test_each_rung_is_given_its_time() -> None:
    """L3 follows L2 after its wait, L4 follows L3; at L4 nothing more happens by itself."""
    script = begun(three())
    rung(script, at=15)
    rung(script, at=34.9)
    assert repair(script).level is Level.ASKED
    rung(script, at=35)
    ((_, mend),) = mends(script)
    assert (mend.action, repair(script).level) == ("agent", Level.AGENT)
    rung(script, at=65)
    assert (repair(script).level, mends(script)) == (Level.PERSON, [])
    assert script.fleet.findings["repair.nats", "B/nats"].severity is Severity.HIGH
    rung(script, at=2_000)
    assert repair(script).level is Level.PERSON


def test_a_person_hears_of_it_in_time_whatever_else_is() -> None:
    """L4 comes `last_s` after the break at the latest."""
    script = begun(three(l3_s=1_000.0))
    rung(script, at=15)
    rung(script, at=100)
    assert repair(script).level is Level.PERSON
    assert [one.argv[-4:] for one in repair(script).plan] == [("--channel", "nats", "--level", "2")]


@pytest.mark.parametrize(
    ("levels", "rungs"), [((1, 3, 4), [Level.AGENT, Level.PERSON]), ((1, 4), [Level.PERSON]), ((1, 2), [Level.ASKED])]
)
def test_a_rung_that_is_off_is_not_waited_for(levels: tuple[int, ...], rungs: list[Level]) -> None:
    """The next one in use follows at once; after the last in use nothing does."""
    script, seen = begun(three(levels=levels)), []
    for at in (15, 35, 50, 66, 80):
        rung(script, at=at)
        seen += [repair(script).level] if repair(script).level not in seen else []
    assert seen == rungs


def test_a_no_is_not_waited_for_either() -> None:
    """What the peer refused or failed at is over: the next rung follows at once."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "refused", "no broker of its own")
    assert (repair(script).level, mends(script)[0][1].action) == (Level.AGENT, "agent")
    assert repair(script).steps[-2].said == "refused: no broker of its own"
    answer(script, "failed", "exit 1")
    assert repair(script).level is Level.PERSON


def test_done_is_a_reason_to_look_and_no_proof() -> None:
    """After a yes the channel is probed at once, and the ladder waits for the round trip."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "done", "its broker is up again")
    assert any(
        isinstance(one, e.Deliver) and one.channel is N and one.envelope.kind is Kind.PING for one in script.effects
    )
    assert repair(script).level is Level.ASKED


def test_only_the_asked_machine_answers() -> None:
    """An answer from another peer, or to another question, moves nothing."""
    script = begun(three())
    rung(script, at=15)
    before = script.fleet.repairs
    script.hear(MendAnswered("C", Mended(repair(script).ask, "restart_nats", "refused")))
    script.hear(MendAnswered("B", Mended("mend-1-1", "restart_nats", "refused")))
    assert script.fleet.repairs is before


def test_what_is_not_set_up_any_more_needs_no_repair() -> None:
    """The peer came back without a broker: nobody is asked to restart one, whoever wanted it, and no wish begins it."""
    script = begun(three())
    gone = with_health(script.fleet, "B", N, state=ChannelState.ABSENT, reason="no broker there")
    script.fleet = gone
    rung(script, at=15)
    assert "tell repair B nats L0 nats is not set up: no broker there" in lines(script)
    assert not script.fleet.repairs
    asked = msgspec.structs.replace(gone.repairs["B", N], by="anna")
    script.fleet = msgspec.structs.replace(gone, repairs=gone.repairs.set(("B", N), asked))
    rung(script, at=15)
    assert not script.fleet.repairs
    script.hear(RepairAsked("B", N, 2, by="anna"), at=16)
    assert (dict(script.fleet.repairs), mends(script)) == ({}, [])


def test_a_round_trip_ends_it() -> None:
    """HEALTHY by a round trip since the break: the ledger says which rung healed it and how long it took, and so does
    the reason of the pair."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "done", "its broker is up again")
    script.fleet = with_health(script.fleet, "B", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + 19)
    said = script.hear(ChannelTurned("B", N, usable=True), at=19)
    assert "tell repair B nats L0 healed by L2 in 9 s" in said
    assert "tell gone repair.nats" in said
    assert (script.fleet.repairs, script.fleet.findings) == (
        type(script.fleet.repairs)(),
        type(script.fleet.findings)(),
    )
    assert script.fleet.health("B", N).reason == "healed by L2 in 9 s"


@pytest.mark.parametrize(
    ("levels", "until", "answers", "credited"),
    [
        ((1, 4), 11, [], "by itself"),
        ((1, 4), 15, [], "by itself, while at L4,"),
        ((1, 2, 3, 4), 15, [], "while L2 was at it,"),
        ((1, 2, 4), 35, ["failed"], "by itself, while at L4,"),
        ((1, 2, 4), 35, ["done"], "by L2"),
        ((1, 2, 3, 4), 35, ["refused", "done"], "by L3"),
        ((1, 4), 15, [PlanApproved("B", N, "", "anna")], "while L4 was at it,"),
        ((1, 4), 15, [PlanApproved("B", N, "", "anna"), PlanRan("B", N, 1, False)], "by itself, while at L4,"),
        ((1, 4), 15, [PlanApproved("B", N, "", "anna"), PlanRan("B", N, 1, True)], "by L4"),
    ],
)
def test_only_who_acted_is_named(levels: tuple[int, ...], until: int, answers: list[Any], credited: str) -> None:
    """A rung heals when it said that it was done; a rung that was reached, and commands that were shown, do nothing."""
    script = begun(three(levels=levels))
    rung(script, at=min(until, 15))
    for one in answers:
        if isinstance(one, PlanApproved):
            one = PlanApproved("B", N, digest(repair(script).plan), "anna")
        answer(script, one) if isinstance(one, str) else script.hear(one, at=16)
    rung(script, at=until)
    script.fleet = with_health(script.fleet, "B", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + 35)
    script.hear(ChannelTurned("B", N, usable=True), at=35)
    assert script.fleet.health("B", N).reason == f"healed {credited} in 25 s"


@pytest.mark.parametrize("standing", [Standing.UNREACHABLE, Standing.OFFLINE, Standing.LEFT])
def test_who_is_away_is_not_repaired(standing: Standing) -> None:
    """A peer that left or is away altogether has no channel at fault."""
    script = begun(three())
    script.fleet = msgspec.structs.replace(script.fleet, peers=script.fleet.peers.set("B", Peer("B", standing)))
    rung(script, at=15)
    assert not script.fleet.repairs
    assert mends(script) == []


# ------------------------------------------------------------------------------------------------- what begins none


def test_nothing_begins_while_nothing_else_reaches_the_peer() -> None:
    """With every channel broken the machine is at fault, or the network; with one back, the ladder begins."""
    script = Script(broken(broken(three()), H))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    assert not script.fleet.repairs
    script.fleet = with_health(script.fleet, "B", R, state=ChannelState.HEALTHY, ok_at=T0_MONO + 20)
    script.hear(tried(R, Verdict.CONFIRMED, (1, 1, "m1")), at=20)
    assert set(script.fleet.repairs) == {("B", N), ("B", H)}


def test_nobody_is_asked_before_something_is_proven() -> None:
    """Another channel must have made a round trip since the break; until then the rung waits. What was cut off may work
    again then: it is looked at, and given the time that it had at first."""
    script = Script(broken(three()))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    for at in (15, 16, 17):
        rung(script, at=at)
        assert (mends(script), repair(script).level) == ([], Level.NOTED)
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 17.5)
    rung(script, at=18)
    assert "deliver ping to B over nats" in lines(script)
    rung(script, at=22.9)
    assert (repair(script).level, script.fleet.mending.escalations.get("B", ())) == (Level.NOTED, ())
    rung(script, at=23)
    assert repair(script).level is Level.ASKED


def test_a_person_is_not_told_before_something_is_proven() -> None:
    """What may only be away is no work for a person, whatever rungs are off, until it has lasted long; who asks for the
    commands is shown them."""
    for by, at, level in (("", 18, Level.NOTED), ("", 100, Level.PERSON), ("anna", 18, Level.PERSON)):
        script = Script(broken(three(levels=(1, 4))))
        script.hear(ChannelTurned("B", N, usable=False), at=10)
        rung(script, at=15)
        assert repair(script).level is Level.NOTED
        script.hear(RepairAsked("B", N, 4, by=by), at=17) if by else None
        rung(script, at=at)
        assert repair(script).level is level


def test_a_held_channel_is_the_persons() -> None:
    """What a person took out of the cascade is not repaired."""
    script = Script(broken(three(), held=True))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    assert not script.fleet.repairs


def test_a_wrong_key_has_its_own_remedy() -> None:
    """A quarantined pair asks for keys and roster to be applied anew, not for a restart."""
    script = begun(broken(three(), state=ChannelState.QUARANTINED))
    script.fleet = broken(script.fleet, state=ChannelState.QUARANTINED)
    rung(script, at=15)
    assert mends(script)[0][1].action == "reload_roster"


def test_a_channel_nobody_can_repair_by_itself_goes_on() -> None:
    """Where the table has no action L2 is passed over, and said to be."""
    value = with_health(three(), "B", R, state=B, reason="no receipt")
    script = Script(with_health(value, "B", H, ok_at=T0_MONO + 12))
    script.hear(RepairAsked("B", R, 2, by="anna"), at=11)
    assert [one.outcome for one in repair(script, channel=R).steps] == ["done", "skipped"]
    rung(script, at=12)
    assert repair(script, channel=R).level is Level.AGENT


def test_an_observer_asks_nobody() -> None:
    """Its requests would be refused; its ladder goes to a person."""
    script = begun(three())
    mine = msgspec.structs.replace(script.fleet.roster.members[0], role=Role.OBSERVER)
    roster = msgspec.structs.replace(script.fleet.roster, members=(mine, *script.fleet.roster.members[1:]))
    script.fleet = msgspec.structs.replace(script.fleet, roster=roster)
    for at in (15, 16, 17):
        rung(script, at=at)
        assert mends(script) == []
    assert repair(script).level is Level.PERSON


# ------------------------------------------------------------------------------------------------------ our own fault


def test_what_is_broken_to_everybody_is_ours() -> None:
    """P1 to nobody, while another channel answers: this node does to itself what it would have asked of others, and
    asks none of them."""
    script = Script(broken(broken(three()), peer="C"))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    script.hear(ChannelTurned("C", N, usable=False), at=10.5)
    script.fleet = with_health(script.fleet, "C", H, ok_at=T0_MONO + 12)
    rung(script, at=15)
    assert [said for said in lines(script) if "undertake" in said] == ["undertake restart_nats"]
    assert mends(script) == []
    rung(script, at=16)
    assert set(script.fleet.repairs) == {("A", N)}
    assert repair(script, "A").level is Level.ASKED
    script.fleet = with_health(script.fleet, "C", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + 18)
    script.hear(ChannelTurned("C", N, usable=True), at=18)
    assert ("A", N) not in script.fleet.repairs


@pytest.mark.parametrize(("barred", "ours"), [(False, False), (True, True)])
def test_between_two_the_last_failure_tells_whose_it_is(barred: bool, ours: bool) -> None:
    """With one peer "to everybody" says little: what could not even leave is ours, what was not answered is theirs."""
    value = msgspec.structs.replace(fleet("A", "B", config=config()), broker=Broker(BrokerState.UP))
    script = begun(broken(value))
    script.fleet = with_health(script.fleet, "B", N, barred=barred)
    rung(script, at=15)
    assert [bool(mends(script)), ("A", N) in script.fleet.repairs] == [not ours, ours]


# ------------------------------------------------------------------------------------------------------- the limit


def test_three_in_an_hour_and_no_more() -> None:
    """At the limit a repair is held, says until when, and goes on when the hour is over."""
    script = begun(three(per_hour=1))
    rung(script, at=15)
    rung(script, at=35)
    held = repair(script)
    assert (held.level, mends(script), held.held_until) == (Level.ASKED, [], T0_MONO + 15 + 3_600)
    assert held.steps[-1].outcome == "held"
    rung(script, at=36)
    assert len(repair(script).steps) == len(held.steps), "said once"
    rung(script, at=100)
    assert repair(script).level is Level.PERSON, "a person hears of it all the same"


def test_another_peer_has_an_hour_of_its_own() -> None:
    """The limit is a node's, not the fleet's."""
    script = begun(three(per_hour=1))
    rung(script, at=15)
    script.fleet = broken(with_health(script.fleet, "C", N, ok_at=T0_MONO + 21), H, "C")
    script.hear(ChannelTurned("C", H, usable=False), at=20)
    rung(script, at=25)
    assert [to for to, _ in mends(script)] == ["C"]


def test_what_was_asked_of_others_counts_after_a_restart() -> None:
    """What the last process asked of a peer within the hour is durable before it is asked, and restored at a start."""
    script = begun(three(per_hour=1))
    rung(script, at=15)
    (meta,) = [one for s in script.effects if isinstance(s, e.Save) for one in s.records if isinstance(one, PutMeta)]
    again = begun(msgspec.structs.replace(three(per_hour=1), mending=kept.restore(meta.value, moment(60))))
    rung(again, at=70)
    assert (mends(again), repair(again).held_until) == ([], T0_MONO + 15 + 3_600)


def test_our_own_broker_is_not_left_standing_still() -> None:
    """What is silent here is ours to restart at once, with one peer too, and as often as it happens: the limit of an
    hour is for what disturbs others. Even so there is an end, and it says what a person can do."""
    value = msgspec.structs.replace(fleet("A", "B", config=config()), broker=Broker(BrokerState.SILENT))
    script, undertaken = Script(value), 0
    for turn in range(OURS_AN_HOUR + 1):
        at = turn * 60.0
        script.fleet = broken(script.fleet)
        script.hear(ChannelTurned("B", N, usable=False), at=at)
        rung(script, at=at + 6)
        undertaken += "undertake restart_nats" in lines(script)
        if ("A", N) in script.fleet.repairs and turn < OURS_AN_HOUR:
            script.hear(MendEnded(Action.RESTART_NATS, Ended.DONE, "up again"))
            script.fleet = with_health(script.fleet, "B", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + at + 9)
            script.hear(ChannelTurned("B", N, usable=True), at=at + 9)
    assert undertaken == OURS_AN_HOUR
    assert repair(script, "A").steps[-1].outcome == "held"
    assert script.fleet.findings["repair.nats", "A/nats"].next_step == "`fleet repair --local restart_nats` does it now"


def in_ledger(script: Script) -> list[str]:
    records = [one for s in script.effects if isinstance(s, e.Save) for one in s.records]
    return [one.facts["what"] for one in records if isinstance(one, AddEntry) and one.verb == "repair"]


def test_a_pair_that_flaps_fills_no_history() -> None:
    """Of two hundred breaks in a few minutes three are written down with how many it were, and how each of these
    ended; one about which something is done is written down whatever came before."""
    script, said = Script(three()), list[str]()
    for number in range(200):
        at = 10 + 2 * number
        script.fleet = broken(script.fleet)
        script.hear(ChannelTurned("B", N, usable=False), at=at)
        said += in_ledger(script)
        script.fleet = with_health(script.fleet, "B", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + at + 1)
        script.hear(ChannelTurned("B", N, usable=True), at=at + 1)
        said += in_ledger(script)
    assert [line for line in said if line.startswith("noted")] == [
        "noted: no answer",
        "noted: no answer, 10 times with less than 10 min between",
        "noted: no answer, 100 times with less than 10 min between",
    ]
    assert len(said) == 6
    script.fleet = with_health(broken(script.fleet), "B", H, ok_at=T0_MONO + 420)
    script.hear(ChannelTurned("B", N, usable=False), at=415)
    assert in_ledger(script) == []
    rung(script, at=421)
    assert in_ledger(script) == ["asked B to restart its broker"]


# ------------------------------------------------------------------------------------------------------- a person


def test_a_person_starts_at_any_rung() -> None:
    """Their wish counts against the limit like any other, and is written down with their name."""
    script = Script(broken(three(levels=(1,))))
    script.hear(RepairAsked("B", N, 3, by="anna"), at=10)
    assert (repair(script).level, mends(script)[0][1].action) == (Level.AGENT, "agent")
    assert len(script.fleet.mending.escalations["B"]) == 1
    entries = [one for s in script.effects if isinstance(s, e.Save) for one in s.records if isinstance(one, AddEntry)]
    assert {one.facts["by"] for one in entries if one.verb == "repair"} == {"anna"}


def test_what_is_well_is_not_repaired() -> None:
    """A wish about a healthy channel changes nothing."""
    script = Script(three())
    script.hear(RepairAsked("B", N, 2), at=10)
    assert not script.fleet.repairs


def test_the_plan_is_exact_and_its_approval_is_written_down() -> None:
    """Approving marks the repair as worked on; the end of the commands is written down and looked at."""
    script = begun(three(levels=(1, 4)))
    script.fleet = msgspec.structs.replace(
        script.fleet, me=msgspec.structs.replace(script.fleet.me, program=("fleet", "--home", "/h"))
    )
    rung(script, at=15)
    (only,) = repair(script).plan
    assert only.argv == ("fleet", "--home", "/h", "repair", "B", "--channel", "nats", "--level", "2")
    said = script.hear(PlanApproved("B", N, digest((only,)), "anna"), at=20)
    assert "save entry repair B" in said
    assert repair(script).working
    said = script.hear(PlanRan("B", N, 1, False, "exit 1"), at=21)
    assert "tell repair B nats L4 1 of the commands went well" in said
    assert (repair(script).working, repair(script).steps[-1].said) == (False, "failed: exit 1")
    assert any(said.startswith("deliver ping") for said in said)
    assert repair(script).plan == (), "nothing waits for anybody now"
    found = script.fleet.findings["repair.nats", "B/nats"]
    assert "failed: exit 1" in found.detail
    assert found.next_step.startswith("`fleet repair B --channel nats --level 4`")
    script.hear(RepairAsked("B", N, 4), at=22)
    assert repair(script).plan == (only,), "a person may look again"


def test_mend_travels_as_it_was_asked() -> None:
    """The packet survives the wire."""
    mend = Mend("mend-1-1", Action.RESTART_NATS, "nats", "no answer")
    assert unpack(Kind.MEND, pack(mend)) == mend


# ------------------------------------------------------------------------------------------------ a node that ended


def ended_node() -> Script:
    """Nobody hears B; its sshd answers, and nobody takes letters there."""
    way = SshWay("fay", 22, ("ssh-ed25519 AAAA",), start=("fleet", "up", "--unless-stopped"))
    beat = Heartbeat(0, "1", addresses=(Address("10.0.0.7", 1, 2, 0, 3),), ways=Ways(ssh=way))
    value = broken(broken(three()), H)
    value = with_health(value, "B", S, state=B, reason="nobody at its socket", cause=Cause.NOBODY_IN, tried_at=T0_MONO)
    value = msgspec.structs.replace(value, peers=value.peers.set("B", Peer("B", Standing.UNREACHABLE, beat=beat)))
    script = Script(value)
    script.hear(ChannelTurned("B", S, usable=False), at=10)
    return script


def test_a_node_that_ended_is_started_over_ssh() -> None:
    """Its machine is there and its node is not: its own command starts it; P1 and P2 have no ladder of theirs."""
    script = ended_node()
    assert set(script.fleet.repairs) == {("B", S)}
    # It is probed meanwhile, and says so.
    script.fleet = with_health(script.fleet, "B", S, state=ChannelState.HEALING, reason="trying again")
    rung(script, at=15)
    assert [said for said in lines(script) if said.startswith(("start", "deliver mend"))] == ["start B"]
    answer_on(script, "done", "it was started")
    script.fleet = msgspec.structs.replace(script.fleet, peers=script.fleet.peers.set("B", Peer("B", Standing.ALIVE)))
    script.fleet = with_health(script.fleet, "B", H, state=ChannelState.HEALTHY, ok_at=T0_MONO + 20)
    said = script.hear(ChannelTurned("B", H, usable=True), at=20)
    assert "tell repair B ssh L0 healed by L2 in 10 s" in said


def answer_on(script: Script, outcome: str, note: str) -> None:
    asked = repair(script, channel=S)
    script.hear(MendAnswered("B", Mended(asked.ask, "restart_daemon", outcome, note)))


def test_who_was_stopped_on_purpose_stays_so() -> None:
    """Its machine says so, and nobody is bothered any more: no finding, no other rung, not even in an hour."""
    script = ended_node()
    rung(script, at=15)
    answer_on(script, "refused", "it was stopped on purpose")
    assert not script.fleet.findings
    for at in (16, 60, 2_000, 4_000):
        rung(script, at=at)
        script.hear(tried(S, Verdict.LOST, cause=Cause.NOBODY_IN, hard=True), at=at + 1)
    assert repair(script, channel=S).level is Level.ASKED
    assert len(script.fleet.mending.escalations["B"]) == 1


def test_a_node_that_cannot_be_started_is_a_persons() -> None:
    """Nobody is there to run an agent; the command that failed is theirs to look at."""
    script = ended_node()
    rung(script, at=15)
    answer_on(script, "failed", "exit 1")
    for at in (16, 17):
        rung(script, at=at)
    assert repair(script, channel=S).level is Level.PERSON
    assert repair(script, channel=S).plan[0].argv[-1] == "fleet up --unless-stopped"
