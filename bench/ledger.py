"""T25: what the ledger's chain costs, beside hashing the same bytes: an entry more, and a hundred thousand checked.

Entries are linked and verified in memory, as the store's writer and `fleet ledger verify` do it; the transaction that
an entry shares with its effect is T14's.
"""

from collections.abc import Iterable
from hashlib import sha256
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, p50_at_most, ratio_at_most
from engine.evidence.ledger import GENESIS, link, verify
from engine.model.ledger import LedgerRow
from engine.model.records import AddEntry

NUMBERS = ("T25",)
ENTRIES, PAGE = 100_000, 1_000


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    control = "SHA-256 of the bytes"
    append = Line("T25", "ledger: an entry more", "µs", ratio_at_most(4), control)
    check = Line("T25", f"the same: {ENTRIES:,} verified", "s", p50_at_most(0.5, "s"), control)
    for _ in effort.rounds():
        chain: list[LedgerRow] = []
        append.ours.append([])
        append.raw.append([])
        while len(chain) < ENTRIES:
            began = perf_counter()
            page = _linked(chain[-1] if chain else LedgerRow(GENESIS.seq, b"", GENESIS.hash))
            append.ours[-1].append((perf_counter() - began) * 1e6 / PAGE)
            append.raw[-1].append(_hashed_s(page) * 1e6 / PAGE)
            chain += page
        began = perf_counter()
        broken = verify(chain)
        check.ours.append([perf_counter() - began])
        check.raw.append([_hashed_s(chain)])
        assert broken is None, broken
    return [append, check]


def _linked(last: LedgerRow) -> list[LedgerRow]:
    """A page of entries after `last`, of what there are most: a channel that turned."""
    page: list[LedgerRow] = []
    for seq in range(last.seq + 1, last.seq + 1 + PAGE):
        facts = {"channel": "nats", "from": "HEALTHY", "to": "BROKEN", "reason": "no answer in 3 s"}
        entry = AddEntry(1_795_000_000_000 + seq, "frljd57outxrgyon", "channel", "k3q7v2mzw5yhtn4b", facts)
        data, digest = link(last.hash, seq, entry)
        last = LedgerRow(seq, data, digest)
        page.append(last)
    return page


def _hashed_s(rows: list[LedgerRow]) -> float:
    began = perf_counter()
    for row in rows:
        sha256(row.entry).digest()
    return perf_counter() - began
