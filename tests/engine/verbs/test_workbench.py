"""A person's approval: the commands run, and only a round trip over their own channel says that they helped."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.effects import Resolve
from engine.errors import FleetError
from engine.health.plan import SET_UP
from engine.loop import Loop
from engine.model.channel import Channel, ChannelState, Outcome, Verdict
from engine.model.peer import Peer, Standing
from engine.model.repair import Command, Level, Repair, digest
from engine.security.peercred import user
from engine.signals import ProbeAsked, Tried
from engine.state import Fleet
from engine.verbs import workbench
from engine.verbs.workbench import Workbench
from tests.engine.script import fleet, moment, with_health

N = Channel.NATS


class Dry:
    """Hands that answer the verb which waits, and lose all else. `meanwhile`: what happens before it hears of it."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None):
        self._meanwhile = meanwhile

    def ticket(self) -> tuple[int, "asyncio.Future[str]"]:
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return 1, self._answer

    def perform(self, effects: list[Any], value: Fleet) -> None:
        for one in effects:
            if isinstance(one, Resolve) and one.error:
                self._answer.set_exception(one.error.raised())
            elif isinstance(one, Resolve):
                self._answer.set_result(one.value)
                self._meanwhile()

    async def flush(self) -> None: ...


def waiting(*argv: str) -> Fleet:
    """P1 to B is broken, and a command waits for a person."""
    value = with_health(fleet("A", "B"), "B", N, state=ChannelState.BROKEN, reason="no answer")
    plan = (Command(argv, "does something"),)
    repair = Repair("B", N, Level.PERSON, 0, 0.0, float("inf"), plan=plan)
    return msgspec.structs.replace(value, repairs=value.repairs.set(("B", N), repair))


@pytest.mark.parametrize(
    ("argv", "answers", "statuses"),
    [
        (("true",), N, [0, 0]),
        (("true",), Channel.HTTP, [0, None]),
        (("false",), N, [1]),
    ],
    ids=["a round trip", "another channel's", "a command that failed"],
)
async def test_a_round_trip_is_the_last_word(
    argv: tuple[str, ...], answers: Channel, statuses: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that went well are a success only with a round trip of that one channel after them, and none of them
    waits for anybody afterwards, whichever way it went."""
    monkeypatch.setattr(workbench, "PROOF_S", 0.2)
    clock = asyncio.get_running_loop().time
    hands: Any = Dry()
    loop = Loop(waiting(*argv), hands, lambda: moment(clock() - moment(0.0).mono))
    told = loop.post

    def post(signal: Any) -> None:
        """A peer that answers every probe of one channel."""
        asked = isinstance(signal, ProbeAsked)
        told(Tried("B", answers, (), Outcome(Verdict.CONFIRMED), 1.0, probe=True) if asked else signal)

    monkeypatch.setattr(loop, "post", post)
    runner = asyncio.create_task(loop.run())
    shown = digest(waiting(*argv).repairs["B", N].plan)
    done = await Workbench(loop, hands).approve("B", N, shown, "anna")
    assert [one.status for one in done] == statuses
    repair = loop.fleet.repairs[("B", N)]
    assert (repair.plan, repair.working) == ((), False)
    assert repair.steps[-1].outcome.partition(":")[0] == ("done" if statuses[-1] == 0 else "failed")
    with pytest.raises(FleetError, match="no repair of it waits"):
        await Workbench(loop, hands).approve("B", N, shown, "anna")
    runner.cancel()


@pytest.mark.parametrize("how", ["swapped", "healed"])
async def test_nothing_runs_that_was_not_shown(how: str, tmp_path: Path) -> None:
    """Neither another plan than the one that was shown, nor one whose repair is over by the time the word is kept."""
    ran = tmp_path / "ran"

    def heals() -> None:
        loop.fleet = msgspec.structs.replace(loop.fleet, repairs=fleet("A").repairs)

    hands: Any = Dry(heals)
    loop = Loop(waiting("touch", str(ran)), hands, moment)
    runner = asyncio.create_task(loop.run())
    seen = loop.fleet if how == "healed" else waiting("true")
    shown = digest(seen.repairs["B", N].plan)
    with pytest.raises(FleetError, match="no repair of it waits" if how == "healed" else "not those that were shown"):
        await Workbench(loop, hands).approve("B", N, shown)
    await loop.until(lambda value: not value.mending.plans)
    assert not ran.exists()
    runner.cancel()


async def test_a_verb_that_is_given_up_leaves_an_end() -> None:
    """Whoever asked went away, or the node ends: its commands are ended, and how far they came is not claimed."""
    hands: Any = Dry()
    loop = Loop(waiting("sleep", "60"), hands, moment)
    runner = asyncio.create_task(loop.run())
    verb = asyncio.create_task(Workbench(loop, hands).approve("B", N, digest(loop.fleet.repairs["B", N].plan)))
    await loop.until(lambda value: bool(value.mending.plans))
    assert loop.fleet.mending.plans[0].by == user()
    verb.cancel()
    await loop.until(lambda value: not value.mending.plans)
    assert loop.fleet.repairs["B", N].steps[-1].outcome.partition(":")[0] in ("unknown", "failed")
    runner.cancel()


async def test_of_who_is_away_nothing_is_asked() -> None:
    """It is said at once and costs nothing, whichever rung it is; a node that ended can be started over P5."""
    clock = asyncio.get_running_loop().time
    away = Peer("B", Standing.UNREACHABLE, heard_mono=clock() - 24)
    value = with_health(fleet("A", "B"), "B", N, state=ChannelState.BROKEN, reason="no answer")
    value = msgspec.structs.replace(value, peers=value.peers.set("B", away))
    hands: Any = Dry()
    loop = Loop(value, hands, lambda: moment(clock() - moment(0.0).mono))
    for level in Level:
        with pytest.raises(FleetError, match="Nobody hears it") as caught:
            await Workbench(loop, hands).repair("B", level=level)
        assert caught.value.detail == "B is away 24 s; nothing can be asked of it"
    assert (loop.fleet.repairs, loop.fleet.mending.escalations) == (value.repairs, value.mending.escalations)


@pytest.mark.parametrize(
    ("channel", "reason", "step"),
    [(N, "no broker there", "`fleet doctor`"), (Channel.GIT, "no hub configured", SET_UP["no hub configured"])],
)
async def test_what_is_not_set_up_is_not_repaired(channel: Channel, reason: str, step: str) -> None:
    """It is refused as the screen refuses it, with what sets it up; no rung is taken and no escalation used."""
    value = with_health(fleet("A", "B"), "B", channel, state=ChannelState.ABSENT, reason=reason)
    hands: Any = Dry()
    loop = Loop(value, hands, lambda: moment(1))
    for level in Level:
        with pytest.raises(FleetError, match="Nothing to repair") as caught:
            await Workbench(loop, hands).repair("B", channel, level)
        assert caught.value.detail == f"{channel} to B cannot be used, which no repair changes: {reason}"
        assert step in caught.value.next_step
    assert (loop.fleet.repairs, loop.fleet.mending.escalations) == (value.repairs, value.mending.escalations)


async def test_a_line_of_ssh_ends_as_a_line() -> None:
    """It says a carriage return besides, for a terminal that nobody has here."""
    ran = await workbench._one(Command(("printf", r"one\r\ntwo\r\n"), "says two lines"))
    assert (ran.status, ran.output) == (0, "one\ntwo\n")
