"""P1 and the moods of its broker."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from engine.broker.supervise import Ports, msgspec
from engine.errors import FleetError
from engine.model.channel import Verdict
from engine.transports.nats import Nats, subject
from tests.nodes import FLEET, Inbox, Node

pytestmark = pytest.mark.slow

FOREVER_S = 20.0


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node whose broker carries mail from itself to itself."""
    made = Node(1)
    await made.broker.start()
    yield made
    await made.close()


def test_subject() -> None:
    """One subject a node, within its fleet."""
    assert subject("f", "n") == "fleet.f.in.n"


async def test_before_it_is_aimed_nothing_is_tried() -> None:
    """Without a broker the channel says so, and a delivery is barred at once."""
    nats = Nats("me", FLEET, "seed")
    target = Node(2).target()
    assert nats.ready(target) == "no broker on this node"
    barred = await nats.deliver(b"x", target, FOREVER_S)
    assert (barred.verdict, barred.note) == (Verdict.BARRED, "no broker on this node")


def test_a_peer_without_a_broker_is_reached_by_nobody() -> None:
    """By its own word; as soon as it has one, it is worth a try."""
    nats = Nats("me", FLEET, "seed")
    nats.aim("nats://127.0.0.1:1")
    there = Node(2).target()
    assert nats.ready(there) is None
    assert nats.ready(msgspec.structs.replace(there, brokerless=True)) == "no broker there"


async def test_what_flies_when_the_broker_dies_ends_at_once(node: Node) -> None:
    """Twenty in flight, kill -9: each is lost and hard long before its budget; then mail passes again by itself."""
    inbox, links = Inbox(), []
    node.nats._on_link = links.append
    await node.nats.listen(inbox)
    inbox.answer = None
    flying = [asyncio.create_task(node.nats.deliver(b"x", node.target(), FOREVER_S)) for _ in range(20)]
    for _ in flying:
        await inbox.came.get()
    os.kill(node.broker.pid, signal.SIGKILL)
    async with asyncio.timeout(FOREVER_S / 2):
        outcomes = await asyncio.gather(*flying)
    assert {(one.verdict, one.hard) for one in outcomes} == {(Verdict.LOST, True)}
    inbox.answer = lambda data: data
    await node.reached("up")
    async with asyncio.timeout(FOREVER_S):
        while (await node.nats.deliver(b"x", node.target(), 1.0)).verdict is not Verdict.CONFIRMED:
            await asyncio.sleep(0)
    assert links == [True, False, True]


async def test_while_the_broker_is_away_nothing_is_buffered(node: Node) -> None:
    """Barred, hard, at once: what is not published now does not surprise anybody later."""
    inbox = Inbox()
    await node.nats.listen(inbox)
    await node.broker.stop()
    async with asyncio.timeout(FOREVER_S):
        while (outcome := await node.nats.deliver(b"x", node.target(), FOREVER_S)).verdict is not Verdict.BARRED:
            pass
    assert outcome.hard
    assert node.nats._client is not None
    assert node.nats._client.pending_data_size == 0


async def test_a_stopped_broker_is_noticed(node: Node) -> None:
    """SIGSTOP: deliveries are lost in time, then barred, because nobody answers our pings; SIGCONT brings it back."""
    inbox = Inbox()
    await node.nats.listen(inbox)
    os.kill(node.broker.pid, signal.SIGSTOP)
    async with asyncio.timeout(FOREVER_S):
        while (await node.nats.deliver(b"x", node.target(), 0.2)).verdict is not Verdict.BARRED:
            pass
        os.kill(node.broker.pid, signal.SIGCONT)
        while (await node.nats.deliver(b"x", node.target(), 0.2)).verdict is not Verdict.CONFIRMED:
            await asyncio.sleep(0)


async def test_it_follows_the_broker_to_another_port(node: Node) -> None:
    """A stranger takes the broker's port while it is down: the broker moves, and the client goes with it."""
    await node.nats.listen(Inbox())
    old = node.broker.ports.client
    await node.broker.stop()
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", old):
        node.broker._spec = msgspec.structs.replace(node.broker._spec, ports=Ports(old, 0, 0))
        await node.broker.start()
        assert node.broker.ports.client != old
        async with asyncio.timeout(FOREVER_S):
            while (await node.nats.deliver(b"x", node.target(), 1.0)).verdict is not Verdict.CONFIRMED:
                await asyncio.sleep(0)


async def test_a_broker_that_turns_us_away_is_an_error(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong key: `listen` says that the broker does not let us in, and leaves nothing running."""
    monkeypatch.setattr("engine.transports.nats._LISTEN_S", 0.5)
    stranger = Node(2)
    before = asyncio.all_tasks()
    stranger.nats.aim(node.broker.url)
    with pytest.raises(FleetError) as caught:
        await stranger.nats.listen(Inbox())
    assert caught.value.code == "node.broker"
    assert stranger.identity.nkey_seed.decode() not in str(caught.value)
    assert asyncio.all_tasks() <= before
    await stranger.close()


async def test_one_answer_a_question(node: Node) -> None:
    """A second reply on the same way goes nowhere."""
    ways = []

    def arrived(data, via, reply) -> bool:
        ways.append(reply)
        reply(b"one")
        reply(b"two")
        return True

    await node.nats.listen(arrived)
    assert (await node.nats.deliver(b"x", node.target(), 3.0)).reply == b"one"
    ways[0](b"three")
    assert (await node.nats.deliver(b"y", node.target(), 3.0)).reply == b"one"


async def test_mail_without_a_way_back_is_taken_too(node: Node) -> None:
    """Published without a reply subject, it arrives with no way to answer."""
    came: asyncio.Queue[object] = asyncio.Queue()

    def arrived(data, via, reply) -> bool:
        came.put_nowait((data, reply))
        return True

    await node.nats.listen(arrived)
    assert node.nats._client is not None
    await node.nats._client.publish(subject(FLEET, node.id), b"note")
    assert await came.get() == (b"note", None)


@pytest.mark.parametrize("turns", [0, 3, 10, 20, 30, 40, 60, 100, 200])
async def test_it_can_be_closed_while_it_connects(node: Node, turns: int) -> None:
    """However far it has come: nobody who closes it waits for ever."""
    listening = asyncio.create_task(node.nats.listen(Inbox()))
    while node.nats._client is None:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(FOREVER_S):
        await node.nats.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
