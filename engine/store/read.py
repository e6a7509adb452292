"""Reading the store: pages for people, and waiting mail for the outbox (edge).

On a connection of its own that cannot write, with its own thread, so that a page never waits for a transaction nor a
transaction for a page. What is read is what was committed when the question was asked.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
import msgspec

from engine.model.channel import Channel
from engine.model.envelope import FAILED, GROUP, Kind, Rung
from engine.model.hop import TEXT_ONLY, session_of
from engine.model.ledger import LedgerRow
from engine.model.mail import Waiting
from engine.model.story import Letter, Line, Page, Query, Story, TryLine, as_ended, fitting
from engine.store.restored import Counts
from engine.store.rows import (
    DEAD_PRUNED,
    HAS_FAILED,
    IS_PUBLIC,
    WAITING,
    channel_of,
    letter_of,
    number_of,
    portion,
    skip_of,
    waiting_of,
)
from engine.store.search import search
from engine.store.sessions import Sessions

Values = Sequence[object] | Mapping[str, object]

# The longest page: a bigger one is asked for in parts.
LONGEST = 5_000


class Reader(Sessions):
    """Answers questions about the store at `path`, which must exist."""

    def __init__(self, connection: aiosqlite.Connection):
        self._connection = connection

    @classmethod
    async def open(cls, path: Path) -> "Reader":
        """A reader of its own; any number may be open."""
        uri = f"file:{quote(str(path))}?mode=ro"
        connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)
        await connection.execute("PRAGMA query_only = ON")
        return cls(connection)

    async def close(self) -> None:
        """End its thread."""
        await self._connection.close()

    # ---------------------------------------------------------------------------------------------- for people

    async def lines(self, query: Query, names: Mapping[str, str]) -> Page:
        """A page of the log. `names`: what people call each node id; a peer without one is called by its id."""
        limit = min(max(query.limit, 1), LONGEST)
        asked = search(query, names, limit + 1)
        rows = await self._all(asked.page, asked.values)
        total: int = (await self._one(asked.total, asked.values))[0]
        paths = await self._paths([row[0] for row in rows[:limit] if row[2] == "out"])
        lines = [_line(row, names, paths) for row in rows[:limit]]
        fits = fitting(len(msgspec.json.encode(line)) for line in lines)
        return Page(
            lines=tuple(lines[:fits]),
            rows=tuple(row[0] for row in rows[:fits]),
            total=total,
            next=rows[fits - 1][0] if len(rows) > fits else 0,
        )

    async def letters(self, limit: int, after: str = "", session: str = "", before: str = "") -> tuple[Letter, ...]:
        """Messages of people for us, oldest first: the newest `limit`, those that came next after the id `after`, or
        those last before the id `before`; fewer where their bodies fill a page. `session`: only those of this thread.
        """
        since, until = await self.came(after) if after else 0, await self.came(before) if before else 1 << 62
        thread, threads = ("AND i.thread IN (?, ?)", [session, TEXT_ONLY + session]) if session else ("", [])
        sizes = await self._all(
            f"SELECT row, length(b.body) FROM inbox AS i JOIN bodies AS b USING (row) WHERE {IS_PUBLIC} "
            f"AND i.row > ? AND i.row < ? {thread} ORDER BY i.row {'ASC' if after else 'DESC'} LIMIT ?",
            [since, until, *threads, min(max(limit, 1), LONGEST)],
        )
        shown = [row for row, _ in sizes[: fitting(size for _, size in sizes)]]
        rows = await self._all(
            "SELECT i.msg_id, i.src, i.kind, b.body, i.at_ms FROM inbox AS i JOIN bodies AS b USING (row) "
            "WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row",
            [msgspec.json.encode(shown).decode()],
        )
        return tuple(letter_of(*row) for row in rows)

    async def story(self, msg_id: str, names: Mapping[str, str]) -> Story | None:
        """All that is known of a message of ours; its sentence is left to who tells it."""
        rows = await self._all(
            "SELECT row, dst, kind, rung, channel, reason, created_ms, ttl_s, thread FROM outbox WHERE msg_id = ?",
            [msg_id],
        )
        for row, dst, kind, rung, channel, reason, created_ms, ttl_s, thread in rows:
            tries = (await self._paths([row], notes=True)).get(row, ())
            expires_at = created_ms + 1000 * ttl_s if ttl_s else 0
            to = names.get(dst, dst)
            return Story(
                *(
                    msg_id,
                    to,
                    Kind(kind),
                    Rung(rung),
                    channel_of(channel),
                    tries,
                    reason,
                    created_ms,
                    expires_at,
                ),
                session=session_of(thread),
                group=thread if thread.startswith(GROUP) else "",
            )
        return None

    async def group(self, thread: str) -> tuple[str, ...]:
        """The ids of our messages of one thread, in the order they were accepted."""
        rows = await self._all("SELECT msg_id FROM outbox WHERE thread = ? ORDER BY row LIMIT ?", [thread, LONGEST])
        return tuple(msg_id for (msg_id,) in rows)

    async def body(self, msg_id: str) -> bytes | None:
        """The body of a message, ours or for us."""
        rows = await self._all(
            "SELECT body FROM bodies WHERE row IN (SELECT row FROM outbox WHERE msg_id = ?1 "
            "UNION ALL SELECT row FROM inbox WHERE msg_id = ?1) ORDER BY row LIMIT 1",
            [msg_id],
        )
        return rows[0][0] if rows else None

    async def ending(self, tail: str) -> tuple[str, ...]:
        """Ids of messages, either way, that end so; two at most, because more than one is none."""
        rows = await self._all(
            "SELECT msg_id FROM outbox WHERE substr(msg_id, -length(?1)) = ?1 "
            "UNION SELECT msg_id FROM inbox WHERE substr(msg_id, -length(?1)) = ?1 LIMIT 2",
            [tail.upper()],
        )
        return tuple(msg_id for (msg_id,) in rows)

    async def counts(self) -> Counts:
        """How much is kept."""
        row = await self._one(
            "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM inbox), "
            f"(SELECT count(*) FROM outbox WHERE rung = 'accepted' AND {IS_PUBLIC}), "
            f"(SELECT count(*) FROM outbox WHERE {HAS_FAILED} AND {IS_PUBLIC}), "
            "(SELECT value FROM meta WHERE key = ?), (SELECT count(*) FROM ledger)",
            [DEAD_PRUNED],
        )
        outgoing, incoming, waiting, dead, pruned, entries = row
        return Counts(outgoing, incoming, waiting, dead + number_of(pruned), entries)

    async def ledger(self, after: int, limit: int) -> tuple[LedgerRow, ...]:
        """Ledger rows with a number above `after`, in order."""
        rows = await self._all(
            "SELECT seq, entry, hash FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?", [after, min(limit, LONGEST)]
        )
        return tuple(LedgerRow(*row) for row in rows)

    # --------------------------------------------------------------------------------------------- for the mail

    async def waiting(self, dst: str, limit: int, bulk: int) -> tuple[tuple[Waiting, ...], int]:
        """Messages to `dst` without a number, urgent first, then oldest, at most `bulk` of them not urgent; and how
        many are left beyond these."""
        rows = await self._all(
            f"SELECT {WAITING}, (SELECT count(*) FROM outbox WHERE rung = 'accepted' AND dst = ?1 AND seq = 0) "
            "FROM outbox AS o JOIN bodies AS b USING (row) WHERE o.rung = 'accepted' AND o.dst = ?1 AND o.seq = 0 "
            "ORDER BY o.urgency DESC, o.row LIMIT ?2",
            [dst, limit],
        )
        page = portion([waiting_of(row[:-1]) for row in rows], bulk)
        return page, (rows[0][-1] - len(page) if rows else 0)

    async def message(self, msg_id: str) -> Waiting | None:
        """A message of ours as it was accepted, with its body, to be sent anew."""
        rows = await self._all(
            f"SELECT {WAITING} FROM outbox AS o JOIN bodies AS b USING (row) WHERE o.msg_id = ?", [msg_id]
        )
        return waiting_of(rows[0]) if rows else None

    async def closed(self, dst: str, epoch: int, seqs: Sequence[int]) -> tuple[Waiting, ...]:
        """Messages that were given these numbers, whatever became of them, by number. One that is over comes as the
        SKIP that closes its number; one that was forgotten does not come."""
        rows = await self._all(
            f"SELECT o.rung, {WAITING} FROM outbox AS o JOIN bodies AS b USING (row) WHERE o.dst = ? AND o.epoch = ? "
            "AND o.seq > 0 AND o.seq IN (SELECT value FROM json_each(?)) ORDER BY o.seq",
            [dst, epoch, msgspec.json.encode(list(seqs)).decode()],
        )
        found = ((row[0], waiting_of(row[1:])) for row in rows)
        return tuple(skip_of(waiting) if rung in FAILED else waiting for rung, waiting in found)

    async def recent_tags(self, count: int) -> tuple[bytes, ...]:
        """The authentication tags of the last messages that came, oldest first."""
        rows = await self._all("SELECT tag FROM inbox ORDER BY row DESC LIMIT ?", [count])
        return tuple(tag for (tag,) in reversed(rows) if tag)

    async def _paths(self, rows: Sequence[int], *, notes: bool = False) -> dict[int, tuple[TryLine, ...]]:
        found: dict[int, list[TryLine]] = {}
        tries = await self._all(
            "SELECT row, channel, outcome, ms, note, at_ms FROM deliveries "
            "WHERE row IN (SELECT value FROM json_each(?)) ORDER BY id",
            [msgspec.json.encode(list(rows)).decode()],
        )
        for row, channel, outcome, ms, note, at_ms in tries:
            found.setdefault(row, []).append(TryLine(Channel(channel), outcome, ms, note if notes else "", at_ms))
        return {row: as_ended(lines) for row, lines in found.items()}

    async def _all(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.execute_fetchall(text, values)]

    async def _one(self, text: str, values: Values) -> tuple[Any, ...]:
        return (await self._all(text, values))[0]


def _line(row: Sequence[Any], names: Mapping[str, str], paths: Mapping[int, Sequence[TryLine]]) -> Line:
    number, msg_id, direction, peer, kind, rung, channel, at, reason = row
    path = tuple(paths.get(number, ()))
    name = names.get(peer, peer)
    return Line(msg_id, direction, name, Kind(kind), Rung(rung), channel_of(channel), at, reason, path)
