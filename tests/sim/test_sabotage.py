"""Take one guard away, and a promise must break: the simulator would notice.

Each sabotage replaces one function by what a careless change might leave of it. A simulator whose promises hold without
the guard has never seen what the guard is for, so its test here fails.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from immutables import Map

from engine import hands
from engine.effects import Effect, Publish, Save
from engine.mail import epoch, flight, inbox, outbox, proof, pulses, receipts
from engine.mail.lanes import counted
from engine.model.channel import Channel, Verdict
from engine.model.envelope import Rung
from engine.model.event import MessageMoved
from engine.model.mail import Pulse, Stream
from engine.model.moment import Moment
from engine.model.records import AddInbox, MoveRung, Record, SetStream
from engine.signals import Tried
from engine.state import Fleet
from engine.store import memory
from engine.store.restored import Birth, Generation
from tests.sim.net import Weather
from tests.sim.node import AFTER, BEFORE
from tests.sim.test_promises import replayed, weather_cuts_and_crashes
from tests.sim.world import World

Story = Callable[[World], Awaitable[None]]
Patch = pytest.MonkeyPatch
ROUGH = Weather(loss=0.2, duplicate=0.2, delay_s=(0.0005, 0.05))
# A careless change may need a few histories to show; a simulator that needs more than these is not worth its seeds.
SEEDS = range(12)


def breaks(story: Story, promise: str, size: int = 3) -> None:
    """Some seed of the story breaks a promise, and says which."""
    broken = []
    for seed in SEEDS:
        try:
            World(seed, size).run(story)
        except AssertionError as error:
            broken.append(str(error))
            if promise in broken[-1]:
                return
    raise AssertionError(f"nobody noticed; what broke instead: {broken[:3]}")


def holds(story: Story, size: int = 3) -> None:
    """With every guard in its place the same story breaks nothing."""
    for seed in SEEDS:
        World(seed, size).run(story)


# ------------------------------------------------------------------------------------------------------------ stories


async def dying_disks(world: World) -> None:
    """Every node dies at its commits, again and again, in bad weather."""
    await asyncio.sleep(1)
    world.net.weather = ROUGH

    async def dooms() -> None:
        for _ in range(12):
            await asyncio.sleep(0.4)
            world.random.choice(world.nodes).doom = world.random.choice([BEFORE, AFTER])

    await asyncio.gather(world.traffic(60, 5), dooms())
    await world.calm()


async def an_eavesdropper(world: World) -> None:
    """Everything is recorded, epochs are closed by restarts, and the recording comes again."""
    world.net.recording = []
    await asyncio.sleep(8)
    world.net.weather = ROUGH
    await world.traffic(30, 3)
    await world.calm()
    world.net.recording = tuple(world.net.recording)
    for _ in range(2):
        for node in world.nodes:
            node.crash()
            world.restart(node)
        await asyncio.sleep(25)
    await replayed(world)


async def short_lives(world: World) -> None:
    """Messages that live one second, in which nothing gets through; of their SKIPs the answers get lost at first."""
    one, two, third = world.nodes[:3]
    await asyncio.sleep(8)
    for _ in range(10):
        world.net.cut(one.id, two.id)
        world.net.cut(one.id, third.id)
        await world.send(one, two, ttl_s=1)
        await asyncio.sleep(0.95)
        world.net.heal()
        world.net.cut(two.id, one.id)
        await asyncio.sleep(0.45)
        world.net.heal()
        await asyncio.sleep(8)
    world.excused |= set(world.accepted)
    await asyncio.sleep(60)
    held = set(two.bodies())
    false = [
        body
        for msg_id, (_, body) in world.accepted.items()
        if (await one.desk.story(msg_id)).rung == "on_host" and body not in held
    ]
    assert not false, f"{len(false)} said to be delivered and are not"
    # Expired is not undone; what people count as waiting must be nothing all the same.
    assert one.core.loop.fleet.mail.waiting == 0, "still waiting"
    mail = msgspec.structs.replace(one.core.loop.fleet.mail, dead=0)
    one.core.loop.fleet = msgspec.structs.replace(one.core.loop.fleet, mail=mail)


async def a_forgetful_relay(world: World) -> None:
    """Two nodes meet only through a third, whose store is put back to before it took anything."""
    one, middle, two = world.nodes[:3]
    world.net.wall(one.id, two.id)
    await asyncio.sleep(8)
    backup = middle.backup()
    world.net.cut_both(middle.id, two.id)
    await world.traffic(10, 1, pairs=[(0, 2)])
    await asyncio.sleep(2)
    await world.restored(middle, backup)
    await world.calm(600)


async def a_clock_and_store_that_went_back(world: World) -> None:
    """A store is put back, and the clock with it: its numbers meet those of a life it forgot."""
    one, two = world.nodes[:2]
    await asyncio.sleep(2)
    backup = one.backup()
    for _ in range(2):
        await world.restored(one, backup, skew_ms=-86_400_000)
        await world.traffic(15, 1, pairs=[(0, 1)])
        await asyncio.sleep(1)
    world.excused -= {msg_id for msg_id, (_, body) in world.accepted.items() if body in set(two.bodies())}
    await world.calm()


async def many_epochs(world: World) -> None:
    """Numbers open in more epochs than ride on a frame."""
    one, two = world.nodes[:2]
    await asyncio.sleep(1)
    world.net.cut_both(one.id, two.id)
    for _ in range(8):
        await world.send(one, two)
        one.crash()
        world.restart(one)
        await asyncio.sleep(0.1)
    await world.calm(60)


async def a_busy_page(world: World) -> None:
    """More than a lane holds, and more comes while the rest is read from the store."""
    one, two = world.nodes[:2]
    await asyncio.sleep(1)
    world.net.cut_both(one.id, two.id)
    await asyncio.sleep(10)
    for _ in range(11):
        await asyncio.gather(*(world.send(one, two) for _ in range(100)))
    world.net.heal()
    sending = []
    while one.core.loop.fleet.mail.waiting > 50:
        sending.append(world.loop.create_task(world.send(one, two)))
        await asyncio.sleep(0.001)
    await asyncio.gather(*sending)
    await world.calm(60)


# ---------------------------------------------------------------------------------------------------------- sabotages


def torn_apart(monkeypatch: Patch, later: type) -> None:
    """Records of this type are kept in a transaction of their own, a moment after the one they belong to."""
    submit = hands.Hands._submit

    def torn(self: hands.Hands, strict: list[Record]) -> Any:
        kept = submit(self, [record for record in strict if not isinstance(record, later)])
        left = [record for record in strict if isinstance(record, later)]
        if left:
            asyncio.get_running_loop().call_later(0.02, self._store.submit, left)
        return kept

    monkeypatch.setattr(hands.Hands, "_submit", torn)


def test_acknowledged_before_the_commit(monkeypatch: Patch) -> None:
    """Receipts that do not wait for the disk: a crash loses what was acknowledged."""
    monkeypatch.setattr(hands, "_kept", lambda saved: True)
    breaks(dying_disks, "lost")


def test_no_memory_of_numbers(monkeypatch: Patch) -> None:
    """Every number is new: what is sent twice takes effect twice."""

    class Forgetful(Stream, frozen=True):
        def holds(self, seq: int) -> bool:
            return False

        def with_number(self, seq: int) -> Stream:
            return Stream(self.watermark, self.above).with_number(seq)

    def forgetful(*which: Any) -> Stream:
        stream = receipts.stream_of(*which)
        return Forgetful(stream.watermark, stream.above)

    monkeypatch.setattr(inbox, "stream_of", forgetful)
    breaks(weather_cuts_and_crashes, "twice")


def test_the_watermark_after_its_message(monkeypatch: Patch) -> None:
    """Kept, but not in the same transaction: a crash between them takes effect twice."""
    torn_apart(monkeypatch, SetStream)
    breaks(dying_disks, "twice")


def test_the_message_after_its_watermark(monkeypatch: Patch) -> None:
    """The other way round: a crash between them loses it, and says that it is there."""
    torn_apart(monkeypatch, AddInbox)
    breaks(dying_disks, "lost")


def test_landed_taken_for_delivered(monkeypatch: Patch) -> None:
    """What a relay took counts as proved: a relay that loses it loses it for good."""
    judged = outbox._HEARD[Tried]

    def credulous(fleet: Fleet, signal: Tried, now: Moment) -> tuple[Fleet, list[Effect]]:
        fleet, effects = judged(fleet, signal, now)
        lane = fleet.mail.lanes.get(signal.peer)
        if signal.outcome.verdict is not Verdict.LANDED or lane is None:
            return fleet, effects
        for number in ((number_epoch, seq) for number_epoch, seq, _ in signal.numbers):
            if number in lane.open:
                of = lane.open[number].envelope
                lane = msgspec.structs.replace(lane, open=lane.open.delete(number))
                fleet = counted(proof.with_lane(fleet, signal.peer, lane), of, waiting=-1)
                effects.append(Save((MoveRung(of.msg_id, Rung.ON_HOST, now.wall_ms, signal.channel),)))
                effects.append(Publish(MessageMoved(of.msg_id, signal.peer, Rung.ON_HOST, signal.channel)))
        return fleet, effects

    monkeypatch.setitem(outbox._HEARD, Tried, credulous)
    breaks(a_forgetful_relay, "lost")


@pytest.mark.slow
def test_a_relay_asked_only_once(monkeypatch: Patch) -> None:
    """A relay that lost what it took is never asked again."""
    monkeypatch.setattr(flight, "_asks_again", lambda waiting: False)
    breaks(a_forgetful_relay, "lost")


def test_numbers_used_again_after_a_restart(monkeypatch: Patch) -> None:
    """No new epoch for a new life: new messages take old numbers, and are taken for known."""

    def same(stored: Generation, seen: Generation, wall_ms: int) -> Birth:
        return Birth(stored.boots + 1, stored.epoch or wall_ms)

    monkeypatch.setattr(memory, "born", same)
    breaks(weather_cuts_and_crashes, "twice")


def test_the_floor_ignored(monkeypatch: Patch) -> None:
    """Streams below the floor are forgotten, and what comes from there is taken all the same: a replay takes effect."""
    take = inbox._take

    def floorless(fleet: Fleet, *more: Any) -> Any:
        floors = fleet.mail.floors
        bare = msgspec.structs.replace(fleet, mail=msgspec.structs.replace(fleet.mail, floors=Map()))
        after = take(bare, *more)
        return msgspec.structs.replace(after, mail=msgspec.structs.replace(after.mail, floors=floors))

    monkeypatch.setattr(inbox, "_take", floorless)
    breaks(an_eavesdropper, "twice")


def test_any_held_number_taken_for_its_message(monkeypatch: Patch) -> None:
    """A SKIP that comes twice is answered with "on disk": a message that never came is called delivered."""
    monkeypatch.setattr(pulses, "seen", lambda window, epoch, seq: True)
    breaks(short_lives, "said to be delivered")


def test_a_peers_memory_of_us_ignored(monkeypatch: Patch) -> None:
    """A node whose clock went back with its store takes receipts for a forgotten life as its own."""
    monkeypatch.setattr(epoch, "_known", lambda parcel, acks: [])
    breaks(a_clock_and_store_that_went_back, "lost")


def test_only_the_newest_epochs_acknowledged(monkeypatch: Patch) -> None:
    """Receipts that do not name the epoch just delivered: the oldest wait for ever."""
    lines = receipts.lines
    monkeypatch.setattr(receipts, "lines", lambda fleet, peer, epochs=(): lines(fleet, peer))
    breaks(many_epochs, "waiting")


def test_what_came_while_a_page_was_read_forgotten(monkeypatch: Patch) -> None:
    """The page's own count of what is left is believed: what was accepted meanwhile stays in the store."""
    monkeypatch.setattr(
        outbox, "paged", lambda lane, read, left: msgspec.structs.replace(lane, backlog=left, since=0, loading=False)
    )
    breaks(a_busy_page, "lost", size=2)


