"""P1: ask the peer through the brokers, and be told at once when nobody is there (edge).

    deliver --publish fleet.<fleet>.in.<peer>, reply to our inbox--> CONFIRMED  the peer's own bytes came back
                                                                     REFUSED    it said that it is busy
                                                                     LOST       no responders, or the connection dropped
                                                                                (both hard), or no answer in time
                                                                     BARRED     not connected

One inbox serves every request: the last token of the reply subject finds the request that waits. nats-py buffers
silently while it is disconnected, so nothing is published then, and what was in flight when a connection drops ends
at once: the caller has better channels than hope. It also closes itself for good on some errors, so a keeper makes a
new client when that happens. Handlers only enqueue, because nats-py awaits those of one subscription one by one.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from engine.errors import Fault, FleetError
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.base import Arrivals, Target

NO_BROKER = "no broker on this node"
NO_RESPONDERS = "503"
BUSY = {"Fleet": "busy"}

# A stopped broker is noticed after two unanswered seconds; a returned one within 50 ms.
_PING_S, _PINGS_OUT, _RECONNECT_S = 1, 2, 0.05
_CONNECT_S = 1
_LISTEN_S = 3.0
# nats-py's own pause between clients that ended for good, such as one turned away by a stranger on our port.
_NEW_CLIENT_S = 0.25
# Bytes that wait for a broker which does not read. Above ours nothing more is given to nats-py, because above its own
# limit `publish` blocks and swallows a cancellation.
_BACKLOG_LIMIT, _NATS_BACKLOG_LIMIT = 2 * CARRIAGE_LIMIT, 8 * CARRIAGE_LIMIT
# What may wait for our own handler, which only enqueues; nats-py drops what is beyond and the sender tries again.
_INBOX_MESSAGES, _INBOX_BYTES = 16_384, 8 * CARRIAGE_LIMIT


def subject(fleet_id: str, node_id: str) -> str:
    """Where a node hears what is meant for it."""
    return f"fleet.{fleet_id}.in.{node_id}"


class Nats:
    """Channel P1. `seed`: this node's nkey seed. `on_link` hears True when the broker is reached and False when it is
    lost. Nothing is tried before `aim` has said where the broker is."""

    channel = Channel.NATS

    def __init__(self, me: str, fleet_id: str, seed: str, on_link: Callable[[bool], None] = lambda up: None):
        self._me, self._fleet_id, self._seed, self._on_link = me, fleet_id, seed, on_link
        self._url, self._aimed = "", asyncio.Event()
        self._arrived: Arrivals | None = None
        self._client: Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._linked, self._gone = asyncio.Event(), asyncio.Event()
        self._flying: dict[str, asyncio.Future[Outcome]] = {}
        self._held: set[asyncio.Task[None]] = set()
        self._tokens = itertools.count(1)
        self._inbox = ""

    def ready(self, target: Target) -> str | None:
        """Why not: one of the two has no broker."""
        if not self._url:
            return NO_BROKER
        return "no broker there" if target.brokerless else None

    def aim(self, url: str) -> None:
        """The broker is at `url` now (empty: it is away, and will be back where it was). A connection to any other
        place is given up: whoever took over an old port of ours is a stranger."""
        if not url or url == self._url:
            return
        self._url = url
        self._aimed.set()
        if self._client is not None and not self._client.is_closed:
            self._client.set_server_pool([url])
            self._hold(self._client.force_reconnect())

    async def listen(self, arrived: Arrivals) -> None:
        """Connect, subscribe and stay. Raises `FleetError` `node.broker` when the broker does not let us in within
        three seconds."""
        self._arrived = arrived
        self._keeper = self._keeper or asyncio.create_task(self._keep())
        try:
            await asyncio.wait_for(self._linked.wait(), _LISTEN_S)
        except TimeoutError:
            await self.close()
            raise FleetError(
                "node.broker",
                "The broker does not answer",
                f"no connection to {self._url or 'any nats-server'} within {_LISTEN_S:g} s",
                "the other channels work without it; `fleet log` says why",
                Fault.WORLD,
            ) from None

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Ask the peer; see the module for what each ending means."""
        client = self._client
        if client is None or not client.is_connected:
            return Outcome(Verdict.BARRED, "not connected to the broker" if self._url else NO_BROKER, hard=True)
        if len(data) > client.max_payload:
            return Outcome(Verdict.BARRED, f"larger than {client.max_payload >> 20} MiB", hard=True)
        if client.pending_data_size > _BACKLOG_LIMIT:
            return Outcome(Verdict.BARRED, "the broker does not read", hard=True)
        loop, token = asyncio.get_running_loop(), f"{next(self._tokens):x}"
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._flying[token] = answer
        late = loop.call_later(budget_s, _settle, answer, Outcome(Verdict.LOST, f"no answer in {budget_s:.3g} s"))
        try:
            await client.publish(subject(self._fleet_id, target.id), data, reply=self._inbox + token)
            return await answer
        except (nats.errors.Error, OSError) as error:
            return Outcome(Verdict.BARRED, str(error), hard=True)
        finally:
            late.cancel()
            del self._flying[token]

    async def close(self) -> None:
        """Leave the broker; requests in flight end as lost."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """One client after another, each for as long as it lives, until this is cancelled. nats-py takes a cancellation
        that comes while it connects for a timeout, and goes on; so it is asked for, besides being waited for."""
        task = asyncio.current_task()
        await self._aimed.wait()
        while task and not task.cancelling():
            self._gone.clear()
            self._client = client = Client()
            try:
                await self._connect(client)
                if not task.cancelling():
                    await self._gone.wait()
            except (nats.errors.Error, OSError):
                self._gone.set()
            finally:
                self._client = None
                await client.close()
                self._drop("the broker was left")
            await asyncio.sleep(_NEW_CLIENT_S)

    async def _connect(self, client: Client) -> None:
        async def dropped() -> None:
            self._drop("the connection to the broker dropped")

        async def failed(error: Exception) -> None:
            """Each failed attempt: the link is down already, and said to be."""

        async def back() -> None:
            self._link()

        async def closed() -> None:
            self._gone.set()

        await client.connect(
            self._url,
            name=self._me,
            nkeys_seed_str=self._seed,
            error_cb=failed,
            disconnected_cb=dropped,
            reconnected_cb=back,
            closed_cb=closed,
            ping_interval=_PING_S,
            max_outstanding_pings=_PINGS_OUT,
            connect_timeout=_CONNECT_S,
            reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # it sleeps for this; fractions are fine
            max_reconnect_attempts=-1,
            pending_size=_NATS_BACKLOG_LIMIT,
        )
        self._inbox = client.new_inbox() + "."
        await client.subscribe(self._inbox + "*", cb=self._on_answer, pending_bytes_limit=_INBOX_BYTES)
        await client.subscribe(
            subject(self._fleet_id, self._me),
            cb=self._on_mail,
            pending_msgs_limit=_INBOX_MESSAGES,
            pending_bytes_limit=_INBOX_BYTES,
        )
        await client.flush(_CONNECT_S)
        self._link()

    def _link(self) -> None:
        self._linked.set()
        self._on_link(True)

    def _drop(self, why: str) -> None:
        if self._linked.is_set():
            self._linked.clear()
            self._on_link(False)
        for answer in self._flying.values():
            _settle(answer, Outcome(Verdict.LOST, why, hard=True))

    async def _on_answer(self, message: Msg) -> None:
        answer = self._flying.get(message.subject[len(self._inbox) :])
        if answer is not None:
            _settle(answer, _read(message))

    async def _on_mail(self, message: Msg) -> None:
        reply = _Reply(self, message.reply) if message.reply else None
        if self._arrived is not None and not self._arrived(message.data, Channel.NATS, reply) and message.reply:
            self._send(message.reply, b"", BUSY)

    def _send(self, to: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish from a place that cannot wait; the task is held until it is done."""
        client = self._client
        if client is None or not client.is_connected or client.pending_data_size > _BACKLOG_LIMIT:
            return
        self._hold(_publish(client, to, data, headers))

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._held.add(task)
        task.add_done_callback(self._held.discard)


class _Reply:
    """The way back of one request: good for one answer."""

    __slots__ = ("_channel", "_to")

    def __init__(self, channel: Nats, to: str):
        self._channel, self._to = channel, to

    def __call__(self, data: bytes) -> None:
        to, self._to = self._to, ""
        if to:
            self._channel._send(to, data)


async def _publish(client: Client, to: str, data: bytes, headers: dict[str, str] | None) -> None:
    # The broker left, or the answer is too large: its absence is what the asker sees in either case.
    with contextlib.suppress(nats.errors.Error, OSError):
        await client.publish(to, data, headers=headers)


def _settle(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _read(message: Msg) -> Outcome:
    headers = message.headers or {}
    if headers.get("Status") == NO_RESPONDERS:
        return Outcome(Verdict.LOST, "no responders: its broker or node is away", hard=True)
    if headers == BUSY:
        return Outcome(Verdict.REFUSED, "the peer is busy")
    return Outcome(Verdict.CONFIRMED, reply=message.data)
