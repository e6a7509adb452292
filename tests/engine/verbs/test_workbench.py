"""A person's approval: the commands run, and only a round trip over their own channel says that they helped."""

import asyncio
from typing import Any

import msgspec
import pytest

from engine.errors import FleetError
from engine.loop import Loop
from engine.model.channel import Channel, ChannelState, Outcome, Verdict
from engine.model.repair import Command, Level, Repair
from engine.signals import ProbeAsked, Tried
from engine.state import Fleet
from engine.verbs import workbench
from engine.verbs.workbench import Workbench
from tests.engine.script import fleet, moment, with_health

N = Channel.NATS


class Dry:
    """Hands that lose whatever they are given; nothing is behind them."""

    def perform(self, effects: list[Any], value: Fleet) -> None: ...

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
    done = await Workbench(loop, hands).approve("B", N, "anna")
    assert [one.status for one in done] == statuses
    repair = loop.fleet.repairs[("B", N)]
    assert (repair.plan, repair.working) == ((), False)
    assert repair.steps[-1].outcome.partition(":")[0] == ("done" if statuses[-1] == 0 else "failed")
    with pytest.raises(FleetError, match="no repair of it waits"):
        await Workbench(loop, hands).approve("B", N, "anna")
    runner.cancel()
