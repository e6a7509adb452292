"""A question about the log as SQL.

Both mailboxes are asked the same, each in its own order, and SQLite merges the two by their row numbers and stops at
the limit, so a page costs what it shows. The fleet's own traffic (skips, forwards, leaving) is in the log only where
its kind is asked for by name.
"""

from collections.abc import Mapping

import msgspec

from engine.model.story import Query
from engine.store.rows import IS_PUBLIC

_COLUMNS = "row, msg_id, dir, peer, kind, rung, channel, at, reason"
_SENT = "(SELECT row, msg_id, 'out' AS dir, dst AS peer, kind, rung, channel, created_ms AS at, reason FROM outbox)"
_CAME = (
    "(SELECT row, msg_id, 'in' AS dir, src AS peer, kind, 'on_host' AS rung, channel, at_ms AS at, '' AS reason "
    "FROM inbox)"
)

_EXACT = ("peer", "kind", "dir", "rung")
# Kinds, rungs and channels are written small; an id is as its sender made it.
_WORDS = ("kind", "rung", "channel", "lower(msg_id)")


class Search(msgspec.Struct, frozen=True):
    """`page`: the rows, newest first; `total`: how many there are in all; both with the same named `values`."""

    page: str
    total: str
    values: dict[str, object]


def search(query: Query, names: Mapping[str, str], limit: int) -> Search:
    """The statements for a query. `names`: what people call each node id."""
    parts = [f"{field} = :{field}" for field in _EXACT if getattr(query, field)]
    if not query.kind:
        parts.append(IS_PUBLIC)
    if query.text:
        parts.append(_MENTIONS)
    where = " AND ".join(parts) or "1"
    arms = (f"SELECT {_COLUMNS} FROM {box} WHERE {where} AND row < :before" for box in (_SENT, _CAME))
    counts = (f"(SELECT count(*) FROM {box} WHERE {where})" for box in (_SENT, _CAME))
    return Search(
        page=f"{' UNION ALL '.join(arms)} ORDER BY row DESC LIMIT :limit",
        total=f"SELECT {' + '.join(counts)}",
        values=_values(query, names, limit),
    )


def _values(query: Query, names: Mapping[str, str], limit: int) -> dict[str, object]:
    text = query.text.lower()
    return {
        **{field: getattr(query, field) for field in _EXACT},
        "before": query.before or 1 << 62,
        "limit": limit,
        "text": text,
        "known": _list(names),
        "called": _list([one for one, name in names.items() if text in name.lower()]),
    }


# Any word of the line, or the peer by its name; by its id where it has none.
_MENTIONS = (
    f"(peer IN (SELECT value FROM json_each(:called)) OR {' OR '.join(f'instr({word}, :text)' for word in _WORDS)} "
    "OR (peer NOT IN (SELECT value FROM json_each(:known)) AND instr(lower(peer), :text)))"
)


def _list(ids: Mapping[str, str] | list[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
