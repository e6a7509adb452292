"""The one pair of hands: performs what turns ask, in their order (edge).

The strict records of what is performed together go to the store first; the rest of it, and all that comes later, waits
behind that commit in one line. So nothing is told, answered or sent ahead of the disk, and nothing overtakes. Only
timers are set at once. Each arm of the table is one call; what a call means is decided elsewhere.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Protocol, TypeVar

import msgspec

from engine.bus import Bus
from engine.carrier import NO_TRANSPORT, Carrier
from engine.door import Door
from engine.effects import (
    Answer,
    Arm,
    AskReady,
    Deliver,
    Effect,
    Load,
    Publish,
    Reload,
    Resolve,
    SendDatagram,
)
from engine.errors import ErrorFacts, Fault, FleetError
from engine.health.cascade import choose
from engine.mail import receipts, relay
from engine.me.stalled import Stall
from engine.model.channel import Cause, Channel, Outcome, Verdict
from engine.model.envelope import KINDS, Envelope, Kind
from engine.model.moment import Moment
from engine.model.packets import Forward
from engine.model.records import Record
from engine.model.story import relayed
from engine.rooms import sorted_out
from engine.security.seal import Sealer
from engine.signals import Loaded, Rang, Readied, Signal, Tried
from engine.state import Fleet
from engine.store.crash import crash_at, crash_soon
from engine.target import Target, parting, target
from engine.tickets import Tickets
from engine.transports.base import Transport
from engine.wire import frames, peek

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """The store, as the hands use it."""

    def submit(self, records: Sequence[Record]) -> "asyncio.Future[None]": ...


class Reader(Protocol):
    """The store's pages, as the hands use them."""

    async def waiting(self, dst: str, limit: int, bulk: int) -> tuple[tuple[Any, ...], int]: ...
    async def closed(self, dst: str, epoch: int, seqs: tuple[int, ...]) -> tuple[Any, ...]: ...


# What nobody waits for joins the next transaction, or makes one of its own after this long.
LINGER_S = 0.02
# A commit takes milliseconds; one that takes this long meets a disk that is full or dead.
FLUSH_S = 1.0
# Effects that may wait for one commit: some seconds of the highest rate.
WAITING_LIMIT = 20_000
READ_AGAIN_S = 1.0

T = TypeVar("T")

Waiting = tuple["asyncio.Future[None] | None", list[Effect], Fleet]


