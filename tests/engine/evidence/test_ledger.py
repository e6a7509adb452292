"""The chain: whatever is done to it afterwards, `verify` names the entry."""

import random
from hashlib import sha256

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence.ledger import GENESIS, Broken, entry_of, link, verify
from engine.model.ledger import LedgerHead, LedgerRow
from engine.model.records import AddEntry

words = st.text(max_size=8)
entries = st.builds(AddEntry, st.integers(0, 1 << 60), words, words, words, st.dictionaries(words, words, max_size=3))


def chain(*said: AddEntry) -> list[LedgerRow]:
    """These, linked from the start."""
    rows: list[LedgerRow] = []
    for seq, entry in enumerate(said, 1):
        rows.append(LedgerRow(seq, *link(rows[-1].hash if rows else GENESIS.hash, seq, entry)))
    return rows


def some(count: int, word: str = "say") -> list[LedgerRow]:
    return chain(*(AddEntry(number, "me", word, "it", {"n": str(number)}) for number in range(count)))


def head(rows: list[LedgerRow]) -> LedgerHead:
    return LedgerHead(rows[-1].seq, rows[-1].hash)


def replaced(rows: list[LedgerRow], at: int, **new: object) -> list[LedgerRow]:
    return [msgspec.structs.replace(row, **new) if place == at else row for place, row in enumerate(rows)]


@given(st.lists(entries, max_size=6))
def test_a_chain_holds(said: list[AddEntry]) -> None:
    """What was linked verifies, from the start and from any head on, and says what was said."""
    rows = chain(*said)
    assert verify(rows) is None
    for place, row in enumerate(rows):
        assert verify(rows[place + 1 :], start=LedgerHead(row.seq, row.hash)) is None
    told = [entry_of(row) for row in rows]
    assert [(one.ts, one.actor, one.verb, one.subject, one.facts) for one in told] == [
        (one.at_ms, one.actor, one.verb, one.subject, one.facts) for one in said
    ]


def test_canonical_bytes_do_not_depend_on_the_order_of_facts() -> None:
    """The same facts in another order are the same entry."""
    one = AddEntry(1, "me", "say", "it", {"a": "1", "b": "2"})
    other = AddEntry(1, "me", "say", "it", {"b": "2", "a": "1"})
    assert link(GENESIS.hash, 1, one) == link(GENESIS.hash, 1, other)
    assert link(GENESIS.hash, 1, one)[0] == (
        b'{"actor":"me","facts":{"a":"1","b":"2"},"prev":"'
        + b"00" * 32
        + b'","seq":1,"subject":"it","ts":1,"verb":"say"}'
    )


@given(place=st.integers(0, 9), byte=st.integers(0, 100), mask=st.integers(1, 255))
def test_an_edited_byte_names_its_entry(place: int, byte: int, mask: int) -> None:
    """Any byte of any entry changed: that entry is named."""
    rows = some(10)
    data = bytearray(rows[place].entry)
    data[byte % len(data)] ^= mask
    broken = verify(replaced(rows, place, entry=bytes(data)))
    assert broken
    assert broken.index == place + 1
    assert broken.why.startswith("edited")


def test_an_edit_with_its_hash_made_anew() -> None:
    """An entry rewritten together with its hash is named, because the one after it knows the old hash."""
    rows = some(10)
    data = rows[4].entry.replace(b'"n":"4"', b'"n":"5"')
    broken = verify(replaced(rows, 4, entry=data, hash=sha256(data).digest()))
    assert broken == Broken(5, "edited: the entry after it was chained to another hash")


def test_a_deleted_entry_is_named() -> None:
    """One or several gone from the middle: their numbers."""
    rows = some(10)
    assert verify(rows[:3] + rows[4:]) == Broken(4, "deleted: entries 4 to 4 are gone")
    assert verify(rows[5:]) == Broken(1, "deleted: entries 1 to 5 are gone")


def test_a_deletion_hidden_by_renumbering() -> None:
    """Numbers moved down over a gap: the bytes still say what they were."""
    rows = some(10)
    moved = [msgspec.structs.replace(row, seq=row.seq - 1) for row in rows[4:]]
    assert verify(rows[:3] + moved) == Broken(4, "renumbered: its bytes say 5")


def test_an_entry_twice() -> None:
    """An entry repeated or out of order is named."""
    rows = some(4)
    assert verify([*rows, rows[1]]) == Broken(2, "out of order: it follows entry 4")


def test_a_cut_tail_shows_against_a_head() -> None:
    """A truncated chain is whole by itself; whoever saw its head knows what is gone."""
    rows = some(10)
    assert verify(rows[:7]) is None
    assert verify(rows[:7], head(rows)) == Broken(8, "truncated: entries 8 to 10 were seen and are gone")
    assert verify([], head(rows)) == Broken(1, "truncated: entries 1 to 10 were seen and are gone")


def test_a_chain_written_anew_shows_against_a_head() -> None:
    """A chain rewritten from its start verifies by itself; the head that was seen is not in it."""
    seen = head(some(10))
    forged = some(12, word="forged")
    assert verify(forged) is None
    assert verify(forged, seen) == Broken(10, "rewritten: it was seen with another hash")


def test_another_chain_does_not_follow() -> None:
    """Rows that continue some other chain do not continue this one."""
    rows = some(10)
    other = head(some(5, word="other"))
    assert verify(rows[5:], start=other) == Broken(6, "begins another chain than the one asked about")


def test_bytes_that_are_no_entry() -> None:
    """A row whose bytes and hash agree and are no entry is named."""
    rows = some(3)
    for junk in (b"", b"{}", b"\xff", b'{"seq":"x","prev":1}'):
        broken = verify(replaced(rows, 1, entry=junk, hash=sha256(junk).digest()))
        assert broken == Broken(2, "edited: its bytes are no entry")


def test_text_that_is_no_unicode_is_told_in_escapes() -> None:
    """A quoted file name with bytes that are no text still makes an entry."""
    (row,) = chain(AddEntry(1, "me", "open", "caf\udce9", {"\udce9": "ü"}))
    assert entry_of(row).subject == "caf\\udce9"
    assert entry_of(row).facts == {"\\udce9": "ü"}
    assert verify([row]) is None


def test_vandalism_never_passes() -> None:
    """A thousand random changes to a chain with a known head: each is found."""
    dice = random.Random(3)
    rows = some(20)
    for _ in range(1000):
        vandalised = list(rows)
        act = dice.randrange(3)
        place = dice.randrange(20)
        if act == 0:
            del vandalised[place]
        elif act == 1:
            vandalised[place] = msgspec.structs.replace(rows[place], hash=dice.randbytes(32))
        else:
            other = (place + dice.randrange(1, 20)) % 20
            vandalised[place], vandalised[other] = rows[other], rows[place]
        assert verify(vandalised, head(rows))
