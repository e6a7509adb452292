"""The ledger's hash chain: each entry carries the hash of the one before, so none can be changed alone.

`link` makes the next entry; the store's writer calls it inside the transaction of the effect that the entry tells of,
so there is neither an effect without its entry nor an entry without its effect. `verify` reads a chain and names the
first entry that is not what it was.

    entry n:    {actor facts prev seq subject ts verb}, keys sorted, no spaces, UTF-8    hash n = SHA-256(entry n)
    entry n+1:  prev = hash n

What a chain cannot prove by itself: whoever holds the file may cut its tail, or write the whole of it anew. Both show
only against a head that somebody else saw; give `verify` that head.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from engine.model.ledger import LedgerEntry, LedgerHead, LedgerRow
from engine.model.records import AddEntry

GENESIS = LedgerHead()

_encode = msgspec.json.Encoder(order="sorted").encode
_decode_entry = msgspec.json.Decoder(LedgerEntry).decode


class _Chained(msgspec.Struct, frozen=True):
    seq: int
    prev: str


_decode_link = msgspec.json.Decoder(_Chained).decode


class Broken(msgspec.Struct, frozen=True):
    """Where a chain breaks: the number of the entry that is not what it was, and how that shows."""

    index: int
    why: str


def link(prev_hash: bytes, seq: int, entry: AddEntry) -> tuple[bytes, bytes]:
    """The canonical bytes of entry number `seq` after an entry with hash `prev_hash`, and their SHA-256."""
    said = LedgerEntry(seq, prev_hash.hex(), entry.at_ms, entry.actor, entry.verb, entry.subject, entry.facts)
    try:
        data = _encode(said)
    except UnicodeEncodeError:
        data = _encode(_plain(said))
    return data, sha256(data).digest()


def _plain(said: LedgerEntry) -> LedgerEntry:
    """The same in text that UTF-8 can hold: a quoted file name may have bytes that are no text."""

    def plain(text: str) -> str:
        return text.encode("utf-8", "backslashreplace").decode()

    facts = {plain(key): plain(value) for key, value in said.facts.items()}
    return LedgerEntry(said.seq, said.prev, said.ts, plain(said.actor), plain(said.verb), plain(said.subject), facts)


def entry_of(row: LedgerRow) -> LedgerEntry:
    """What a row says, for people. Raises `msgspec.DecodeError` for bytes that `verify` would refuse."""
    return _decode_entry(row.entry)


def verify(rows: Iterable[LedgerRow], head: LedgerHead | None = None, start: LedgerHead = GENESIS) -> Broken | None:
    """The first break in the rows that follow `start`, or None. `head`: the newest head anyone is known to have seen;
    without it a cut tail and a chain written anew cannot be told from a true one."""
    at = start
    for row in rows:
        broken = _flaw(at, row, chained=at is not start) or _disowned(row, head)
        if broken:
            return broken
        at = LedgerHead(row.seq, row.hash)
    if head and at.seq < head.seq:
        return Broken(at.seq + 1, f"truncated: entries {at.seq + 1} to {head.seq} were seen and are gone")
    return None


def _flaw(at: LedgerHead, row: LedgerRow, *, chained: bool) -> Broken | None:
    if row.seq != at.seq + 1:
        return _misplaced(at, row)
    if sha256(row.entry).digest() != row.hash:
        return Broken(row.seq, "edited: its bytes do not have its hash")
    try:
        said = _decode_link(row.entry)
    except msgspec.DecodeError:
        return Broken(row.seq, "edited: its bytes are no entry")
    if said.seq != row.seq:
        return Broken(row.seq, f"renumbered: its bytes say {said.seq}")
    if said.prev == at.hash.hex():
        return None
    if chained:
        return Broken(at.seq, "edited: the entry after it was chained to another hash")
    return Broken(row.seq, "begins another chain than the one asked about")


def _misplaced(at: LedgerHead, row: LedgerRow) -> Broken:
    if row.seq <= at.seq:
        return Broken(row.seq, f"out of order: it follows entry {at.seq}")
    return Broken(at.seq + 1, f"deleted: entries {at.seq + 1} to {row.seq - 1} are gone")


def _disowned(row: LedgerRow, head: LedgerHead | None) -> Broken | None:
    if head and row.seq == head.seq and row.hash != head.hash:
        return Broken(row.seq, "rewritten: it was seen with another hash")
    return None
