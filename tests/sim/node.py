"""One simulated node: the product's core, doors of the virtual network, and a store in memory that can crash.

`start` builds it from what its store kept; `crash` drops everything else, between any two instructions of the loop, or,
with `doom`, at the worst of them: just before a commit, or just after it and before anybody heard of it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from engine.config import Config
from engine.core import Core
from engine.effects import ApplyRoster, Dismiss, Look, Notify, SendDatagram, SendMagic, StartPeer, Undertake
from engine.evidence.ledger import link
from engine.first import first
from engine.model.broker import BrokerState
from engine.model.channel import Channel
from engine.model.event import Event
from engine.model.records import AddInbox, Record
from engine.model.repair import Action, Ended
from engine.model.roster import Address, Roster
from engine.security.identity import Identity
from engine.security.seal import Sealer
from engine.signals import BrokerChanged, DatagramCame, Listening, MendEnded, Started
from engine.state import Fleet, Me
from engine.store.memory import MemoryStore
from engine.transports.base import Transport
from engine.transports.relay import Relay
from engine.verbs.desk import Desk
from tests.sim.net import Net, SimTransport
from tests.sim.posts import MANNERS, Boxes, SimPost
from tests.sim.virtual import VirtualClock, VirtualLoop

# A commit takes this long, in virtual seconds.
FSYNC_S = (0.0005, 0.004)
# And reading a page so long.
READ_S = 0.002
# A repair takes so long.
MEND_S = 0.5
# Where a doomed node dies.
BEFORE, AFTER = "crash before a commit", "crash after a commit"

Backup = tuple[MemoryStore, "Counter[str]"]
Kept = Callable[[Sequence[Record]], None]
Log = Callable[[str, Event], None]


class SimKeeper:
    """The store as the hands use it: what is submitted is durable a moment later, or lost in a crash."""

    def __init__(self, loop: VirtualLoop, disk: MemoryStore, random: Random, kept: Kept, doomed: Callable[[str], bool]):
        self._loop, self.disk, self._random, self._kept, self._doomed = loop, disk, random, kept, doomed
        self._queue: list[tuple[Sequence[Record], asyncio.Future[None]]] = []
        self._busy = False

    def submit(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Keep these with all that waits when the disk is free: group commit."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.append((records, done))
        if not self._busy:
            self._begin()
        return done

    def _begin(self) -> None:
        self._busy = True
        batch, self._queue = self._queue, []
        self._loop.call_later(self._random.uniform(*FSYNC_S), self._end, batch)

    def _end(self, batch: list[tuple[Sequence[Record], "asyncio.Future[None]"]]) -> None:
        if self._random is _CRASHED or self._doomed(BEFORE):
            return
        for records, _ in batch:
            self.disk.submit(records)
            self._kept(records)
        self.disk.commit()
        if self._doomed(AFTER):
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        self._busy = False
        if self._queue:
            self._begin()

    def crash(self) -> None:
        """Whatever was not committed never was."""
        self._random, self._queue = _CRASHED, []
        self.disk.lose()


_CRASHED: Any = object()


class SimReader:
    """The memory store's pages, as the product's reader: what was committed when it was asked, a moment later."""

    def __init__(self, keeper: SimKeeper):
        self._keeper = keeper

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def ask(*args: Any, **kwargs: Any) -> Any:
            found = getattr(self._keeper.disk, name)(*args, **kwargs)
            await asyncio.sleep(READ_S)
            return found

        return ask


class SimNode:
    """A node that can be started, stopped dead, and started again. `port` stands for all its addresses. `taken`: how
    often each message took effect in what the disk holds. `undertaken`: its repairs of itself, which `cure` gives an
    effect. `broke`: what ended its loop, which nothing may. `log` hears every event, `died` every doom fulfilled."""

    def __init__(
        self,
        loop: VirtualLoop,
        net: Net,
        random: Random,
        number: int,
        config: Config,
        *,
        channels: tuple[Channel, ...],
        boxes: Boxes,
        log: Log,
        died: "Callable[[SimNode, str], None]",
    ):
        self._loop, self._net, self._random = loop, net, Random(random.random())
        self._channels, self._boxes = channels, boxes
        self._log, self._died = log, died
        self.port = 9000 + number
        self.name = f"n{number}"
        self.identity = Identity(self._random.randbytes(32))
        self.clock = VirtualClock(loop, number)
        self.disk = MemoryStore(link)
        self._config = config
        self._tasks: set[asyncio.Task[Any]] = set()
        self.up = False
        self.doom = ""
        self.broke: BaseException | None = None
        self.taken: Counter[str] = Counter()
        self.undertaken: Counter[Action] = Counter()
        self.cure: Callable[[Action], None] = lambda action: None

    @property
    def id(self) -> str:
        """The node's id."""
        return self.identity.id

    @property
    def fleet(self) -> Fleet:
        """What a face would see now."""
        return self.core.hands.visible

    def start(self, roster: Roster) -> None:
        """Be a node of `roster`, or of the one the store remembers."""
        now = self.clock.now()
        restored = self.disk.open(now.wall_ms)
        roster = restored.roster or roster
        me = Me(self.id, self.name, restored.birth.epoch, "sim", started_ms=now.wall_ms, started_mono=now.mono)
        self._keeper = SimKeeper(self._loop, self.disk, Random(self._random.random()), self._kept, self._doomed)
        self._sealer = Sealer(self.identity, roster.fleet_id, self._random.randbytes)
        self._sealer.trust(roster)
        deeds: dict[type, Callable[[Any], None]] = {
            ApplyRoster: lambda effect: self._sealer.trust(effect.roster),
            Dismiss: lambda effect: None,
            Look: lambda effect: None,
            Undertake: self._undertake,
            StartPeer: lambda effect: None,
            SendMagic: lambda effect: None,
            Notify: lambda effect: None,
            SendDatagram: lambda effect: self._send(effect.host, effect.port, effect.packet),
        }
        self.core = Core(
            first(restored, roster, me, self._config, now),
            store=self._keeper,
            reader=SimReader(self._keeper),
            sealer=self._sealer,
            clock=self.clock,
            deeds=deeds,
        )
        self._listen_in()
        self.desk = Desk(self.core.loop, self.core.hands, SimReader(self._keeper), self.core.bus, self.clock)
        self.core.door.remember(self.disk.recent_tags(1000))
        self._listen()
        self.up = True

    def _listen(self) -> None:
        hands = self.core.hands
        transports = {channel: self._transport(channel) for channel in self._channels}
        hands.transports = {**transports, Channel.RELAY: Relay(hands.relays, hands.carry)}
        for transport in transports.values():
            self._spawn(transport.listen(self.core.door.arrived))
        self._net.listen_datagrams(self.port, self._came)
        self._spawn(self.core.loop.run())
        post = self.core.loop.post
        post(BrokerChanged(BrokerState.UP))
        post(Listening((Address("127.0.0.1", self.port, self.port, 0, self.port),)))
        post(Started())

    def _transport(self, channel: Channel) -> Transport:
        if channel in MANNERS:
            return SimPost(self._net, self.id, channel, self._boxes, Random(self._random.random()))
        return SimTransport(self._net, self.id, channel)

    def _listen_in(self) -> None:
        """Hear what the faces hear, as they hear it."""
        publish = self.core.bus.publish

        def told(event: Event) -> None:
            self._log(self.name, event)
            publish(event)

        self.core.bus.publish = told  # type: ignore[method-assign]

    def _kept(self, records: Sequence[Record]) -> None:
        self.taken.update(record.envelope.msg_id for record in records if isinstance(record, AddInbox))

    def _undertake(self, effect: Undertake) -> None:
        """A repair of this node: it takes a moment, and `cure` says what it does to the network."""
        self._loop.call_later(MEND_S, self._mended, effect.action)

    def _mended(self, action: Action) -> None:
        if self.up:
            self.undertaken[action] += 1
            self.cure(action)
            self.core.loop.post(MendEnded(action, Ended.DONE))

    def _doomed(self, point: str) -> bool:
        if self.doom != point:
            return False
        self.crash()
        self._died(self, point)
        return True

    def backup(self) -> Backup:
        """What the disk holds now, to be put back later."""
        return self.disk.copy(), Counter(self.taken)

    def put_back(self, backup: Backup) -> None:
        """An old copy of the store, while the node is down."""
        store, taken = backup
        self.disk, self.taken = store.copy(), Counter(taken)

    def crash(self) -> None:
        """kill -9: only what was committed is left."""
        self.up, self.doom = False, ""
        self._net.vanish(self.id, self.port)
        self._keeper.crash()
        self.core.hands.stop()
        for transport in self.core.hands.transports.values():
            if isinstance(transport, SimPost):
                transport.stop()
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def _send(self, host: str, port: int, packet: bytes) -> None:
        self._net.datagram((self.id, self.port), (self._net.owner(port), port), packet)

    def _came(self, packet: bytes, host: str, port: int) -> None:
        self.core.loop.post(DatagramCame(packet, host, port))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.broke = task.exception()

    def bodies(self) -> list[str]:
        """What is in the inbox, durably."""
        return [letter.body for letter in self.disk.letters(1_000_000)]
