"""The store's twin in memory, for the simulator: the same records, the same rules, no thread and no disk.

What is submitted is not kept until `commit`; `lose` forgets it, as a crash does. So a simulator can stop a node between
any two steps and start it again from what was kept. `copy` is a backup, to be started from later as a store that went
back. A property test drives this and the real one with the same records and compares all that can be asked.
"""

from collections.abc import Mapping, Sequence

import msgspec
from immutables import Map

from engine.model.envelope import FAILED, GROUP, KINDS, Envelope, Kind, Rung
from engine.model.hop import OPEN, TEXT_ONLY, Hop, session_of
from engine.model.ledger import LedgerRow
from engine.model.mail import Freight, Lane, Stream, Waiting, freight_of
from engine.model.records import AddInbox, Record
from engine.model.story import Letter, Line, Page, Query, Story, Unread, as_ended, fitting
from engine.store.batch import Link
from engine.store.restored import Birth, Counts, Generation, Restored, born
from engine.store.rows import BOOTS, EPOCH, OWN_KEYS, lane_of, number_data, number_of, portion, skip_of
from engine.store.shelf import Came, Sent, Shelf


class MemoryStore:
    """`link` chains ledger entries, as in the real one."""

    def __init__(self, link: Link):
        self._submitted: list[Sequence[Record]] = []
        self._kept = Shelf(link)

    # ------------------------------------------------------------------------------------------------------ writing

    def submit(self, records: Sequence[Record]) -> None:
        """Take these; they are kept with the next `commit`."""
        self._submitted.append(records)

    def commit(self, submissions: int | None = None) -> None:
        """Keep what was submitted: all of it, or the first so many submissions, each whole."""
        kept = self._submitted[:submissions]
        self._submitted = self._submitted[len(kept) :]
        for records in kept:
            for record in records:
                self._kept.keep(record)

    def lose(self) -> None:
        """A crash before the commit: what was only submitted was never there."""
        self._submitted = []

    def copy(self) -> "MemoryStore":
        """What is kept now, as a store of its own."""
        twin = MemoryStore(self._kept.link)
        twin._kept = self._kept.copy()
        return twin

    def prune(self, before_ms: int) -> int:
        """Forget messages settled before `before_ms`; how many it were."""
        return self._kept.forget(before_ms)

    # ------------------------------------------------------------------------------------------------------ a start

    def open(self, wall_ms: int, seen: Generation | None = None) -> Restored:
        """A start: mints its epoch. `seen`: the last start this home has had, where that is not this store's own."""
        meta = self._kept.meta
        last = Generation(number_of(meta.get(BOOTS)), number_of(meta.get(EPOCH)))
        birth = born(last, seen or last, wall_ms)
        meta |= {BOOTS: number_data(birth.boots), EPOCH: number_data(birth.epoch)}
        return self.restored(birth)

    def restored(self, birth: Birth) -> Restored:
        """What a start finds."""
        waiting = [one for one in self._kept.outbox.values() if one.rung is Rung.ACCEPTED]
        envelopes = [one.envelope for one in waiting]
        return Restored(
            birth=birth,
            roster=self._kept.roster,
            peers=Map(self._kept.peers),
            lanes=_lanes(waiting),
            streams=_by_sender(self._kept.streams),
            floors=Map(self._kept.floors),
            forwards=_forwards(envelopes),
            meta=Map((key, value) for key, value in self._kept.meta.items() if key not in OWN_KEYS),
            waiting=sum(KINDS[one.kind].public for one in envelopes),
            dead=sum(one.died for one in self._kept.outbox.values()) + self._kept.dead_pruned,
            head=self._kept.head,
        )

    # ------------------------------------------------------------------------------------------------------ reading

    def lines(self, query: Query, names: Mapping[str, str]) -> Page:
        """A page of the log, newest first."""
        lines = [(one.row, _sent_line(one, names)) for one in self._kept.outbox.values()]
        lines += [(one.row, _came_line(one, names)) for one in self._kept.inbox.values()]
        peers = {one.row: one.envelope.dst for one in self._kept.outbox.values()}
        peers |= {one.row: one.envelope.src for one in self._kept.inbox.values()}
        fits = sorted((row, line) for row, line in lines if _fits(query, line, peers[row]))[::-1]
        older = [(row, line) for row, line in fits if not query.before or row < query.before]
        shown = older[: max(query.limit, 1)]
        shown = shown[: fitting(len(msgspec.json.encode(line)) for _, line in shown)]
        return Page(
            lines=tuple(line for _, line in shown),
            rows=tuple(row for row, _ in shown),
            total=len(fits),
            next=shown[-1][0] if len(older) > len(shown) else 0,
        )

    def letters(self, limit: int, after: str = "", session: str = "", before: str = "") -> tuple[Letter, ...]:
        """Messages of people for us, oldest first: the newest `limit`, those that came next after `after`, or those
        last before `before`; fewer where their bodies fill a page."""
        since, until = self.came(after), self.came(before) if before else 1 << 62
        found = [
            one.record
            for one in self._kept.inbox.values()
            if since < one.row < until
            and KINDS[one.envelope.kind].public
            and (not session or one.envelope.thread in (session, TEXT_ONLY + session))
        ]
        picked = found[: max(limit, 1)] if after else found[: -max(limit, 1) - 1 : -1]
        shown = picked[: fitting(len(record.envelope.body) for record in picked)]
        return tuple(_letter(record) for record in (shown if after else reversed(shown)))

    def came(self, msg_id: str) -> int:
        """The row of a letter; 0 when there is none."""
        return max((one.row for one in self._kept.inbox.values() if one.envelope.msg_id == msg_id), default=0)

    def cursor(self, session: str) -> int:
        """How far a session has read."""
        return self._kept.cursors.get(session, 0)

    def unread(self, session: str, after: int, limit: int) -> tuple[tuple[Unread, ...], int]:
        """What came for a session after a row, oldest first; and how many are left beyond these."""
        found = [
            (one, Unread(one.row, _letter(one.record), one.envelope.thread, went.hop.state if went else ""))
            for key, one in self._kept.inbox.items()
            for went in [self._kept.hops.get(key)]
            if one.row > after
            and KINDS[one.envelope.kind].public
            and one.envelope.thread in (session, TEXT_ONLY + session)
        ]
        fits = fitting(len(one.envelope.body) for one, _ in found[:limit])
        return tuple(unread for _, unread in found[:fits]), len(found[fits:])

    def hops(self, session: str, limit: int) -> tuple[tuple[Hop, ...], int]:
        """The oldest open hops of a session, and when something was typed into it last."""
        found = [one for one in self._kept.hops.values() if one.session == session]
        typed_ms = max((one.typed_ms for one in found), default=0)
        return tuple(one.hop for one in found if one.hop.state in OPEN)[:limit], typed_ms

    def hop(self, msg_id: str, src: str) -> Hop | None:
        """The last hop of one message."""
        one = self._kept.hops.get((msg_id, src))
        return one.hop if one else None

    def sessions(self, limit: int) -> tuple[str, ...]:
        """Sessions that messages have named."""
        return tuple(sorted({one.session for one in self._kept.hops.values()}))[:limit]

    def story(self, msg_id: str, names: Mapping[str, str]) -> Story | None:
        """All that is known of a message of ours."""
        one = self._kept.outbox.get(msg_id)
        if one is None:
            return None
        of = one.envelope
        ends = of.created_ms + 1000 * of.ttl_s if of.ttl_s else 0
        to = names.get(of.dst, of.dst)
        facts = (msg_id, to, of.kind, one.rung, one.channel, as_ended(one.tries), one.reason, of.created_ms, ends)
        group = of.thread if of.thread.startswith(GROUP) else ""
        return Story(*facts, session=session_of(of.thread), group=group)

    def group(self, thread: str) -> tuple[str, ...]:
        """The ids of our messages of one thread, in the order they were accepted."""
        return tuple(one.envelope.msg_id for one in self._kept.outbox.values() if one.envelope.thread == thread)

    def waiting(self, dst: str, limit: int, bulk: int) -> tuple[tuple[Waiting, ...], int]:
        """Messages to `dst` without a number, urgent first, then oldest, at most `bulk` not urgent; and how many are
        left."""
        found = [
            one.waiting
            for one in self._kept.outbox.values()
            if one.rung is Rung.ACCEPTED and one.envelope.dst == dst and not one.envelope.seq
        ]
        found.sort(key=lambda one: -one.envelope.urgency)
        page = portion(found[:limit], bulk)
        return page, len(found) - len(page)

    def message(self, msg_id: str) -> Waiting | None:
        """A message of ours as it was accepted."""
        one = self._kept.outbox.get(msg_id)
        return one.waiting if one else None

    def body(self, msg_id: str) -> bytes | None:
        """The body of a message, ours or for us."""
        found = [(one.row, one.envelope) for one in self._kept.outbox.values()]
        found += [(one.row, one.envelope) for one in self._kept.inbox.values()]
        bodies = [envelope.body for _, envelope in sorted(found, key=lambda pair: pair[0]) if envelope.msg_id == msg_id]
        return bodies[0] if bodies else None

    def closed(self, dst: str, epoch: int, seqs: Sequence[int]) -> tuple[Waiting, ...]:
        """Messages that were given these numbers; one that is over as the SKIP that closes its number."""
        ids = (self._kept.numbers.get((dst, epoch, seq)) for seq in sorted({*seqs}))
        found = (self._kept.outbox[msg_id] for msg_id in ids if msg_id)
        return tuple(skip_of(one.waiting) if one.rung in FAILED else one.waiting for one in found)

    def recent_tags(self, count: int) -> tuple[bytes, ...]:
        """The tags of the last messages that came, oldest first."""
        tags = [one.record.tag for one in self._kept.inbox.values()]
        return tuple(tag for tag in tags[max(0, len(tags) - count) :] if tag)

    def counts(self) -> Counts:
        """How much is kept."""
        restored = self.restored(Birth())
        return Counts(
            len(self._kept.outbox), len(self._kept.inbox), restored.waiting, restored.dead, len(self._kept.ledger)
        )

    def ledger(self, after: int, limit: int) -> tuple[LedgerRow, ...]:
        """Ledger rows with a number above `after`."""
        return tuple(self._kept.ledger[after : after + limit])


