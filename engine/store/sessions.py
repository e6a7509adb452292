"""Reading the store for sessions: what waits for one, and how far it has read (edge).

Part of `Reader`; apart from it because it is asked by other people for other reasons.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.model.hop import TEXT_ONLY, Hop, HopState
from engine.model.story import Letter, Unread, fitting
from engine.store.rows import HOP, IS_OPEN, IS_PUBLIC, hop_of, letter_of


class Sessions:
    """Questions about sessions; `_all` is the reader's."""

    async def _all(self, text: str, values: "Sequence[object] | Mapping[str, object]") -> list[tuple[Any, ...]]:
        raise NotImplementedError

    async def came(self, msg_id: str) -> int:
        """The row of a letter in the inbox; 0 when there is none."""
        rows = await self._all("SELECT ifnull(max(row), 0) FROM inbox WHERE msg_id = ?", [msg_id])
        return int(rows[0][0])

    async def cursor(self, session: str) -> int:
        """The row up to which a session has read; 0 when it has read nothing."""
        rows = await self._all("SELECT row FROM cursors WHERE session = ?", [session])
        return int(rows[0][0]) if rows else 0

    async def unread(self, session: str, after: int, limit: int) -> tuple[tuple[Unread, ...], int]:
        """What came for a session after a row, oldest first, at most `limit`, fewer where their bodies fill a page; and
        how many are left beyond these."""
        which = f"FROM inbox AS i WHERE {IS_PUBLIC} AND i.thread IN (?, ?) AND i.row > ?"
        values = [session, TEXT_ONLY + session, after]
        sizes = await self._all(
            f"SELECT row, length(b.body) FROM (SELECT row {which} ORDER BY row LIMIT ?) JOIN bodies AS b USING (row) "
            "ORDER BY row",
            [*values, limit],
        )
        shown = [row for row, _ in sizes[: fitting(size for _, size in sizes)]]
        rows = await self._all(
            "SELECT i.row, i.thread, h.state, i.msg_id, i.src, i.kind, b.body, i.at_ms FROM inbox AS i "
            "JOIN bodies AS b USING (row) LEFT JOIN hops AS h ON h.msg_id = i.msg_id AND h.src = i.src "
            "WHERE i.row IN (SELECT value FROM json_each(?)) ORDER BY i.row",
            [msgspec.json.encode(shown).decode()],
        )
        total = (await self._all(f"SELECT count(*) {which}", values))[0][0]
        return tuple(Unread(row[0], letter_of(*row[3:]), row[1], row[2] or "") for row in rows), total - len(rows)

    async def letter(self, msg_id: str, src: str) -> Letter | None:
        """One letter, with its body."""
        rows = await self._all(
            "SELECT i.msg_id, i.src, i.kind, b.body, i.at_ms FROM inbox AS i JOIN bodies AS b USING (row) "
            "WHERE i.msg_id = ? AND i.src = ?",
            [msg_id, src],
        )
        return letter_of(*rows[0]) if rows else None

    async def hops(self, session: str, limit: int) -> tuple[tuple[Hop, ...], int]:
        """The oldest open hops of a session, and the wall millisecond at which something was typed into it last."""
        rows = await self._all(
            f"SELECT {HOP} FROM hops WHERE session = ? AND {IS_OPEN} ORDER BY id LIMIT ?", [session, limit]
        )
        typed = await self._all(
            "SELECT ifnull(max(typed_ms), 0) FROM hops WHERE session = ? AND typed_ms > 0", [session]
        )
        return tuple(hop_of(row) for row in rows), int(typed[0][0])

    async def hop(self, msg_id: str, src: str) -> Hop | None:
        """The last hop of one message; None when it names no session."""
        rows = await self._all(f"SELECT {HOP} FROM hops WHERE msg_id = ? AND src = ?", [msg_id, src])
        return hop_of(rows[0]) if rows else None

    async def unproved(self, session: str, limit: int) -> tuple[Hop, ...]:
        """The newest hops of a session that were given to it and not seen."""
        given = ", ".join(repr(str(state)) for state in (HopState.POSTED, HopState.FETCHED, HopState.UNKNOWN))
        rows = await self._all(
            f"SELECT {HOP} FROM hops WHERE session = ? AND state IN ({given}) ORDER BY id DESC LIMIT ?",
            [session, limit],
        )
        return tuple(hop_of(row) for row in rows)

    async def sessions(self, limit: int) -> tuple[str, ...]:
        """Sessions that messages have named, by name."""
        rows = await self._all("SELECT DISTINCT session FROM hops ORDER BY session LIMIT ?", [limit])
        return tuple(name for (name,) in rows)
