"""P2, the asking end: which address, which line, and whose certificate."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator

import pytest

from engine.model.channel import Verdict
from engine.model.roster import Address
from engine.transports.http import channel as http
from engine.transports.http.channel import Http
from engine.transports.http.line import Stranger
from tests.nodes import LOOPBACK, Inbox, Node

FOREVER_S = 20.0


class Two:
    """A sender and a receiver."""

    def __init__(self) -> None:
        self.here, self.there = Node(1), Node(2)
        self.sender, self.receiver, self.inbox = Http(self.here.port()), Http(self.there.port()), Inbox()

    @property
    def good(self) -> Address:
        return Address(LOOPBACK, http=self.receiver._port.port)


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    made = Two()
    await made.receiver.listen(made.inbox)
    yield made
    await made.sender.close()
    await made.receiver.close()
    await made.here.close()
    await made.there.close()


async def free() -> int:
    """A port on which nobody listens."""
    server = await asyncio.start_server(lambda reader, writer: None, LOOPBACK, 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    return port


async def test_lines_are_kept(two: Two) -> None:
    """One after the other, all deliveries go over one connection."""
    for _ in range(5):
        assert (await two.sender.deliver(b"x", two.there.target(two.good), 3.0)).verdict is Verdict.CONFIRMED
    assert len(two.receiver._port._open) == 1


async def test_many_at_once_share_a_few_lines(two: Two) -> None:
    """A burst opens no more than its share of connections."""
    await asyncio.gather(*(two.sender.deliver(b"x", two.there.target(two.good), FOREVER_S) for _ in range(50)))
    assert len(two.receiver._port._open) <= http.LINES


async def test_a_line_closed_at_the_far_end_costs_one_more_try(two: Two) -> None:
    """The peer hung up a kept line a moment ago: the request goes over a new one, and is not lost."""
    target = two.there.target(two.good)
    await two.sender.deliver(b"x", target, 3.0)
    for one in tuple(two.receiver._port._open):
        one.abort()
    assert (await two.sender.deliver(b"y", target, 3.0)).verdict is Verdict.CONFIRMED


async def test_addresses_are_tried_in_order_and_the_good_one_first_next_time(two: Two) -> None:
    """A refused address costs nothing; the one that worked is remembered."""
    target = two.there.target(Address(LOOPBACK, http=await free()), two.good)
    assert (await two.sender.deliver(b"x", target, 3.0)).verdict is Verdict.CONFIRMED
    assert two.sender._peers[target.id].good == (LOOPBACK, two.good.http)


async def test_a_silent_address_does_not_use_up_the_budget(two: Two) -> None:
    """The first address takes connections and never answers: the second is tried beside it."""
    stop = asyncio.Event()

    async def hole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async with await asyncio.start_server(hole, LOOPBACK, 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        target = two.there.target(Address(LOOPBACK, http=port), two.good)
        assert (await two.sender.deliver(b"x", target, FOREVER_S)).verdict is Verdict.CONFIRMED
        stop.set()


async def test_nobody_there_is_hard(two: Two) -> None:
    """Every address refuses: lost, hard, with the system's word for it."""
    outcome = await two.sender.deliver(b"x", two.there.target(Address(LOOPBACK, http=await free())), FOREVER_S)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.LOST, True, False)
    assert "refused" in outcome.note.lower()


async def test_no_address_is_a_reason(two: Two) -> None:
    """A peer of which no HTTP port is known cannot be tried."""
    for target in (two.there.target(), two.there.target(Address("10.0.0.1", nats=6222))):
        assert two.sender.ready(target) == "no address known"
        assert (await two.sender.deliver(b"x", target, 3.0)).verdict is Verdict.BARRED


async def test_a_wrong_certificate_is_an_alarm(two: Two) -> None:
    """The address answers with another key: refused, hard, marked as a pin mismatch; nothing is delivered."""
    target = two.here.target(two.good)
    outcome = await two.sender.deliver(b"x", target, 3.0)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.REFUSED, True, True)
    assert two.inbox.came.empty()


async def test_a_fellow_at_the_address_is_no_alarm(two: Two) -> None:
    """Another present member shows its certificate there: the port has changed hands. Lost, hard, nothing is sent."""
    sender = Http(two.here.port(), two.there.identity.bundle.tls_cert.__eq__)
    outcome = await sender.deliver(b"x", two.here.target(two.good), 3.0)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.LOST, True, False)
    assert two.inbox.came.empty()


async def test_meeting_ourselves_on_loopback_is_no_alarm(two: Two) -> None:
    """A peer elsewhere also tells its loopback address; that it leads to somebody else here means nothing."""
    target = two.here.target(Address("127.0.0.2", http=await free()), two.good)
    outcome = await two.sender.deliver(b"x", target, 3.0)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.LOST, True, False)
    assert two.inbox.came.empty()


async def test_a_new_certificate_ends_the_old_lines(two: Two) -> None:
    """When the roster has another key for a peer, lines to the old one are not used any more."""
    good = two.there.target(two.good)
    await two.sender.deliver(b"x", good, 3.0)
    changed = type(good)(good.id, good.addresses, two.here.identity.bundle.tls_cert)
    assert (await two.sender.deliver(b"y", changed, 3.0)).pin


async def test_a_peer_that_speaks_no_http_is_lost(two: Two) -> None:
    """The right key and the wrong protocol: lost, hard."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(two.there.cert, two.there.key)

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n" * 10_000)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(babble, LOOPBACK, 0, ssl=context) as server:
        at = Address(LOOPBACK, http=server.sockets[0].getsockname()[1])
        outcome = await two.sender.deliver(b"x", two.there.target(at), FOREVER_S)
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (503, Verdict.REFUSED),
        (413, Verdict.REFUSED),
        (504, Verdict.LOST),
        (400, Verdict.REFUSED),
        (200, Verdict.CONFIRMED),
    ],
)
def test_statuses(status: int, verdict: Verdict) -> None:
    """Each status has one meaning."""
    assert http._read(http.Answer(status)).verdict is verdict


async def test_a_line_that_the_system_gave_up_is_told_by_its_reason() -> None:
    """It waited for no answer as long as the budget allows, and does not say so."""

    async def dropped() -> http.Answer:
        raise TimeoutError(errno.ETIMEDOUT, "dropped")

    outcome = await http._ending(dropped(), FOREVER_S, bool)
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, False, "connection timed out")


async def test_call_judges_the_certificate_before_it_speaks(two: Two) -> None:
    """A joiner asks a node it only knows by a fingerprint: trusted it is answered, else nothing is sent."""
    places = [(two.good.host, two.good.http)]
    cert = two.there.identity.bundle.tls_cert
    answer = await http.call(places, lambda shown: shown == cert, "GET", "/health", b"", 3.0)
    assert two.there.id.encode() in answer.body
    with pytest.raises(Stranger):
        await http.call(places, lambda shown: False, "POST", "/deliver", b"secret", 3.0)
    assert two.inbox.came.empty()


async def test_closed_is_barred_until_it_listens_again(two: Two) -> None:
    """After `close` nothing is dialled."""
    target = two.there.target(two.good)
    await two.sender.close()
    assert (await two.sender.deliver(b"x", target, 3.0)).verdict is Verdict.BARRED
    await two.sender.listen(Inbox())
    assert (await two.sender.deliver(b"x", target, 3.0)).verdict is Verdict.CONFIRMED
