"""The store: one thread that writes, and futures that say when the disk has it (edge).

    submit -> queue -> [everything that waits is one transaction] -> fsync -> the futures of that transaction

What is submitted while the disk is busy becomes the next transaction, so a hundred callers cost one fsync. Submissions
are kept in their order, each whole or not at all. On a full disk nothing is acknowledged and nothing is lost: the
ballast is given back and the same transaction is tried until it succeeds. After an error that leaves the disk in doubt
nothing is acknowledged ever again: the alarm `on_fatal`, and the process is to end.

Alarms are called on the store's thread and must only pass the word on.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from engine.config import StoreConfig
from engine.errors import FleetError
from engine.home import BALLAST, GENERATION, STORE
from engine.model.records import PutMeta, PutRoster, Record
from engine.store import generation, trouble
from engine.store.batch import Link
from engine.store.opening import open_store
from engine.store.restored import Generation, Restored
from engine.store.rows import EPOCH, number_of
from engine.store.space import Ballast, Room, fitting_mb
from engine.store.submission import Pruning, Submission
from engine.store.worker import Worker
from engine.store.writer import Writer


class Alarms(msgspec.Struct, frozen=True):
    """Who hears of trouble. `on_full`: megabytes that were free; `on_freed`: there is room again; `on_fatal`: the
    process must end."""

    on_full: Callable[[int], None]
    on_freed: Callable[[], None]
    on_fatal: Callable[[FleetError], None]


class Store:
    """The durable half of the node in `home`. `link` chains ledger entries (`engine.evidence.ledger.link`)."""

    def __init__(self, home: Path, link: Link, config: StoreConfig | None = None):
        config = config or StoreConfig()
        self.path = home / STORE
        self._beside = home / GENERATION
        self._home, self._config = home, config
        self._link = link
        self._worker: Worker | None = None

    def open(self, wall_ms: int) -> Restored:
        """Find or make the store, mint the epoch of this start, read it all. Raises `FleetError` (`store.*`)."""
        self._ballast = Ballast(self._home / BALLAST, fitting_mb(self._home, self._config.ballast_mb))
        connection, restored = open_store(self.path, self._beside, self._ballast, wall_ms)
        self._writer = Writer(connection, self._link, partial(generation.count, self._beside))
        self._boots = restored.birth.boots
        return restored

    def start(self, alarms: Alarms) -> None:
        """Begin to write; after `open`, once."""
        resume_mb = fitting_mb(self._home, self._config.resume_mb)
        room = Room(self._ballast, resume_mb, alarms.on_full, alarms.on_freed)
        self._worker = Worker(self._writer, room, alarms.on_fatal)
        self._worker.start()

    def submit(self, records: Sequence[Record]) -> asyncio.Future[None]:
        """Keep these, together, after all before them. The future, of the running loop, is done when the disk has them;
        it raises `FleetError` (`store.full`, `store.closed`; `store.io`, `store.record`: fatal) when it will not."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(Submission(records, future, self._after(records)))
        return future

    def commit(self, records: Sequence[Record], timeout_s: float | None = None) -> None:
        """The same, waiting, for a thread without a loop. Raises `TimeoutError` too; the records may be kept later."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._put(Submission(records, future, self._after(records)))
        future.result(timeout_s)

    def prune(self, before_ms: int) -> asyncio.Future[int]:
        """Forget messages settled before `before_ms`, in small steps between transactions; how many it were."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(Pruning(before_ms, future))
        return future

    @property
    def depth(self) -> int:
        """Submissions that wait for the disk."""
        return self._worker.queue.qsize() if self._worker else 0

    @property
    def commits(self) -> int:
        """Transactions so far."""
        return self._worker.commits if self._worker else 0

    @property
    def full(self) -> bool:
        """Whether the disk is."""
        return self._worker is not None and self._worker.room.full

    def close(self, timeout_s: float = 10.0) -> None:
        """Keep what was submitted, then stop; idempotent. On a full disk what cannot be kept is refused."""
        if self._worker:
            self._worker.stop(timeout_s)
        elif hasattr(self, "_writer"):
            self._writer.close()

    def _put(self, wish: Submission | Pruning) -> None:
        if self._worker is None:
            raise trouble.closed()
        self._worker.put(wish)

    def _after(self, records: Sequence[Record]) -> Callable[[], None] | None:
        """What else is to be done once these are durable: an epoch that was raised is written beside the store; and who
        belongs to the fleet should not be in the log alone, for without that a node is nobody."""
        raised = [number_of(one.value) for one in records if isinstance(one, PutMeta) and one.key == EPOCH]
        if raised:
            return partial(self._remember, Generation(self._boots, raised[-1]))
        return self._writer.carry_over if any(isinstance(one, PutRoster) for one in records) else None

    def _remember(self, latest: Generation) -> None:
        """The file beside the store only detects; that it could not be written must not stop the node."""
        with suppress(OSError):
            generation.write(self._beside, latest)
