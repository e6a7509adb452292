"""The store's thread: it gathers what waits, commits it, and tells those who wait (edge).

    gather -> commit -> tell -> one step of pruning -> is there room again? -> gather ...
                 full: try again, in halves            busy: try again            anything else: the end

It alone writes to the database. It never tells anyone of what the disk does not have.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from engine.errors import FleetError
from engine.store import trouble
from engine.store.space import Room
from engine.store.submission import Pruning, Submission, tell
from engine.store.trouble import Trouble, trouble_of
from engine.store.writer import Writer

# One transaction at most: more would let the first caller in it wait long, and the log grow long.
MOST_RECORDS = 4_096
MOST_BYTES = 16 << 20
# Messages of each direction forgotten in one step: pruning is never long between a sender and the disk.
PRUNED_AT_ONCE = 500
RETRY_S, RETRY_MOST_S = 0.01, 1.0
# How often a full disk is looked at while nobody writes, and when it is quiet.
LOOK_S = 0.5
# Transactions after which the ballast is taken even if it never gets quiet.
LATE = 1_000


class Worker:
    """The store's thread; `put` and `stop` are for all others. `commits`: transactions so far."""

    def __init__(self, writer: Writer, room: Room, on_fatal: Callable[[FleetError], None]):
        self._thread = threading.Thread(target=self._run, name="fleet-store", daemon=True)
        self.queue: queue.SimpleQueue[Submission | Pruning | None] = queue.SimpleQueue()
        self.room = room
        self.commits = 0
        self._writer, self._on_fatal = writer, on_fatal
        self._gate = threading.Lock()
        self._refusal: FleetError | None = None
        self._stop = threading.Event()
        self._last_round = False
        self._given_up: FleetError | None = None
        self._flying: Sequence[Submission] = ()
        self._prunings: list[Pruning] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, wish: Submission | Pruning) -> None:
        """Let this be done in its turn. Raises the `FleetError` for which nothing is done any more."""
        with self._gate:
            if self._refusal:
                raise self._refusal
            self.queue.put(wish)

    def stop(self, timeout_s: float) -> None:
        """Do what is waiting, then end; waits for that, at most so long."""
        with self._gate:
            self._refusal = self._refusal or trouble.closed()
            self.queue.put(None)
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._last_round:
                self._flying = self._gathered()
                self._keep(self._flying)
                self._prune()
                self._see_to_room()
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing may be acknowledged after it
            self._die(error)
        self._end()

    def _gathered(self) -> list[Submission]:
        """What waits, up to one transaction's worth. Waits for the first, unless there is something else to do."""
        batch: list[Submission] = []
        count = size = 0
        with suppress(queue.Empty):
            wish = self._first()
            while wish is not None:
                if isinstance(wish, Pruning):
                    self._prunings.append(wish)
                else:
                    batch.append(wish)
                    count += len(wish.records)
                    size += wish.size()
                if count >= MOST_RECORDS or size >= MOST_BYTES:
                    return batch
                wish = self.queue.get_nowait()
            self._last_round = True
        return batch

    def _first(self) -> Submission | Pruning | None:
        if self._prunings:
            return self.queue.get_nowait()
        return self.queue.get(timeout=LOOK_S if self.room.full or self.room.untaken else None)

    def _keep(self, batch: Sequence[Submission]) -> None:
        """Commit, however often it takes, and tell everyone. Where there is no room for all of it at once, in halves.
        Once something was given up nothing after it is kept: a stream may count on a message that came before."""
        wait_s = RETRY_S
        while batch and not self._given_up:
            trouble_met = self._tried(batch)
            if trouble_met is None:
                self._told(batch)
                return
            if trouble_met is Trouble.FULL and len(batch) > 1:
                self._keep(batch[: len(batch) // 2])
                batch = batch[len(batch) // 2 :]
                continue
            if self._stop.wait(wait_s) and wait_s >= RETRY_MOST_S:
                self._given_up = trouble.full() if trouble_met is Trouble.FULL else trouble.closed()
            wait_s = min(2 * wait_s, RETRY_MOST_S)
        tell([one.promise for one in batch], error=self._given_up)

    def _tried(self, batch: Sequence[Submission]) -> Trouble | None:
        """None once it is durable; what to wait for where waiting may help. Raises where it may not."""
        try:
            self._writer.write([one.records for one in batch])
        except (sqlite3.Error, OSError) as error:
            met = trouble_of(error)
            if met is Trouble.FULL:
                self._make_room()
            elif met is not Trouble.BUSY:
                raise
            return met
        self.commits += 1
        return None

    def _told(self, batch: Sequence[Submission]) -> None:
        for one in batch:
            if one.then:
                one.then()
        tell([one.promise for one in batch])

    def _see_to_room(self) -> None:
        """The ballast is taken in the first quiet moment, for a start should not wait for megabytes to be written."""
        if self.room.untaken and not self._last_round and (not self._flying or self.commits > LATE):
            self.room.take()
        self.room.look()

    def _make_room(self) -> None:
        """The log carried over into the file is room as well, if the file has it."""
        self.room.ran_out()
        with suppress(sqlite3.Error):
            self._writer.checkpoint()

    def _prune(self) -> None:
        if not self._prunings:
            return
        pruning = self._prunings[0]
        try:
            gone = self._writer.prune(pruning.before_ms, PRUNED_AT_ONCE)
        except sqlite3.Error as error:
            if trouble_of(error) not in (Trouble.FULL, Trouble.BUSY):
                raise
            gone = 0
        pruning.gone += gone
        if not gone:
            self._prunings.pop(0)
            tell([pruning.promise], pruning.gone)

    def _die(self, error: Exception) -> None:
        """Nothing may be acknowledged after this: first the alarm, then those who wait."""
        refusal = trouble.fatal(error)
        self._on_fatal(refusal)
        with self._gate:
            self._refusal = refusal

    def _end(self) -> None:
        """Whoever still waits is refused; the file is closed in order."""
        with self._gate:
            refusal = self._refusal = self._refusal or trouble.closed()
        left: list[Submission | Pruning] = [*self._flying, *self._prunings]
        with suppress(queue.Empty):
            while True:
                wish = self.queue.get_nowait()
                left += [wish] if wish else []
        tell([wish.promise for wish in left], error=refusal)
        with suppress(sqlite3.Error):
            self._writer.close()
