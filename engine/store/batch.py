"""A batch: the records of one transaction, sorted by table, as few statements as keep their meaning.

The order of records is a promise, but most of them do not meet: an inbox row and a stream are in different tables, the
rungs of two messages in different rows. So records are gathered by kind, of several for one key the last is kept, and
what was gathered is written out early only where the order shows: a message that is added after something was said of
its id.

Numbers are given here: rows of both mailboxes come from one sequence (`Tail.row`), ledger entries from another.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from engine.model.ledger import LedgerHead
from engine.model.records import (
    AddEntry,
    AddHop,
    AddInbox,
    AddOutbox,
    AddTry,
    ClimbRung,
    DropStreams,
    MoveHop,
    MoveRung,
    OpenNumber,
    PutMeta,
    PutPeer,
    PutRoster,
    Record,
    SetCursor,
    SetStream,
    Widen,
)
from engine.store import statements as sql
from engine.store.rows import CLIMBED, Row, hop_row, inbox_row, outbox_row, peer_data, plain, roster_data
from engine.store.statements import Write

Link = Callable[[bytes, int, AddEntry], tuple[bytes, bytes]]


class Tail(msgspec.Struct, frozen=True):
    """Where the sequences stand: the last row given out, and the ledger's head."""

    row: int = 0
    head: LedgerHead = LedgerHead()


class _Gathered:
    """What is not yet written out. Each field is one statement's rows; a dict keeps the last of each key."""

    def __init__(self) -> None:
        self.outbox: list[Row] = []
        self.outbox_bodies: list[Row] = []
        self.numbers: dict[str, Row] = {}
        self.widened: dict[str, Row] = {}
        self.rungs: dict[str, Row] = {}
        self.climbs: dict[str, Row] = {}
        self.tries: list[Row] = []
        self.climbed: list[Row] = []
        self.inbox: list[Row] = []
        self.inbox_bodies: list[Row] = []
        self.hops: list[Row] = []
        self.hop_moves: dict[tuple[str, str], Row] = {}
        self.cursors: list[Row] = []
        self.floors: dict[str, Row] = {}
        self.streams: dict[tuple[str, int], Row] = {}
        self.peers: dict[str, Row] = {}
        self.meta: dict[str, Row] = {}
        self.roster: list[Row] = []
        self.entries: list[Row] = []
        # Ids that something was said of; by the time their message is added it must already have been said.
        self.spoken: set[str] = set()

    def writes(self) -> list[Write]:
        """All of it, what is referred to before what refers."""
        floors = list(self.floors.values())
        tried: list[Row] = [(one,) for one in dict.fromkeys(row[0] for row in (*self.tries, *self.climbed))]
        pairs: list[tuple[sql.Statement, list[Row]]] = [
            (sql.ADD_OUTBOX, self.outbox),
            (sql.ADD_OUTBOX_BODY, self.outbox_bodies),
            (sql.OPEN_NUMBER, list(self.numbers.values())),
            (sql.WIDEN, list(self.widened.values())),
            (sql.MOVE_RUNG, list(self.rungs.values())),
            (sql.CLIMB_RUNG, list(self.climbs.values())),
            (sql.ADD_TRY, self.tries),
            (sql.ADD_CLIMB, self.climbed),
            (sql.TRIM_TRIES, tried),
            (sql.ADD_INBOX, self.inbox),
            (sql.ADD_INBOX_BODY, self.inbox_bodies),
            (sql.ADD_HOP, self.hops),
            (sql.MOVE_HOP, list(self.hop_moves.values())),
            (sql.SET_CURSOR, self.cursors),
            (sql.DROP_STREAMS, floors),
            (sql.SET_FLOOR, floors),
            (sql.SET_STREAM, list(self.streams.values())),
            (sql.PUT_PEER, list(self.peers.values())),
            (sql.PUT_META, list(self.meta.values())),
            (sql.PUT_ROSTER, self.roster[-1:]),
            (sql.ADD_ENTRY, self.entries),
        ]
        return [Write(statement, rows) for statement, rows in pairs if rows]


