"""Between nouns and rows: what a message is in a table, and what a table's row is as a message.

The same functions serve the writer and the readers, so that a row means one thing. A channel that is None is an empty
text. An envelope leaves out what is made anew with every try (`key_epoch`). Moments on a monotonic clock end with their
process and are not kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from immutables import Map

from engine.model.channel import Channel
from engine.model.envelope import FAILED, HEIGHT, KINDS, Envelope, Kind, Rung, Urgency
from engine.model.hop import OPEN, Hop, HopState
from engine.model.mail import Lane, Stream, Waiting
from engine.model.peer import Peer
from engine.model.records import AddHop, AddInbox, AddOutbox
from engine.model.roster import Roster
from engine.model.story import Letter

Row = tuple[Any, ...]

# Facts of the store's own, under keys that `Restored.meta` leaves out. Whoever raises the epoch puts it under its key.
BOOTS = "store.boots"
EPOCH = "store.epoch"
COMMITS = "store.commits"
DEAD_PRUNED = "store.dead_pruned"
OWN_KEYS = frozenset({BOOTS, EPOCH, COMMITS, DEAD_PRUNED})

# So many tries are kept of one message, the newest: a peer that is away for a week must not fill the disk.
TRIES_KEPT = 64

# Conditions in SQL, from the tables that say what the words mean: a message of people; one that ended undelivered.
IS_PUBLIC = f"kind IN ({', '.join(repr(str(kind)) for kind, spec in KINDS.items() if spec.public)})"
HAS_FAILED = f"rung IN ({', '.join(sorted(repr(str(rung)) for rung in FAILED))})"
# How far up a rung is, of a column; an ending without delivery reaches nothing.
HEIGHT_OF = f"CASE {{}} {' '.join(f'WHEN {str(rung)!r} THEN {height}' for rung, height in HEIGHT.items())} ELSE 0 END"
# Rungs that only the receiver's word moves.
CLIMBED = frozenset(rung for rung, height in HEIGHT.items() if height > HEIGHT[Rung.ON_HOST])
HIGH = ", ".join(sorted(repr(str(rung)) for rung in CLIMBED))
IS_OPEN = f"state IN ({', '.join(repr(str(state)) for state in OPEN)})"

# The columns of a waiting message, for `waiting_of`; `o` is the outbox, `b` its body.
WAITING = (
    "o.msg_id, o.src, o.dst, o.epoch, o.seq, o.kind, o.urgency, o.thread, o.created_ms, o.ttl_s, o.hop, o.via, "
    "o.widened, b.body"
)

_encode = msgspec.msgpack.Encoder().encode
_peer = msgspec.msgpack.Decoder(Peer).decode
_roster = msgspec.msgpack.Decoder(Roster).decode


def outbox_row(row: int, record: AddOutbox) -> Row:
    """The outbox's columns, in the order of `schema.sql`."""
    one = record.envelope
    via, widened = str(record.via or ""), int(record.widened)
    return (
        *(row, one.msg_id, one.src, one.dst, one.src_epoch, one.seq, str(one.kind), int(one.urgency), one.thread),
        *(one.created_ms, one.ttl_s, one.hop, "accepted", one.created_ms, "", "", via, widened),
    )


def inbox_row(row: int, record: AddInbox) -> Row:
    """The inbox's columns, in the order of `schema.sql`."""
    one = record.envelope
    return (
        *(row, one.msg_id, one.src, one.src_epoch, one.seq, str(one.kind), int(one.urgency), one.thread),
        *(one.created_ms, record.at_ms, str(record.channel), record.tag),
    )


def lane_of(opened: Mapping[tuple[int, int], Waiting], backlog: int) -> Lane:
    """A peer's lane as a start finds it. Whether anything without a number is urgent the first look will tell."""
    return Lane(Map(opened), backlog=backlog, pressing=backlog > 0)


def portion(found: Sequence[Waiting], bulk: int) -> tuple[Waiting, ...]:
    """Of messages without a number, urgent first, those that may have one when `bulk` are left for the others."""
    urgent = sum(one.envelope.urgency.pressing for one in found)
    return tuple(found[: urgent + bulk])


def letter_of(msg_id: str, src: str, kind: str, body: bytes, at_ms: int) -> Letter:
    """A message as it is read: whatever its bytes are, it is text."""
    return Letter(msg_id, src, Kind(kind), body.decode(errors="replace"), at_ms)


def hop_row(record: AddHop) -> Row:
    """The columns of a hop, in the order of `sessions.sql` and `ends.sql`, without its number."""
    one = record.letter
    when = (record.at_ms, record.at_ms, 0, one.ends_ms)
    return (one.msg_id, one.src, one.session, str(record.state), plain(record.reason), *when)


def hop_of(row: Row) -> Hop:
    """A hop of its columns `HOP`."""
    msg_id, src, state, reason, came_ms, at_ms, ends_ms = row
    return Hop(msg_id, src, HopState(state), reason, came_ms, at_ms, ends_ms)


HOP = "msg_id, src, state, reason, came_ms, at_ms, ends_ms"


def waiting_of(row: Row) -> Waiting:
    """A message of ours as it waits to be sent. Raises `ValueError` where a word is none of ours."""
    msg_id, src, dst, epoch, seq, kind, urgency, thread, created_ms, ttl_s, hop, via, widened, body = row
    envelope = Envelope(
        src=src,
        src_epoch=epoch,
        seq=seq,
        dst=dst,
        msg_id=msg_id,
        kind=Kind(kind),
        urgency=Urgency(urgency),
        thread=thread,
        created_ms=created_ms,
        ttl_s=ttl_s,
        hop=hop,
        body=body,
    )
    return Waiting(envelope, channel_of(via), bool(widened))


def skip_of(waiting: Waiting) -> Waiting:
    """What is sent under the number of a message that is over: an empty SKIP."""
    skip = msgspec.structs.replace(waiting.envelope, kind=Kind.SKIP, body=b"", ttl_s=0, thread="")
    return msgspec.structs.replace(waiting, envelope=skip, via=None, skipping=True)


def plain(text: str) -> str:
    """Text that UTF-8 can hold: a file name quoted in a reason may have bytes that are no text."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def channel_of(text: str) -> Channel | None:
    """The channel of a column."""
    return Channel(text) if text else None


def stream_of(watermark: int, above: bytes) -> Stream:
    """A stream of its columns."""
    return Stream(watermark, int.from_bytes(above, "little"))


def peer_data(peer: Peer) -> bytes:
    """A peer as it is kept: without what only this process's clock can read."""
    return _encode(msgspec.structs.replace(peer, heard_mono=None, suspect_at=None))


def peer_of(data: bytes) -> Peer | None:
    """A kept peer; None where another version's shape does not fit: it is only the last good data."""
    try:
        return _peer(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def roster_data(roster: Roster) -> bytes:
    """The roster as it is kept."""
    return _encode(roster)


def roster_of(data: bytes) -> Roster:
    """A kept roster. Raises `ValueError` (`msgspec.DecodeError` is one) when the bytes are none."""
    return _roster(data)


def number_data(number: int) -> bytes:
    """A number as a meta value."""
    return b"%d" % number


def number_of(value: bytes | None) -> int:
    """The number in a meta value; 0 for none. Raises `ValueError` for anything else."""
    return int(value) if value else 0
