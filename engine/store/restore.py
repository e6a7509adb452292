"""What a start reads from the store, and the epoch it mints (edge).

A message keeps the number it was once given, under the epoch of the start that gave it: after a restart it is sent
again as the same message, and its receiver knows it. New messages are numbered under a new epoch, above every one this
home is known to have used and not below the wall clock; so not even a store copied back from a backup gives a number
twice.

`mint` writes, at once; `restore` only reads. Both raise `sqlite3.Error` or `ValueError` for what is damaged.
"""

import sqlite3
from typing import Any

from immutables import Map

from engine.model.envelope import Kind
from engine.model.ledger import LedgerHead
from engine.model.mail import Freight, Lane, Stream, Waiting, freight_of
from engine.model.peer import Peer
from engine.model.roster import Roster
from engine.store.restored import Birth, Generation, Restored, born
from engine.store.rows import (
    BOOTS,
    COMMITS,
    DEAD_PRUNED,
    EPOCH,
    HAS_FAILED,
    IS_PUBLIC,
    OWN_KEYS,
    WAITING,
    lane_of,
    number_data,
    number_of,
    peer_of,
    roster_of,
    stream_of,
    waiting_of,
)
from engine.store.writer import Transaction


def mint(connection: sqlite3.Connection, seen: Generation, wall_ms: int) -> Birth:
    """Count this start and give it its epoch. `seen`: what the files beside the store say of the last one."""
    stored = Generation(*(_number(connection, key) for key in (BOOTS, EPOCH, COMMITS)))
    birth = born(stored, seen, wall_ms)
    with Transaction(connection):
        for key, number in ((BOOTS, birth.boots), (EPOCH, birth.epoch), (COMMITS, stored.commits + birth.lost)):
            connection.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, number_data(number)),
            )
    return birth


def restore(connection: sqlite3.Connection, birth: Birth) -> Restored:
    """Everything the first value is built from."""
    return Restored(
        birth=birth,
        roster=_roster(connection),
        peers=_peers(connection),
        lanes=_lanes(connection),
        streams=_streams(connection),
        floors=Map(connection.execute("SELECT src, epoch FROM floors")),
        forwards=_forwards(connection),
        meta=Map(row for row in connection.execute("SELECT key, value FROM meta") if row[0] not in OWN_KEYS),
        waiting=_count(connection, f"rung = 'accepted' AND {IS_PUBLIC}"),
        dead=_count(connection, f"{HAS_FAILED} AND {IS_PUBLIC}") + _number(connection, DEAD_PRUNED),
        head=_head(connection),
    )


def _number(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return number_of(row[0] if row else None)


def _count(connection: sqlite3.Connection, condition: str) -> int:
    number: int = connection.execute(f"SELECT count(*) FROM outbox WHERE {condition}").fetchone()[0]
    return number


def _roster(connection: sqlite3.Connection) -> Roster | None:
    row = connection.execute("SELECT data FROM roster").fetchone()
    return roster_of(row[0]) if row else None


def _peers(connection: sqlite3.Connection) -> Map[str, Peer]:
    peers = (peer_of(data) for (data,) in connection.execute("SELECT data FROM peers"))
    return Map((peer.id, peer) for peer in peers if peer)


def _lanes(connection: sqlite3.Connection) -> Map[str, Lane]:
    """A lane for every peer that something waits for. A message without its body is damage, not an empty message."""
    opened: dict[str, dict[tuple[int, int], Waiting]] = {}
    for row in connection.execute(
        f"SELECT {WAITING} FROM outbox AS o LEFT JOIN bodies AS b USING (row) "
        "WHERE o.rung = 'accepted' AND o.seq > 0 ORDER BY o.row"
    ):
        if row[-1] is None:
            raise ValueError("a message has lost its body")
        waiting = waiting_of(row)
        number = (waiting.envelope.src_epoch, waiting.envelope.seq)
        opened.setdefault(waiting.envelope.dst, {})[number] = waiting
    backlog: dict[str, int] = dict(
        connection.execute("SELECT dst, count(*) FROM outbox WHERE rung = 'accepted' AND seq = 0 GROUP BY dst")
    )
    return Map((peer, lane_of(opened.get(peer, {}), backlog.get(peer, 0))) for peer in opened.keys() | backlog.keys())


def _streams(connection: sqlite3.Connection) -> Map[str, Map[int, Stream]]:
    found: dict[str, dict[int, Stream]] = {}
    for src, epoch, watermark, above in connection.execute("SELECT src, epoch, watermark, above FROM streams"):
        found.setdefault(src, {})[epoch] = stream_of(watermark, above)
    return Map((src, Map(epochs)) for src, epochs in found.items())


def _forwards(connection: sqlite3.Connection) -> Map[tuple[str, str], Freight]:
    """What we carry for others, by the receiver and the id it has there: both are in the thread of our own message."""
    rows: Any = connection.execute(
        "SELECT o.dst, o.thread, ifnull(length(b.body), 0) FROM outbox AS o LEFT JOIN bodies AS b USING (row) "
        "WHERE o.rung = 'accepted' AND o.kind = ? ORDER BY o.row",
        (str(Kind.FORWARD),),
    )
    found = ((dst, *freight_of(thread), size) for dst, thread, size in rows)
    return Map(((dst, msg_id), Freight(by, size)) for dst, msg_id, by, size in found)


def _head(connection: sqlite3.Connection) -> LedgerHead:
    row = connection.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    return LedgerHead(*row) if row else LedgerHead()
