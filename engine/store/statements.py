"""The writing statements, each for any number of rows at once.

One statement a batch and not one a row: every execution lets the interpreter's lock go, and takes up to a switch
interval (5 ms) to have it back while the engine's thread is busy. Measured with one busy thread beside it, in batches
of 128: 290 rows/s one by one, 1,500 with `executemany`, 14,000 with 32 rows a statement.

A batch is cut into powers of two, so that few different texts are ever prepared.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from engine.store.rows import HEIGHT_OF, HIGH, TRIES_KEPT, Row

# Rows a statement at most; 128 of the widest stay far below SQLite's 32,766 variables.
WIDEST = 128


class Statement(msgspec.Struct, frozen=True):
    """SQL around `VALUES (…), (…)`: `{}` is where the rows go, `columns` how wide each is."""

    text: str
    columns: int


ADD_OUTBOX = Statement("INSERT INTO outbox VALUES {} ON CONFLICT (msg_id) DO NOTHING", 18)
ADD_INBOX = Statement("INSERT INTO inbox VALUES {} ON CONFLICT (msg_id, src) DO NOTHING", 12)
# Only for rows that were new: a known id keeps its first body.
ADD_OUTBOX_BODY = Statement(
    "INSERT INTO bodies SELECT column1, column2 FROM (VALUES {}) WHERE column1 IN (SELECT row FROM outbox)", 2
)
ADD_INBOX_BODY = Statement(
    "INSERT INTO bodies SELECT column1, column2 FROM (VALUES {}) WHERE column1 IN (SELECT row FROM inbox)", 2
)
OPEN_NUMBER = Statement(
    "UPDATE outbox SET epoch = v.column2, seq = v.column3 FROM (VALUES {}) AS v WHERE msg_id = v.column1", 3
)
WIDEN = Statement("UPDATE outbox SET widened = v.column2, via = '' FROM (VALUES {}) AS v WHERE msg_id = v.column1", 2)
MOVE_RUNG = Statement(
    "UPDATE outbox SET rung = v.column2, rung_ms = v.column3, channel = v.column4, reason = v.column5 "
    # What its receiver's session did with it proves more than anything we could say of it.
    f"FROM (VALUES {{}}) AS v WHERE msg_id = v.column1 AND rung NOT IN ({HIGH})",
    5,
)
CLIMB_RUNG = Statement(
    "UPDATE outbox SET rung = v.column3, rung_ms = v.column4, reason = v.column5 "
    "FROM (VALUES {}) AS v WHERE msg_id = v.column1 AND dst = v.column2 AND ("
    f"{HEIGHT_OF.format('v.column3')} > {HEIGHT_OF.format('rung')} OR ("
    f"{HEIGHT_OF.format('v.column3')} = {HEIGHT_OF.format('rung')} AND v.column4 > rung_ms))",
    5,
)
ADD_CLIMB = Statement(
    "INSERT INTO deliveries (row, channel, outcome, ms, at_ms, note) "
    "SELECT o.row, v.column3, v.column4, v.column5, v.column6, v.column7 "
    "FROM (VALUES {}) AS v CROSS JOIN outbox AS o ON o.msg_id = v.column1 AND o.dst = v.column2 "
    # A word said again is none: it would push what else was tried out of the story.
    "WHERE NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.row = o.row AND d.channel = v.column3 "
    "AND d.outcome = v.column4 AND d.note = v.column7)",
    7,
)
ADD_HOP = Statement(
    "INSERT INTO hops (msg_id, src, session, state, reason, came_ms, at_ms, typed_ms, ends_ms) VALUES {} "
    "ON CONFLICT (msg_id, src) DO NOTHING",
    9,
)
MOVE_HOP = Statement(
    "UPDATE hops SET state = v.column3, reason = v.column4, at_ms = v.column5, typed_ms = v.column6 "
    "FROM (VALUES {}) AS v WHERE msg_id = v.column1 AND src = v.column2",
    6,
)
SET_CURSOR = Statement(
    "INSERT INTO cursors VALUES {} ON CONFLICT (session) DO UPDATE SET row = max(row, excluded.row)", 2
)
# CROSS JOIN, because SQLite keeps its order: the tries of one message stay in theirs.
ADD_TRY = Statement(
    "INSERT INTO deliveries (row, channel, outcome, ms, at_ms, note) "
    "SELECT o.row, v.column2, v.column3, v.column4, v.column5, v.column6 "
    "FROM (VALUES {}) AS v CROSS JOIN outbox AS o ON o.msg_id = v.column1",
    6,
)
TRIM_TRIES = Statement(
    "DELETE FROM deliveries WHERE id IN (SELECT d.id FROM (VALUES {}) AS v "
    "CROSS JOIN outbox AS o ON o.msg_id = v.column1 CROSS JOIN deliveries AS d ON d.row = o.row AND d.id <= "
    f"(SELECT id FROM deliveries WHERE row = o.row ORDER BY id DESC LIMIT 1 OFFSET {TRIES_KEPT}))",
    1,
)
DROP_STREAMS = Statement(
    "DELETE FROM streams WHERE EXISTS (SELECT 1 FROM (VALUES {}) AS v WHERE v.column1 = src AND epoch < v.column2)", 2
)
SET_FLOOR = Statement(
    "INSERT INTO floors VALUES {} ON CONFLICT (src) DO UPDATE SET epoch = max(epoch, excluded.epoch)", 2
)
SET_STREAM = Statement(
    "INSERT INTO streams VALUES {} "
    "ON CONFLICT (src, epoch) DO UPDATE SET watermark = excluded.watermark, above = excluded.above",
    4,
)
PUT_PEER = Statement("INSERT INTO peers VALUES {} ON CONFLICT (id) DO UPDATE SET data = excluded.data", 2)
PUT_META = Statement("INSERT INTO meta VALUES {} ON CONFLICT (key) DO UPDATE SET value = excluded.value", 2)
PUT_ROSTER = Statement(
    "INSERT INTO roster VALUES {} ON CONFLICT (one) DO UPDATE SET version = excluded.version, data = excluded.data", 3
)
ADD_ENTRY = Statement("INSERT INTO ledger VALUES {}", 3)


class Write(msgspec.Struct, frozen=True):
    """One statement and the rows it is for."""

    statement: Statement
    rows: Sequence[Row]

    def executions(self) -> Iterator[tuple[str, list[object]]]:
        """The texts and parameters to execute, in order."""
        start = 0
        while start < len(self.rows):
            size = min(WIDEST, 1 << (len(self.rows) - start).bit_length() - 1)
            yield _sql(self.statement, size), [value for row in self.rows[start : start + size] for value in row]
            start += size


@lru_cache(maxsize=256)
def _sql(statement: Statement, size: int) -> str:
    row = f"({','.join('?' * statement.columns)})"
    return statement.text.format(",".join([row] * size))