class Hands:
    """Performs effects for one node. `deeds` are the effects that belong to the composition: applying a roster,
    looking at the machine, mending it, sending a datagram, typing into a terminal."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        store: Keeper,
        reader: Reader,
        sealer: Sealer,
        bus: Bus,
        now: Callable[[], Moment],
        deeds: dict[type, Callable[[Any], None]],
    ):
        self.visible = fleet
        self._newest = fleet
        self._store, self._reader, self._sealer, self._bus, self._now = store, reader, sealer, bus, now
        self._line: deque[Waiting] = deque()
        self._lazy: list[Record] = []
        self._lingering: asyncio.TimerHandle | None = None
        self._tickets = Tickets()
        self.ticket = self._tickets.new
        self._stall = Stall(
            *(now, self._say, lambda event: bus.publish(event)),
            full=lambda: self._newest.mail.full,
            unknown=self._tickets.unknown,
        )
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._carriers: dict[tuple[str, Channel], Carrier] = {}
        self._laden: dict[Carrier, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pulses = count(1)
        self.transports: dict[Channel, Transport] = {}
        self.door: Door
        self.post: Callable[[Signal], None]
        self._arms: dict[type, Callable[[Any], None]] = {
            Deliver: self._deliver,
            Answer: self._answer,
            Resolve: self._tickets.settle,
            Publish: lambda effect: self._bus.publish(effect.event),
            Load: lambda effect: self._spawn(self._load(effect)),
            Reload: lambda effect: self._spawn(self._reload(effect)),
            AskReady: self._ask_ready,
            **deeds,
        }

    # ------------------------------------------------------------------------------------------------ in order

    def perform(self, effects: list[Effect], fleet: Fleet) -> None:
        """Do what turns asked; `fleet` is the value of the last, visible once their records are durable."""
        self._newest = fleet
        strict, lazy, timers, rest = sorted_out(effects)
        self._lazy += lazy
        saved = self._submit(strict) if strict else None
        if self._lazy and self._lingering is None:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER_S, self._submit, [])
        if saved is not None:
            saved.add_done_callback(self._committed)
        for timer in timers:
            self._arm(timer)
        if saved is None and self._line:
            self._wait_with_the_last(rest, fleet)
        else:
            self._line.append((saved, rest, fleet))
        self._advance()

    def _say(self, word: Callable[[Fleet], Fleet]) -> None:
        self.visible = word(self.visible)

    def _wait_with_the_last(self, effects: list[Effect], fleet: Fleet) -> None:
        """A turn that keeps nothing waits with the one before it, and not for ever: on a disk that takes nothing, what
        is worth nothing later is dropped."""
        saved, before, _ = self._line[-1]
        if len(before) >= WAITING_LIMIT:
            effects = [effect for effect in effects if not isinstance(effect, _PASSING)]
        before += effects
        self._line[-1] = (saved, before, fleet)

    def _submit(self, strict: list[Record]) -> "asyncio.Future[None]":
        """One transaction: what lingered, which happened before, and what others wait for."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        records, self._lazy = [*self._lazy, *strict], []
        return self._store.submit(records)

    async def flush(self) -> None:
        """Return once everything that was asked to be kept so far is durable; on a disk that takes nothing, after
        `FLUSH_S`: what is told then is what is durable."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._submit([])), FLUSH_S)

    def _committed(self, saved: "asyncio.Future[None]") -> None:
        if _kept(saved):
            self._advance()

    def _advance(self) -> None:
        while self._line and (self._line[0][0] is None or _kept(self._line[0][0])):
            self._stall.moved()
            _, effects, self.visible = self._line.popleft()
            for effect in effects:
                self._arms[type(effect)](effect)
        for carrier in self._laden:
            carrier.leave()
        self._laden.clear()
        if self._line:
            self._stall.waits()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the disk and nothing is on its way."""
        return not self._line and not self._tasks

    # -------------------------------------------------------------------------------------------------- timers

    def _arm(self, timer: Arm) -> None:
        known = self._timers.get(timer.key)
        # loop.time() and Moment.mono are the same clock.
        if known is None or known.when() > timer.at or timer.anew:
            if known is not None:
                known.cancel()
            self._timers[timer.key] = asyncio.get_running_loop().call_at(timer.at, self._ring, timer.key)

    def _ring(self, key: str) -> None:
        del self._timers[key]
        self.post(Rang(key))

    # ----------------------------------------------------------------------------------------------- answering

    def _answer(self, effect: Answer) -> None:
        crash_at("before_ack")
        sealed = (self._seal(envelope, ()) for envelope in effect.envelopes)
        self.door.answer(effect.token, b"".join(frame for frame in sealed if frame))

    # -------------------------------------------------------------------------------------------------- sending

    def _deliver(self, effect: Deliver) -> None:
        if effect.envelope.kind is Kind.ROSTER:
            self._part(effect)
            return
        if effect.channel not in self.transports:
            numbers = effect.numbers
            self.post(Tried(effect.peer, effect.channel, numbers, NO_TRANSPORT, 0.0, probe=not numbers))
            return
        carrier = self._carrier(effect.peer, effect.channel)
        carrier.take(effect)
        self._laden[carrier] = None

    def _part(self, effect: Deliver) -> None:
        """A roster leaves in this breath: the next effect may be that its reader is trusted no more."""
        reader, transport = parting(self.visible, effect.peer), self.transports.get(effect.channel)
        frame = self._seal(effect.envelope, ())
        if reader is None or transport is None or frame is None:
            return
        self._spawn(transport.deliver(frame, reader, effect.budget_s))

    def _carrier(self, peer: str, channel: Channel) -> Carrier:
        carrier = self._carriers.get((peer, channel))
        if carrier is None:
            batch = self._newest.config.mail.batch
            carrier = Carrier(peer, channel, batch, self._sealed, self._carry_to(peer, channel), self._tried)
            self._carriers[peer, channel] = carrier
        return carrier

    def _carry_to(self, peer: str, channel: Channel) -> Callable[[bytes, float], Awaitable[Outcome]]:
        async def carry(data: bytes, budget_s: float) -> Outcome:
            target = self.target(peer)
            if target is None:
                return Outcome(Verdict.BARRED, "not a member any more", hard=True)
            crash_soon("after_send")
            outcome = _answered(await self.transports[channel].deliver(data, target, budget_s))
            # Whoever was met at an address that the peer has left meanwhile says nothing of the peer.
            return MOVED if outcome.pin and self.target(peer) != target else outcome

        return carry

    def _tried(self, tried: Tried, reply: bytes) -> None:
        """How a delivery ended, then what came back with it: the receipt finds its try written down."""
        crash_at("before_mark")
        self.post(tried)
        self.door.replied(reply, tried.channel, tried.peer)

    def _sealed(self, delivery: Deliver) -> bytes | None:
        """The frame for one delivery; None when it is acknowledged already and nobody waits for it."""
        envelope = delivery.envelope
        if KINDS[envelope.kind].durable:
            lane = self._newest.mail.lanes.get(envelope.dst)
            if lane is None or (envelope.src_epoch, envelope.seq) not in lane.open:
                return None
            return self._seal(envelope, delivery.acks)
        return self._seal(envelope, delivery.acks or receipts.lines(self.visible, envelope.dst))

    def _seal(self, envelope: Envelope, acks: tuple[Any, ...]) -> bytes | None:
        if not KINDS[envelope.kind].durable:
            envelope = msgspec.structs.replace(envelope, seq=next(self._pulses))
        try:
            return self._sealer.seal(envelope, acks)
        except FleetError:
            # Its recipient was revoked between the decision and the deed: there is nobody to send it to.
            return None

    def target(self, peer: str) -> Target | None:
        """A present peer as transports see it."""
        return target(self._newest, peer)

    def _ask_ready(self, effect: AskReady) -> None:
        target = self.target(effect.peer)
        if target is not None:
            reasons = {channel: _unready(transport, target) for channel, transport in self.transports.items()}
            self.post(Readied(effect.peer, reasons))

    # -------------------------------------------------------------------------------------------------- relaying

    def relays(self, target: Any) -> Iterator[str]:
        """Who could carry mail to a peer, the likeliest first."""
        return relay.candidates(self._newest, target.id)

    async def carry(self, over: str, dst: str, data: bytes, budget_s: float) -> Outcome:
        """Give sealed frames for `dst` to a relay, wrapped: what that came to, by the relay's name. What plainly
        went nowhere one way goes the next. What the relay replies is heard here and not handed on."""
        order = choose(self._newest, over, Kind.PASS)
        target = self.target(over)
        if not order or target is None:
            return Outcome(Verdict.BARRED, "no way to the relay", hard=True)
        for channel in order:
            wrapped = [self._wrapped(over, dst, frame) for frame in frames(data)]
            joined = b"".join(frame for frame in wrapped if frame)
            outcome = await self.transports[channel].deliver(joined, target, budget_s)
            if not outcome.nowhere:
                break
        self.door.replied(outcome.reply, channel, over)
        ended = _answered(outcome)
        note = relayed(self._newest.name_of(over), ended.note or "has it")
        return msgspec.structs.replace(ended, note=note, reply=b"", cause=None)

    def _wrapped(self, over: str, dst: str, frame: bytes) -> bytes | None:
        forward = Forward(dst, peek(frame).hop + 1, frame)
        return self._seal(relay.wrapper(self._newest, over, forward, self._now()), receipts.lines(self.visible, over))

    # -------------------------------------------------------------------------------------------------- reading

    async def _load(self, effect: Load) -> None:
        waiting, left = await _read(lambda: self._reader.waiting(effect.peer, effect.limit, effect.bulk))
        self.post(Loaded(effect.peer, waiting, left))

    async def _reload(self, effect: Reload) -> None:
        waiting = await _read(lambda: self._reader.closed(effect.peer, effect.epoch, effect.seqs))
        if waiting:
            self.post(Loaded(effect.peer, waiting, 0))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Drop timers and break off what flies; what was accepted is in the store."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._lingering is not None:
            self._lingering.cancel()
        self._stall.stop()
        for carrier in self._carriers.values():
            carrier.stop()
        for task in self._tasks:
            task.cancel()
        self._tickets.end(STOPPING)


