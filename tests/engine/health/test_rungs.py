"""What is done on the rungs of a repair: who is credited, what is counted, and what is said of it."""

import msgspec
import pytest

from engine.health.kept import record, restore
from engine.health.mend import SETTLED_S
from engine.health.rungs import PROOF_S
from engine.model.channel import ChannelState
from engine.model.packets import Mend, Mended
from engine.model.peer import Peer, Standing
from engine.model.records import PutMeta
from engine.model.repair import HOUR_S, Action, Ended, Level
from engine.signals import (
    ChannelTurned,
    MendAnswered,
    MendCame,
    MendEnded,
    MendWanted,
    NodeStarted,
    NodeStarting,
    RepairAsked,
)
from tests.engine.health.repairs import H, N, answer, begun, broken, lines, mends, repair, rung, three
from tests.engine.script import T0_MONO, T0_MS, Script, moment, with_health


def healed(script: Script, at: float) -> str:
    """The reason of the pair after a round trip over P1."""
    script.fleet = with_health(script.fleet, "B", N, state=ChannelState.HEALTHY, ok_at=T0_MONO + at)
    script.hear(ChannelTurned("B", N, usable=True), at=at)
    return script.fleet.health("B", N).reason


def test_a_rung_that_did_nothing_heals_nothing() -> None:
    """Its machine says that it was done already: the channel is looked at, nothing is counted, nobody is credited."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "already", "its broker is up again")
    assert "deliver ping to B over nats" in lines(script)
    assert (repair(script).level, script.fleet.mending.escalations["B"]) == (Level.ASKED, ())
    assert healed(script, 18) == "healed by itself, while at L2, in 8 s"


@pytest.mark.parametrize(("levels", "action"), [((1, 2), "restart_nats"), ((1, 3), "agent")])
def test_what_was_done_already_and_did_not_help_is_asked_for_again(levels: tuple[int, ...], action: str) -> None:
    """As soon as its machine would do it, on the same rung, though none follows; what is done then is waited for."""
    script = begun(three(levels=levels))
    rung(script, at=15)
    answer(script, "already", "its broker is up again")
    rung(script, at=15 + SETTLED_S - 0.1)
    assert mends(script) == []
    rung(script, at=15 + SETTLED_S)
    assert [mend.action for _, mend in mends(script)] == [action]
    answer(script, "done", "its broker is up again")
    rung(script, at=15 + 3 * SETTLED_S)
    assert (mends(script), len(script.fleet.mending.escalations["B"])) == ([], 1)


def test_a_rung_that_follows_before_is_not_put_off() -> None:
    """What was done already is asked for again only where nothing else comes first."""
    script = begun(three(l3_s=SETTLED_S - 1))
    rung(script, at=15)
    answer(script, "already", "its broker is up again")
    rung(script, at=14 + SETTLED_S)
    assert repair(script).level is Level.AGENT


def test_whose_node_was_started_by_hand_is_not_healed_by_itself() -> None:
    """A start over ssh, because a person had the machine woken, is a line of history and what healed, also before it is
    said to be done; one that came to nothing, or was before the break, healed nothing."""
    by_hand, alone = "after a command here started its node over ssh,", "by itself, while at L4,"
    for outcome, at, credited in (
        (Ended.DONE, 18, by_hand),
        (Ended.ALREADY, 18, alone),
        (None, 18, alone),
        (Ended.DONE, 9, alone),
    ):
        script = begun(three(levels=(1, 4)))
        rung(script, at=15)
        assert "save lazily entry wake B" in script.hear(NodeStarted("B", outcome, "over ssh: said"), at=at)
        assert healed(script, 20) == f"healed {credited} in 10 s"
    script = begun(three(levels=(1, 4)))
    script.hear(NodeStarting("B"), at=13)
    assert healed(script, 14) == "healed while a command here was trying to start its node over ssh, in 4 s"


def test_the_newest_rung_at_work_is_credited() -> None:
    """What an earlier one said it had done did not help by then."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "done", "its broker is up again")
    rung(script, at=35)
    assert healed(script, 40) == "healed while L3 was at it, in 30 s"


def test_what_was_done_long_before_healed_nothing() -> None:
    """What L2 did is credited with a round trip that follows closely; a later one has another reason."""
    for after_s, credited in ((PROOF_S, "by L2"), (PROOF_S + 1, "by itself, while at L2,")):
        script = begun(three(l3_s=300.0))
        rung(script, at=15)
        answer(script, "done", "its broker is up again")
        assert healed(script, 15 + after_s) == f"healed {credited} in {5 + after_s:.0f} s"


def test_it_lasted_since_the_break() -> None:
    """A machine that comes back after a minute is noted then; its channel has been broken for a minute."""
    script = Script(broken(three(), broke_ms=T0_MS - 62_000))
    script.hear(ChannelTurned("B", N, usable=False), at=0)
    assert healed(script, 1) == "healed by itself in 63 s"


