"""What holds for every channel. Adding one is adding a rig; the whole suite must pass over it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator

import pytest

from engine.model.channel import Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.catalogue import CATALOGUE
from tests.contract.rig import Rig, Way
from tests.contract.rigs import ALSO, RIGS
from tests.nodes import Inbox

pytestmark = pytest.mark.slow

# Far beyond every budget below: whoever is still waiting then has kept no deadline.
FOREVER_S = 30.0
SHORT_S = 0.3


EVERY = (*RIGS.values(), *ALSO)


@pytest.fixture(params=EVERY, ids=lambda made: made.__name__)
async def way(request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    made: Way = request.param()
    if made.system and (os.geteuid() or not all(shutil.which(one) for one in made.system)):
        pytest.skip(f"needs root and {', '.join(made.system)}")
    try:
        async with asyncio.timeout(FOREVER_S):
            await made.open()
        yield made
    finally:
        await made.close()


@pytest.fixture(params=[made for made in EVERY if issubclass(made, Rig)], ids=lambda made: made.__name__)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made: Rig = request.param()
    try:
        async with asyncio.timeout(FOREVER_S):
            await made.open()
        yield made
    finally:
        await made.close()


def test_every_channel_of_the_catalogue_has_a_rig() -> None:
    """A channel without its contract is not there."""
    assert set(CATALOGUE) == set(RIGS)


async def test_it_names_its_channel(way: Way) -> None:
    """A transport knows which of the nine it is."""
    assert isinstance(way, RIGS[way.sender.channel])


async def test_a_good_delivery_ends_well(way: Way) -> None:
    """It ends as well as this channel can, without an alarm; the channel may be closed twice then."""
    outcome = await way.sender.deliver(b"x", way.target, way.budget_s)
    assert outcome.verdict is way.best
    assert outcome.hard is way.hard
    assert not outcome.pin
    await way.sender.close()
    await way.sender.close()


@pytest.mark.parametrize("size", [1, 1_000, 65_536, 1 << 20, CARRIAGE_LIMIT])
async def test_bytes_arrive_unchanged(rig: Rig, size: int) -> None:
    """Whatever the bytes, up to the most that one delivery may carry, they come out as they went in."""
    data = os.urandom(size)
    outcome = await rig.sender.deliver(data, rig.target, rig.budget_s)
    assert outcome.verdict is rig.best
    assert await rig.inbox.came.get() == data


async def test_the_reply_comes_back(rig: Rig) -> None:
    """What the peer answered is in the outcome; a relay brings its own word and claims no more than that."""
    outcome = await rig.sender.deliver(b"question", rig.target, rig.budget_s)
    assert outcome.verdict is rig.best
    assert outcome.reply == rig.word
    assert not outcome.hard
    assert not outcome.pin


async def test_no_answer_is_no_confirmation(rig: Rig) -> None:
    """A peer that took the bytes and said nothing has confirmed nothing; the deadline is kept. What is only left
    somewhere is never confirmed at all."""
    rig.gate.answer = None
    async with asyncio.timeout(FOREVER_S):
        outcome = await rig.sender.deliver(b"x", rig.target, rig.budget_s if rig.stores else SHORT_S)
    assert outcome.verdict is (Verdict.LANDED if rig.stores else Verdict.LOST)
    assert not outcome.hard
    assert await rig.gate.came.get() == b"x"


async def test_an_absent_peer_is_told_at_once(rig: Rig) -> None:
    """Where the network says that nobody is there, that is a hard signal and not a wait."""
    await rig.sender.deliver(b"x", rig.target, rig.budget_s)
    await rig.vanish()
    async with asyncio.timeout(FOREVER_S):
        # What was on its way to it when it went may be lost in silence; whoever asks after that is told.
        while not (outcome := await rig.sender.deliver(b"x", rig.target, rig.budget_s)).hard:
            pass
    assert outcome.verdict is Verdict.LOST
    assert outcome.note


async def test_a_black_hole_costs_the_budget_and_no_more(rig: Rig) -> None:
    """The other end takes connections and bytes, and never answers: lost, in time, softly."""
    await rig.sender.deliver(b"x", rig.target, rig.budget_s)
    await rig.swallow()
    async with asyncio.timeout(FOREVER_S):
        outcome = await rig.sender.deliver(b"x", rig.target, SHORT_S)
    assert outcome.verdict is Verdict.LOST
    assert not outcome.pin


async def test_a_way_that_does_not_exist_has_a_reason(way: Way) -> None:
    """`ready` says why not in six words or fewer, and a try all the same confirms nothing."""
    assert way.sender.ready(way.target) is None
    unknown = way.unknown()
    reason = way.sender.ready(unknown)
    if reason is not None:
        assert 0 < len(reason.split()) <= 6
    async with asyncio.timeout(FOREVER_S):
        outcome = await way.sender.deliver(b"x", unknown, SHORT_S)
    assert outcome.verdict in (Verdict.BARRED, Verdict.LOST)
    assert outcome.hard


async def test_a_busy_peer_refuses(rig: Rig) -> None:
    """Whoever takes the bytes first may say that it is too busy: refused, and not a broken channel. Left somewhere,
    they wait there until it is not."""
    rig.gate.busy = True
    outcome = await rig.sender.deliver(b"x", rig.target, rig.budget_s)
    if rig.stores:
        assert outcome.verdict is Verdict.LANDED
        await rig.gate.asked.wait()
        assert rig.gate.came.empty()
        rig.gate.busy = False
        assert await rig.gate.came.get() == b"x"
        return
    assert outcome.verdict is Verdict.REFUSED
    assert not outcome.hard
    assert "busy" in outcome.note
    rig.gate.busy = False
    assert (await rig.sender.deliver(b"x", rig.target, rig.budget_s)).verdict is rig.best


async def test_too_much_is_barred_before_it_is_sent(rig: Rig) -> None:
    """More than one delivery may carry never leaves."""
    outcome = await rig.sender.deliver(bytes(CARRIAGE_LIMIT + 1), rig.target, rig.budget_s)
    assert outcome.verdict is Verdict.BARRED
    assert rig.gate.came.empty()


async def test_two_hundred_at_once(rig: Rig) -> None:
    """Answers find their questions however many are asked together."""
    questions = [f"question {number}".encode() for number in range(200)]
    outcomes = await asyncio.gather(*(rig.sender.deliver(one, rig.target, FOREVER_S) for one in questions))
    assert {outcome.verdict for outcome in outcomes} == {rig.best}
    if rig.answers:
        assert [outcome.reply for outcome in outcomes] == [b"got " + one for one in questions]
    assert {await rig.inbox.came.get() for _ in questions} == set(questions)


async def test_a_cancelled_delivery_leaves_nothing(rig: Rig) -> None:
    """Whoever stops waiting leaves no task behind, and the channel works on."""
    await rig.sender.deliver(b"x", rig.target, rig.budget_s)
    await rig.clog()
    before = asyncio.all_tasks()
    tasks = [asyncio.create_task(rig.sender.deliver(b"y", rig.target, FOREVER_S)) for _ in range(3)]
    await rig.under_way()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    assert asyncio.all_tasks() <= before | rig.far()
    await rig.free()
    assert (await rig.sender.deliver(b"z", rig.target, rig.budget_s)).verdict is rig.best


async def test_a_late_answer_is_nobodys(rig: Rig) -> None:
    """An answer that comes after its question was given up is not taken for the next one's."""
    rig.gate.answer, answer = None, rig.gate.answer
    await rig.sender.deliver(b"first", rig.target, SHORT_S)
    rig.gate.answer = answer
    if rig.answers:
        assert (await rig.sender.deliver(b"second", rig.target, rig.budget_s)).reply == b"got second"


async def test_close_is_idempotent_and_ends_what_flies(rig: Rig) -> None:
    """Closed twice, it is closed once; afterwards nothing is confirmed and nothing is raised."""
    await rig.clog()
    flying = asyncio.create_task(rig.sender.deliver(b"x", rig.target, rig.budget_s))
    await rig.under_way()
    await rig.sender.close()
    await rig.sender.close()
    assert (await flying).verdict is not rig.best
    assert (await rig.sender.deliver(b"x", rig.target, SHORT_S)).verdict is not Verdict.CONFIRMED


async def test_a_strangers_certificate_gets_nothing(rig: Rig) -> None:
    """Somebody else stands at the peer's address: not a byte of mail goes there, and nothing falls back to plain."""
    if not rig.proves:
        pytest.skip("nobody shows who he is there: what is left is sealed, and that is all")
    kept = await rig.impersonate()
    assert isinstance(kept, Inbox)
    async with asyncio.timeout(FOREVER_S):
        outcome = await rig.sender.deliver(b"secret", rig.target, rig.budget_s)
    assert outcome.verdict in (Verdict.REFUSED, Verdict.LOST)
    assert outcome.hard
    assert outcome.pin is rig.pins
    assert kept.came.empty()
