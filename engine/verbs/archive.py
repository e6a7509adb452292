"""The archive: the ledger, read and verified page by page (edge).

What it can prove is what the chain can: that no entry between the first and the last was changed, moved or taken out.
That nothing was cut off its end, or that the whole was not written anew, only somebody else's memory of its head could
prove; until there is one, every answer says so.
"""

from typing import Protocol

import msgspec

from engine.evidence.ledger import GENESIS, Broken, entry_of, verify
from engine.model.ledger import LedgerEntry, LedgerHead, LedgerRow
from engine.store.restored import Counts

PAGE = 1_000
UNPROVEN = (
    "not proved: that nothing was cut off the end",
    "not proved: that the whole was not written anew; no other node keeps its head yet",
)


class Reader(Protocol):
    """The store's pages, as the archive asks for them."""

    async def ledger(self, after: int, limit: int) -> tuple[LedgerRow, ...]: ...
    async def counts(self) -> Counts: ...


class Proof(msgspec.Struct, frozen=True):
    """`entries`: how many were read; `head`: hex SHA-256 of the last. `broken`: the first that is not what it was.
    `unproven`: what this could not show."""

    entries: int
    head: str
    broken: Broken | None
    unproven: tuple[str, ...] = UNPROVEN


class Archive:
    """Ledger verbs of one node."""

    def __init__(self, reader: Reader):
        self._reader = reader

    async def ledger(self, limit: int = 100) -> list[LedgerEntry]:
        """The newest entries, the oldest of them first."""
        kept = (await self._reader.counts()).entries
        return [entry_of(row) for row in await self._reader.ledger(max(0, kept - limit), limit)]

    async def verify_ledger(self) -> Proof:
        """Read the whole chain and say where it breaks."""
        at, broken = GENESIS, None
        while broken is None and (rows := await self._reader.ledger(at.seq, PAGE)):
            broken = verify(rows, start=at)
            at = LedgerHead(rows[-1].seq, rows[-1].hash)
        return Proof(at.seq, at.hash.hex(), broken)