class Batch:
    """Sorts records into `writes`; `tail` is where the sequences stand afterwards."""

    def __init__(self, tail: Tail, link: Link):
        self._row, self._head, self._link = tail.row, tail.head, link
        self._now = _Gathered()
        self._done: list[Write] = []

    def add(self, records: Iterable[Record]) -> None:
        """Take these records after all before them."""
        for record in records:
            _SORT[type(record)](self, record)

    def finish(self) -> tuple[list[Write], Tail]:
        """The statements of the transaction, in order, and the new tail."""
        return [*self._done, *self._now.writes()], Tail(self._row, self._head)

    def _add_outbox(self, record: AddOutbox) -> None:
        if record.envelope.msg_id in self._now.spoken:
            self._write_out()
        self._row += 1
        self._now.outbox.append(outbox_row(self._row, record))
        self._now.outbox_bodies.append((self._row, record.envelope.body))

    def _add_inbox(self, record: AddInbox) -> None:
        self._row += 1
        self._now.inbox.append(inbox_row(self._row, record))
        self._now.inbox_bodies.append((self._row, record.envelope.body))

    def _open_number(self, record: OpenNumber) -> None:
        self._now.spoken.add(record.msg_id)
        self._now.numbers[record.msg_id] = (record.msg_id, record.epoch, record.seq)

    def _widen(self, record: Widen) -> None:
        self._now.spoken.add(record.msg_id)
        self._now.widened[record.msg_id] = (record.msg_id, 1)

    def _write_out(self) -> None:
        """What was gathered is written before what comes now."""
        self._done += self._now.writes()
        self._now = _Gathered()

    def _move_rung(self, record: MoveRung) -> None:
        if record.msg_id in self._now.climbs:
            self._write_out()
        self._now.spoken.add(record.msg_id)
        known = self._now.rungs.get(record.msg_id)
        if known and known[1] in CLIMBED:
            return
        row = (record.msg_id, str(record.rung), record.at_ms, str(record.channel or ""), plain(record.reason))
        self._now.rungs[record.msg_id] = row

    def _add_try(self, record: AddTry) -> None:
        if record.msg_id in self._now.climbs:
            self._write_out()
        self._now.spoken.add(record.msg_id)
        self._now.tries.append(
            (record.msg_id, str(record.channel), record.outcome, float(record.ms), record.at_ms, plain(record.note))
        )

    def _climb_rung(self, record: ClimbRung) -> None:
        """Each looks at the rung before it, so none may stand in for another; and tries stay in their order."""
        now, msg_id = self._now, record.msg_id
        if msg_id in now.climbs or msg_id in now.rungs or msg_id in now.spoken:
            self._write_out()
            now = self._now
        now.spoken.add(msg_id)
        reason = plain(record.reason)
        now.climbs[msg_id] = (msg_id, record.dst, str(record.rung), record.at_ms, reason)
        if record.channel:
            tried = (str(record.channel), str(record.rung), float(record.after_ms), record.at_ms, reason)
            now.climbed.append((msg_id, record.dst, *tried))

    def _add_hop(self, record: AddHop) -> None:
        key = (record.letter.msg_id, record.letter.src)
        if key in self._now.hop_moves:
            self._write_out()
        self._now.hops.append(hop_row(record))

    def _move_hop(self, record: MoveHop) -> None:
        key = (record.msg_id, record.src)
        self._now.hop_moves[key] = (*key, str(record.state), plain(record.reason), record.at_ms, record.typed_ms)

    def _set_cursor(self, record: SetCursor) -> None:
        self._now.cursors.append((record.session, record.row))
        self._row = max(self._row, record.row)

    def _set_stream(self, record: SetStream) -> None:
        row = (record.src, record.epoch, record.watermark, record.above)
        self._now.streams[record.src, record.epoch] = row

    def _drop_streams(self, record: DropStreams) -> None:
        """Floors are written before streams: one set earlier in this batch must not come back after the drop."""
        src, floor = record.src, record.floor_epoch
        self._now.streams = {key: row for key, row in self._now.streams.items() if key[0] != src or key[1] >= floor}
        highest = max(floor, self._now.floors.get(src, (src, floor))[1])
        self._now.floors[src] = (src, highest)

    def _put_peer(self, record: PutPeer) -> None:
        self._now.peers[record.peer.id] = (record.peer.id, peer_data(record.peer))

    def _put_meta(self, record: PutMeta) -> None:
        self._now.meta[record.key] = (record.key, record.value)

    def _put_roster(self, record: PutRoster) -> None:
        self._now.roster.append((1, record.roster.version, roster_data(record.roster)))

    def _add_entry(self, record: AddEntry) -> None:
        seq = self._head.seq + 1
        entry, digest = self._link(self._head.hash, seq, record)
        self._now.entries.append((seq, entry, digest))
        self._head = LedgerHead(seq, digest)


_SORT: dict[type, Callable[[Batch, Any], None]] = {
    AddOutbox: Batch._add_outbox,
    OpenNumber: Batch._open_number,
    Widen: Batch._widen,
    MoveRung: Batch._move_rung,
    AddTry: Batch._add_try,
    ClimbRung: Batch._climb_rung,
    AddInbox: Batch._add_inbox,
    AddHop: Batch._add_hop,
    MoveHop: Batch._move_hop,
    SetCursor: Batch._set_cursor,
    SetStream: Batch._set_stream,
    DropStreams: Batch._drop_streams,
    PutPeer: Batch._put_peer,
    PutRoster: Batch._put_roster,
    PutMeta: Batch._put_meta,
    AddEntry: Batch._add_entry,
}
