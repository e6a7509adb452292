"""The carrier: single envelopes become batches, a slow path gets fewer and larger ones, and each try is told."""

import asyncio

from engine.carrier import BATCH_BYTES, FLYING_LIMIT, WAITING_LIMIT, Carrier
from engine.effects import Deliver
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import Kind, Urgency
from engine.signals import Tried
from tests.engine.parts import settle, virtual
from tests.engine.script import letter

BATCH = 128
OK = Outcome(Verdict.CONFIRMED, reply=b"receipts")


class Rig:
    """A carrier, its path, and what it told. `known`: ids acknowledged meanwhile, whose frames nobody needs."""

    def __init__(self) -> None:
        self.flights: list[tuple[bytes, float, asyncio.Future[Outcome]]] = []
        self.told: list[Tried] = []
        self.replies: list[bytes] = []
        self.known: set[str] = set()
        self.seals = 0
        self.size = 10
        self.carrier = Carrier("B", Channel.NATS, BATCH, self.seal, self.carry, self.done)

    def seal(self, delivery: Deliver) -> bytes | None:
        self.seals += 1
        frame = f"[{delivery.envelope.msg_id}]".encode().ljust(self.size, b".")
        return None if delivery.envelope.msg_id in self.known else frame

    async def carry(self, data: bytes, budget_s: float) -> Outcome:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.flights.append((data, budget_s, future))
        return await future

    def done(self, tried: Tried, reply: bytes) -> None:
        self.told.append(tried)
        self.replies.append(reply)

    def take(self, *numbers: int, budget_s: float = 3.0) -> None:
        self.give(*(Deliver("B", Channel.NATS, letter(f"m{one}", seq=one), budget_s) for one in numbers))

    def give(self, *deliveries: Deliver) -> None:
        """What is asked for in one breath."""
        for delivery in deliveries:
            self.carrier.take(delivery)
        self.carrier.leave()

    async def land(self, outcome: Outcome = OK) -> None:
        self.flights.pop(0)[2].set_result(outcome)
        await settle()

    def sizes(self) -> list[int]:
        """Frames in each flight."""
        return [data.count(b"[") for data, _, _ in self.flights]


def test_the_first_leaves_at_once_and_its_breath_with_it() -> None:
    """What is asked for in one breath is one batch; the next breath is the next batch."""

    async def story() -> None:
        rig = Rig()
        rig.take(1, 2, 3)
        await settle()
        rig.take(4)
        await settle()
        assert rig.sizes() == [3, 1]

    virtual(story)


def test_four_fly_and_the_rest_gathers() -> None:
    """At most four batches are under way; what comes meanwhile leaves together, at most 128 of them."""

    async def story() -> None:
        rig = Rig()
        for number in range(1, 6):
            rig.take(number)
            await settle()
        assert rig.sizes() == [1] * FLYING_LIMIT
        rig.take(*range(6, 200))
        await settle()
        assert len(rig.flights) == FLYING_LIMIT
        await rig.land()
        assert rig.sizes() == [1, 1, 1, BATCH]
        await rig.land()
        assert rig.sizes() == [1, 1, BATCH, 195 - BATCH]

    virtual(story)


def test_what_is_urgent_leaves_before_what_gathered_first() -> None:
    """As do the fleet's own pulses: whatever waits for a slow path, an alert and a receipt go with the next batch."""

    async def story() -> None:
        rig = Rig()
        for number in range(1, FLYING_LIMIT + 1):
            rig.take(number)
            await settle()
        rig.take(*range(10, 10 + 2 * BATCH))
        for kind, urgency in ((Kind.ALERT, Urgency.URGENT), (Kind.TASK, Urgency.HIGH), (Kind.RECEIPT, Urgency.NORMAL)):
            envelope = letter(str(kind), kind=kind, urgency=urgency, seq=7)
            rig.give(Deliver("B", Channel.NATS, envelope, 3.0))
        await rig.land()
        assert rig.flights[-1][0].replace(b".", b"").startswith(b"[alert][task][receipt][m10][m11]")

    virtual(story)


def test_a_batch_is_bounded_in_bytes() -> None:
    """Half a megabyte, and the frame that crosses it."""

    async def story() -> None:
        rig = Rig()
        rig.size = 200_000
        rig.take(*range(1, 5))
        await settle()
        assert rig.sizes() == [3, 1]
        assert BATCH_BYTES < 3 * rig.size <= BATCH_BYTES + rig.size

    virtual(story)


def test_what_was_acknowledged_meanwhile_is_not_sent() -> None:
    """Another channel was faster: its frame is not even made a batch of."""

    async def story() -> None:
        rig = Rig()
        for number in range(1, 5):
            rig.take(number)
            await settle()
        rig.take(5, 6, 7)
        rig.known = {"m5", "m6", "m7"}
        await rig.land()
        assert rig.sizes() == [1, 1, 1]
        rig.take(8)
        await settle()
        assert rig.sizes() == [1, 1, 1, 1]

    virtual(story)


def test_what_waits_too_long_is_dropped_oldest_first() -> None:
    """A path that does not move holds 4,096 at most: the rest has other channels and its next cascade."""

    async def story() -> None:
        rig = Rig()
        for number in range(1, 5):
            rig.take(number)
            await settle()
        rig.take(*range(5, WAITING_LIMIT + 10))
        await rig.land()
        assert rig.flights[-1][0].startswith(b"[m10]")

    virtual(story)


def test_each_try_is_told_with_its_numbers() -> None:
    """Numbers of what is durable, a SKIP's without an id; the outcome without its reply, which goes its own way."""

    async def story() -> None:
        rig = Rig()
        mail, ping = (letter("m1", seq=1), letter("m2", seq=2)), letter("p", kind=Kind.PING)
        over = letter("over", seq=3, kind=Kind.SKIP)
        asked = zip((*mail, ping, over), (3.0, 3.0, 9.0, 3.0), strict=True)
        rig.give(*(Deliver("B", Channel.NATS, one, budget_s) for one, budget_s in asked))
        await settle()
        assert rig.flights[0][1] == 9.0, "the longest of their budgets"
        await asyncio.sleep(0.25)
        await rig.land()
        (told,) = rig.told
        assert told.numbers == ((5_000, 1, "m1"), (5_000, 2, "m2"), (5_000, 3, ""))
        assert (told.peer, told.channel, told.probe) == ("B", Channel.NATS, False)
        assert told.outcome == Outcome(Verdict.CONFIRMED)
        assert abs(told.latency_ms - 250) < 1
        assert rig.replies == [b"receipts"]

    virtual(story)


def test_a_batch_of_pulses_is_a_probe() -> None:
    """It tells of the channel and of no message."""

    async def story() -> None:
        rig = Rig()
        rig.give(Deliver("B", Channel.NATS, letter("p", kind=Kind.PING), 1.0))
        await settle()
        await rig.land(Outcome(Verdict.LOST, "no answer"))
        assert rig.told[0].probe
        assert rig.told[0].numbers == ()

    virtual(story)


def test_stopped_it_tells_nothing_more() -> None:
    """What flies is broken off, what waits is forgotten: it is in the store."""

    async def story() -> None:
        rig = Rig()
        for number in range(1, 7):
            rig.take(number)
            await settle()
        rig.carrier.stop()
        await settle()
        assert rig.told == []
        assert all(future.cancelled() for _, _, future in rig.flights)
        assert rig.seals == FLYING_LIMIT

    virtual(story)