def _forwards(envelopes: Sequence[Envelope]) -> Map[tuple[str, str], Freight]:
    found = [(one.dst, *freight_of(one.thread), len(one.body)) for one in envelopes if one.kind is Kind.FORWARD]
    return Map(((dst, msg_id), Freight(by, size)) for dst, msg_id, by, size in found)


def _lanes(waiting: Sequence[Sent]) -> Map[str, Lane]:
    opened: dict[str, dict[tuple[int, int], Waiting]] = {}
    backlog: dict[str, int] = {}
    for one in waiting:
        of = one.envelope
        opened.setdefault(of.dst, {})
        if of.seq:
            opened[of.dst][of.src_epoch, of.seq] = one.waiting
        else:
            backlog[of.dst] = backlog.get(of.dst, 0) + 1
    return Map((peer, lane_of(open_, backlog.get(peer, 0))) for peer, open_ in opened.items())


def _by_sender(streams: Mapping[tuple[str, int], Stream]) -> Map[str, Map[int, Stream]]:
    found: dict[str, dict[int, Stream]] = {}
    for (src, epoch), stream in streams.items():
        found.setdefault(src, {})[epoch] = stream
    return Map((src, Map(epochs)) for src, epochs in found.items())


def _sent_line(one: Sent, names: Mapping[str, str]) -> Line:
    of = one.envelope
    path = tuple(msgspec.structs.replace(line, note="") for line in as_ended(one.tries))
    name = names.get(of.dst, of.dst)
    return Line(of.msg_id, "out", name, of.kind, one.rung, one.channel, of.created_ms, one.reason, path)


def _came_line(one: Came, names: Mapping[str, str]) -> Line:
    of, came = one.envelope, one.record
    return Line(of.msg_id, "in", names.get(of.src, of.src), of.kind, Rung.ON_HOST, came.channel, came.at_ms)


def _letter(record: AddInbox) -> Letter:
    of = record.envelope
    return Letter(of.msg_id, of.src, of.kind, of.body.decode(errors="replace"), record.at_ms)


def _fits(query: Query, line: Line, peer: str) -> bool:
    exact = ((query.peer, peer), (query.kind, line.kind), (query.dir, line.dir), (query.rung, line.rung))
    if any(wanted and wanted != found for wanted, found in exact):
        return False
    if not query.kind and not KINDS[line.kind].public:
        return False
    words = (line.peer, line.kind, line.rung, line.channel or "", line.id)
    return any(query.text.lower() in word.lower() for word in words)