def _kept(saved: "asyncio.Future[None]") -> bool:
    """Whether these records are durable: a commit that failed is done as well, and nothing may follow it."""
    return saved.done() and not saved.cancelled() and saved.exception() is None


def _unready(transport: Transport, target: Target) -> str | None:
    """One channel that cannot even say why ends neither the others nor the node."""
    try:
        return transport.ready(target)
    except Exception as error:
        # Asked every few seconds: the reason is shown, and the story of it is for whoever wants it.
        log.debug("%s cannot say whether it is ready", transport.channel, exc_info=True)
        return f"failed here: {type(error).__name__}"


async def _read(page: Callable[[], Awaitable[T]]) -> T:
    """A page of the store, as soon as it can be read: a lane asks once and waits, and a full disk may refuse a reader
    its share of the log's index."""
    while True:
        try:
            return await page()
        except Exception as error:  # noqa: BLE001 - whatever it was, mail that nobody reads again is lost
            log.warning("waiting mail cannot be read: %s", error)
            await asyncio.sleep(READ_AGAIN_S)


def _answered(outcome: Outcome) -> Outcome:
    """Whoever opened nothing of what it was sent answers with nothing: it does not know us, or not any more."""
    silent = outcome.verdict is Verdict.CONFIRMED and not outcome.reply
    return Outcome(Verdict.REFUSED, "it refused what it got", cause=Cause.SPURNED) if silent else outcome


# Lost, these come again by themselves: another try, another heartbeat, a page that is looked at.
_PASSING = (Deliver, Answer, SendDatagram, Publish)
MOVED = Outcome(Verdict.LOST, "it has moved meanwhile", hard=True)
STOPPING = ErrorFacts(
    "node.stopping", "The node is stopping", "it takes nothing new", "start it again with `fleet up`", Fault.WORLD
)
