"""The archive: the ledger read and verified, over the store in memory's own chain."""

from hashlib import sha256

from engine.evidence.ledger import GENESIS, link
from engine.model.ledger import LedgerHead, LedgerRow
from engine.model.records import AddEntry
from engine.store.restored import Counts
from engine.verbs.archive import UNPROVEN, Archive


class Rows:
    """A chain that may be tampered with, read as the store is."""

    def __init__(self, size: int) -> None:
        self.rows: list[LedgerRow] = []
        at: LedgerHead = GENESIS
        for seq in range(1, size + 1):
            entry, digest = link(at.hash, seq, AddEntry(seq, "atlas", "sent", f"m{seq}", {"to": "birch"}))
            self.rows.append(LedgerRow(seq, entry, digest))
            at = LedgerHead(seq, digest)

    async def ledger(self, after: int, limit: int) -> tuple[LedgerRow, ...]:
        return tuple(row for row in self.rows if row.seq > after)[:limit]

    async def counts(self) -> Counts:
        return Counts(0, 0, 0, 0, len(self.rows))


async def test_the_newest_entries_come_oldest_first() -> None:
    """As many as were asked for, or all."""
    archive = Archive(Rows(25))
    assert [entry.seq for entry in await archive.ledger(3)] == [23, 24, 25]
    assert len(await archive.ledger(100)) == 25


async def test_a_true_chain_holds_across_pages() -> None:
    """Every entry is read, the head is the last one's, and what cannot be proved is said."""
    rows = Rows(2_500)
    proof = await Archive(rows).verify_ledger()
    assert (proof.entries, proof.head, proof.broken) == (2_500, rows.rows[-1].hash.hex(), None)
    assert proof.unproven == UNPROVEN


async def test_an_edit_is_found_on_any_page() -> None:
    """Also where the forger has made the entry's own hash fit."""
    for place in (0, 999, 1_000, 1_499):
        rows = Rows(2_000)
        forged = rows.rows[place].entry.replace(b"birch", b"cedar")
        rows.rows[place] = LedgerRow(place + 1, forged, sha256(forged).digest())
        broken = (await Archive(rows).verify_ledger()).broken
        assert broken is not None
        assert broken.index in (place + 1, place + 2)


async def test_an_empty_ledger_is_true() -> None:
    """Nothing has been decided yet."""
    assert (await Archive(Rows(0)).verify_ledger()).entries == 0