@pytest.mark.parametrize(
    ("asked", "who"),
    [
        (MendCame("C", Mend("q1", "restart_nats", "nats", "")), "C"),
        (MendWanted(Action.RESTART_NATS, ticket=7), "a command here"),
    ],
)
def test_who_had_this_node_repair_itself_is_named(asked: MendCame | MendWanted, who: str) -> None:
    """Its own ladder did nothing; what healed is what it did for somebody else meanwhile."""
    script = begun(three(levels=(1, 4)))
    rung(script, at=15)
    script.hear(asked, at=16)
    script.hear(MendEnded(Action.RESTART_NATS, Ended.DONE, "its broker is up again"), at=17)
    assert healed(script, 19) == f"healed after {who} had this node restart its broker, in 9 s"


def test_what_this_node_did_before_the_break_heals_nothing() -> None:
    """Nor does what has nothing to do with the channel."""
    script = Script(three(levels=(1, 4)))
    for at, action in ((5, Action.RESTART_NATS), (12, Action.FREE_PORT)):
        script.hear(MendCame("C", Mend(f"q{at}", action, "nats", "")), at=at)
        script.hear(MendEnded(action, Ended.DONE, "done"), at=at)
        script.fleet = broken(script.fleet)
        script.hear(ChannelTurned("B", N, usable=False), at=10)
    assert healed(script, 13) == "healed by itself in 3 s"


def test_a_no_is_not_counted_and_not_asked_for_again() -> None:
    """The hour's escalations are left for what helps; the same action is a person's to ask for until it is over."""
    script = begun(three())
    rung(script, at=15)
    answer(script, "failed", "not up")
    answer(script, "refused", "no repair agent is configured there")
    assert (repair(script).level, len(script.fleet.mending.escalations["B"])) == (Level.PERSON, 1)
    healed(script, 20)
    script.fleet = with_health(broken(script.fleet), "B", H, ok_at=T0_MONO + 35)
    script.hear(ChannelTurned("B", N, usable=False), at=30)
    rung(script, at=36)
    answer(script, "failed", "not up")
    assert mends(script) == []
    assert repair(script).steps[-1].what == "agent is not asked for: refused, for 60 min more"
    script.hear(RepairAsked("B", N, 3, by="anna"), at=37)
    assert [mend.action for _, mend in mends(script)] == [Action.AGENT]


def test_a_full_hour_is_remembered_for_as_long_as_it_is_full() -> None:
    """A machine that refuses because it did enough in this hour says when it has room, and is asked again then, also
    after a restart of whoever asks; a longer time than an hour is not believed."""
    for after_s, held_s in ((90, 90), (10**9, HOUR_S)):
        script = begun(three(levels=(1, 2, 4)))
        rung(script, at=15)
        asked = Mended(repair(script).ask, "restart_nats", "refused", "done 3 times in this hour already", after_s)
        script.hear(MendAnswered("B", asked), at=16)
        (saved,) = record(script.fleet.mending, moment(16)).records
        assert isinstance(saved, PutMeta)
        known = script.fleet.mending.escalations
        assert restore(saved.value, moment(16)).escalations["B restart_nats"] == known["B restart_nats"]
        for at, asks in ((held_s, 0), (held_s + 60, 1)):
            healed(script, at)
            script.fleet = with_health(broken(script.fleet), "B", H, ok_at=T0_MONO + at + 12)
            script.hear(ChannelTurned("B", N, usable=False), at=at + 5)
            rung(script, at=at + 15)
            assert len(mends(script)) == asks, (after_s, repair(script).steps)


def test_where_nothing_follows_nothing_is_promised() -> None:
    """With notes alone there is no countdown, and the finding says what a person can do; else it goes on by itself."""
    script, other = begun(three(levels=(1,))), begun(three())
    assert (repair(script).due, repair(other).due) == (float("inf"), T0_MONO + 15)
    hints = [one.fleet.findings["repair.nats", "B/nats"].next_step for one in (script, other)]
    assert hints[0] == "`fleet repair B --channel nats --level 4` shows commands that you can run"
    assert "it goes on by itself" in hints[1]


def test_of_who_is_away_nothing_is_asked() -> None:
    """A wish that comes when nobody hears it any more begins nothing and costs nothing."""
    value = broken(three())
    away = Peer("B", Standing.UNREACHABLE)
    script = Script(msgspec.structs.replace(value, peers=value.peers.set("B", away)))
    assert script.hear(RepairAsked("B", N, 2, by="anna"), at=10) == []
    assert (len(script.fleet.repairs), len(script.fleet.mending.escalations)) == (0, 0)