def test_nothing_is_tried_again(monkeypatch: Patch) -> None:
    """Timers that ring for nothing: what the first cascade did not bring stays where it is."""
    monkeypatch.setattr(outbox, "_moved_on", lambda fleet, peer, now, picked, act=None: (fleet, []))
    breaks(weather_cuts_and_crashes, "lost")


def test_no_window_for_pulses(monkeypatch: Patch) -> None:
    """Pulses that may come twice: a recording is heard again, and nobody counts it."""
    monkeypatch.setattr(pulses, "slide", lambda window, epoch, seq: Pulse(epoch, seq, 1))

    async def counted_replays(world: World) -> None:
        two = world.nodes[1]
        await asyncio.sleep(5)
        world.net.recording = []
        await asyncio.sleep(20)
        recorded, world.net.recording = tuple(world.net.recording), ()
        for node in world.nodes:
            node.crash()
            world.restart(node)
        await asyncio.sleep(5)
        before = two.core.loop.fleet.refusals.counts.get("replayed", 0)
        sent = [(channel, data) for dst, channel, data in recorded if dst == two.id]
        for channel, data in sent:
            world.net.replay(two.id, channel, data)
        await asyncio.sleep(1)
        after = two.core.loop.fleet.refusals.counts.get("replayed", 0)
        assert after - before >= len(sent) // 2, "replays were heard"

    breaks(counted_replays, "replays were heard")
    monkeypatch.undo()
    World(0, 2).run(counted_replays)


@pytest.mark.parametrize(
    ("story", "size"),
    [
        (dying_disks, 3),
        (an_eavesdropper, 3),
        (short_lives, 3),
        (a_forgetful_relay, 3),
        (a_clock_and_store_that_went_back, 3),
        (many_epochs, 3),
        (a_busy_page, 2),
    ],
)
@pytest.mark.slow
def test_the_stories_themselves_break_nothing(story: Story, size: int) -> None:
    """It is the missing guard that breaks the promise, not the story."""
    for seed in SEEDS[:2]:
        World(seed, size).run(story)
    assert Channel.NATS
