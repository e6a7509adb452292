"""What the store in memory keeps: plain dicts, and what each record does to them, one after the other.

The rules are those of `schema.sql` and `statements`, written a second time on purpose: a known id changes nothing, an
unknown one neither, a number is given once, floors only rise.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.model.channel import Channel
from engine.model.envelope import FAILED, HEIGHT, KINDS, Envelope, Rung
from engine.model.hop import Hop
from engine.model.ledger import LedgerHead, LedgerRow
from engine.model.mail import Stream, Waiting
from engine.model.peer import Peer
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
from engine.model.roster import Roster
from engine.model.story import TryLine
from engine.store.batch import Link
from engine.store.rows import CLIMBED, TRIES_KEPT, plain, stream_of


class Sent(msgspec.Struct, frozen=True):
    """A message of ours. `row`: its place among both directions."""

    row: int
    waiting: Waiting
    rung: Rung = Rung.ACCEPTED
    rung_ms: int = 0
    channel: Channel | None = None
    reason: str = ""
    tries: tuple[TryLine, ...] = ()

    @property
    def envelope(self) -> Envelope:
        """What it wears."""
        return self.waiting.envelope

    @property
    def died(self) -> bool:
        """Whether it counts among the dead: a message of people that ended undelivered."""
        return self.rung in FAILED and KINDS[self.envelope.kind].public


class Came(msgspec.Struct, frozen=True):
    """A message for us."""

    row: int
    record: AddInbox

    @property
    def envelope(self) -> Envelope:
        """What it wore."""
        return self.record.envelope


class Went(msgspec.Struct, frozen=True):
    """A last hop, and when it was typed last (0: never)."""

    session: str
    hop: Hop
    typed_ms: int = 0


class Shelf:
    """All that is kept. `link` chains ledger entries."""

    def __init__(self, link: Link):
        self.link = link
        self.row = 0
        self.outbox: dict[str, Sent] = {}
        self.numbers: dict[tuple[str, int, int], str] = {}
        self.inbox: dict[tuple[str, str], Came] = {}
        self.hops: dict[tuple[str, str], Went] = {}
        self.cursors: dict[str, int] = {}
        self.streams: dict[tuple[str, int], Stream] = {}
        self.floors: dict[str, int] = {}
        self.peers: dict[str, Peer] = {}
        self.meta: dict[str, bytes] = {}
        self.roster: Roster | None = None
        self.ledger: list[LedgerRow] = []
        self.dead_pruned = 0

    def copy(self) -> "Shelf":
        """The same, on its own: what is kept is frozen, only the dicts are not."""
        twin = Shelf(self.link)
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, (dict, list)) else value)
        return twin

    @property
    def head(self) -> LedgerHead:
        """The last ledger entry."""
        return LedgerHead(self.ledger[-1].seq, self.ledger[-1].hash) if self.ledger else LedgerHead()

    def keep(self, record: Record) -> None:
        """Do what a record says. Raises `ValueError` where a number is given twice."""
        _KEEP[type(record)](self, record)

    def forget(self, before_ms: int) -> int:
        """Drop messages settled before `before_ms`; how many it were."""
        gone = [one for one in self.outbox.values() if one.rung is not Rung.ACCEPTED and one.rung_ms < before_ms]
        came = [key for key, one in self.inbox.items() if one.record.at_ms < before_ms]
        for sent in gone:
            of = sent.envelope
            del self.outbox[of.msg_id]
            self.numbers.pop((of.dst, of.src_epoch, of.seq), None)
            self.dead_pruned += sent.died
        for key in came:
            del self.inbox[key]
            self.hops.pop(key, None)
        return len(gone) + len(came)

    def _add_outbox(self, record: AddOutbox) -> None:
        self.row += 1
        envelope = msgspec.structs.replace(record.envelope, key_epoch=0)
        if envelope.msg_id in self.outbox:
            return
        self._number(envelope)
        waiting = Waiting(envelope, record.via, record.widened)
        self.outbox[envelope.msg_id] = Sent(self.row, waiting, rung_ms=envelope.created_ms)

    def _number(self, envelope: Envelope) -> None:
        if envelope.seq:
            taken = self.numbers.setdefault((envelope.dst, envelope.src_epoch, envelope.seq), envelope.msg_id)
            if taken != envelope.msg_id:
                raise ValueError(f"number {envelope.seq} was given twice")

    def _widen(self, record: Widen) -> None:
        one = self.outbox.get(record.msg_id)
        if one is not None:
            waiting = msgspec.structs.replace(one.waiting, via=None, widened=True)
            self.outbox[record.msg_id] = msgspec.structs.replace(one, waiting=waiting)

    def _open_number(self, record: OpenNumber) -> None:
        one = self.outbox.get(record.msg_id)
        if one is None:
            return
        old = one.waiting.envelope
        envelope = msgspec.structs.replace(old, src_epoch=record.epoch, seq=record.seq)
        self.numbers.pop((old.dst, old.src_epoch, old.seq), None)
        self._number(envelope)
        waiting = msgspec.structs.replace(one.waiting, envelope=envelope)
        self.outbox[record.msg_id] = msgspec.structs.replace(one, waiting=waiting)

    def _move_rung(self, record: MoveRung) -> None:
        one = self.outbox.get(record.msg_id)
        if one and one.rung not in CLIMBED:
            self.outbox[record.msg_id] = msgspec.structs.replace(
                one, rung=record.rung, rung_ms=record.at_ms, channel=record.channel, reason=plain(record.reason)
            )

    def _climb_rung(self, record: ClimbRung) -> None:
        one = self.outbox.get(record.msg_id)
        if one is None or one.envelope.dst != record.dst:
            return
        reason = plain(record.reason)
        if (HEIGHT.get(one.rung, 0), one.rung_ms) < (HEIGHT.get(record.rung, 0), record.at_ms) and (
            HEIGHT.get(one.rung, 0) <= HEIGHT.get(record.rung, 0)
        ):
            one = msgspec.structs.replace(one, rung=record.rung, rung_ms=record.at_ms, reason=reason)
            self.outbox[record.msg_id] = one
        if record.channel:
            line = TryLine(record.channel, str(record.rung), float(record.after_ms), reason, record.at_ms)
            if not any(old.told == line.told for old in one.tries):
                self._tried(one, line)

    def _add_try(self, record: AddTry) -> None:
        one = self.outbox.get(record.msg_id)
        if one:
            line = TryLine(record.channel, record.outcome, float(record.ms), plain(record.note), record.at_ms)
            self._tried(one, line)

    def _tried(self, one: Sent, line: TryLine) -> None:
        tries = (*one.tries, line)[-TRIES_KEPT:]
        self.outbox[one.envelope.msg_id] = msgspec.structs.replace(one, tries=tries)

    def _add_hop(self, record: AddHop) -> None:
        letter, at_ms = record.letter, record.at_ms
        hop = Hop(letter.msg_id, letter.src, record.state, plain(record.reason), at_ms, at_ms, letter.ends_ms)
        self.hops.setdefault((letter.msg_id, letter.src), Went(letter.session, hop))

    def _move_hop(self, record: MoveHop) -> None:
        one = self.hops.get((record.msg_id, record.src))
        if one:
            hop = msgspec.structs.replace(one.hop, state=record.state, reason=plain(record.reason), at_ms=record.at_ms)
            self.hops[record.msg_id, record.src] = Went(one.session, hop, record.typed_ms)

    def _set_cursor(self, record: SetCursor) -> None:
        self.cursors[record.session] = max(record.row, self.cursors.get(record.session, 0))
        self.row = max(self.row, record.row)

    def _add_inbox(self, record: AddInbox) -> None:
        self.row += 1
        self.inbox.setdefault((record.envelope.msg_id, record.envelope.src), Came(self.row, record))

    def _set_stream(self, record: SetStream) -> None:
        self.streams[record.src, record.epoch] = stream_of(record.watermark, record.above)

    def _drop_streams(self, record: DropStreams) -> None:
        src, floor = record.src, record.floor_epoch
        self.streams = {key: one for key, one in self.streams.items() if key[0] != src or key[1] >= floor}
        self.floors[src] = max(floor, self.floors.get(src, floor))

    def _put_peer(self, record: PutPeer) -> None:
        self.peers[record.peer.id] = msgspec.structs.replace(record.peer, heard_mono=None, suspect_at=None)

    def _put_roster(self, record: PutRoster) -> None:
        self.roster = record.roster

    def _put_meta(self, record: PutMeta) -> None:
        self.meta[record.key] = record.value

    def _add_entry(self, record: AddEntry) -> None:
        seq = self.head.seq + 1
        self.ledger.append(LedgerRow(seq, *self.link(self.head.hash, seq, record)))


_KEEP: dict[type, Callable[[Shelf, Any], None]] = {
    AddOutbox: Shelf._add_outbox,
    OpenNumber: Shelf._open_number,
    Widen: Shelf._widen,
    MoveRung: Shelf._move_rung,
    AddTry: Shelf._add_try,
    ClimbRung: Shelf._climb_rung,
    AddInbox: Shelf._add_inbox,
    AddHop: Shelf._add_hop,
    MoveHop: Shelf._move_hop,
    SetCursor: Shelf._set_cursor,
    SetStream: Shelf._set_stream,
    DropStreams: Shelf._drop_streams,
    PutPeer: Shelf._put_peer,
    PutRoster: Shelf._put_roster,
    PutMeta: Shelf._put_meta,
    AddEntry: Shelf._add_entry,
}
