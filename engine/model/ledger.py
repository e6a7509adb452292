"""The ledger's nouns: an entry, the row that keeps it, and the head that proves how far the chain went.

An entry's canonical bytes are kept as they were hashed, never re-made: a JSON writer that changes its mind about a
space must not break a chain. How entries are chained and checked is `engine.evidence.ledger`.
"""

import msgspec


class LedgerEntry(msgspec.Struct, frozen=True):
    """What the canonical bytes say. `prev`: hex SHA-256 of the entry before; `ts`: wall milliseconds."""

    seq: int
    prev: str
    ts: int
    actor: str
    verb: str
    subject: str
    facts: dict[str, str]


class LedgerRow(msgspec.Struct, frozen=True):
    """One kept entry: its number from 1, its canonical bytes and their SHA-256."""

    seq: int
    entry: bytes
    hash: bytes


class LedgerHead(msgspec.Struct, frozen=True):
    """The last entry of a chain: its number and hash. An empty chain's head is 0 and 32 zero bytes."""

    seq: int = 0
    hash: bytes = bytes(32)
