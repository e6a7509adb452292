"""Pages: what they show, and that a page costs what it shows."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing

import msgspec
import pytest

from engine.evidence.ledger import link
from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung, Urgency
from engine.model.records import AddOutbox, AddTry, MoveRung, OpenNumber
from engine.model.story import PAGE_BYTES, Query, TryLine
from engine.store.memory import MemoryStore
from engine.store.read import Reader
from engine.store.restored import Restored
from engine.store.rows import TRIES_KEPT
from engine.store.search import search
from engine.store.store import Store
from tests.engine.store.records import EPOCH, arrival, letter

Opened = Callable[..., tuple[Store, Restored]]
NAMES = {"B": "Berlin"}


@pytest.fixture
async def store(opened: Opened) -> Store:
    return opened()[0]


@pytest.fixture
async def reader(store: Store) -> AsyncIterator[Reader]:
    reader = await Reader.open(store.path)
    yield reader
    await reader.close()


async def test_both_directions_in_one_order(store: Store, reader: Reader) -> None:
    """The log shows both directions, newest first, and pages to its end without a gap or a repetition."""
    for number in range(1, 31):
        await store.submit((AddOutbox(letter(number)), arrival(number)))
    ids: list[str] = []
    rows: list[int] = []
    before = 0
    while True:
        page = await reader.lines(Query(before=before, limit=7), NAMES)
        assert page.total == 60
        ids += [line.id for line in page.lines]
        rows += page.rows
        before = page.next
        if not before:
            break
    assert ids == [name for number in range(30, 0, -1) for name in (f"IN{number:08}", f"ID{number:08}")]
    assert rows == sorted(rows, reverse=True)


async def test_a_line_tells_the_way(store: Store, reader: Reader) -> None:
    """An outgoing line has its rung, the channel that proved it, the name of the peer, and its tries in the order they
    were told, whatever the clock did meanwhile."""
    await store.submit((AddOutbox(letter(1)),))
    await store.submit(
        (
            AddTry("ID00000001", Channel.NATS, "lost", 3.0, 10, "no answer"),
            AddTry("ID00000001", Channel.HTTP, "confirmed", 1.0, 9),
            MoveRung("ID00000001", Rung.ON_HOST, 12, Channel.HTTP),
        )
    )
    (line,) = (await reader.lines(Query(), NAMES)).lines
    assert (line.peer, line.rung, line.channel) == ("Berlin", Rung.ON_HOST, Channel.HTTP)
    assert line.path == (TryLine(Channel.NATS, "lost", 3.0, "", 10), TryLine(Channel.HTTP, "confirmed", 1.0, "", 9))
    story = await reader.story("ID00000001", NAMES)
    assert story
    assert story.tries[0].note == "no answer"
    assert story.expires_at == story.at + 60_000
    assert await reader.story("nobody", NAMES) is None


async def test_only_so_many_tries_are_kept(store: Store, reader: Reader) -> None:
    """A peer that is away for a week cannot fill the disk: the newest tries of a message are kept."""
    await store.submit((AddOutbox(letter(1)),))
    for start in range(0, 300, 50):
        await store.submit([AddTry("ID00000001", Channel.NATS, "lost", 1.0, at) for at in range(start, start + 50)])
    story = await reader.story("ID00000001", NAMES)
    assert story
    assert [line.at for line in story.tries] == list(range(300 - TRIES_KEPT, 300))


async def test_the_fleets_own_traffic_is_asked_for_by_name(store: Store, reader: Reader) -> None:
    """Forwards and their like are not among people's messages, unless their kind is named."""
    await store.submit((AddOutbox(letter(1)), AddOutbox(letter(2, kind=Kind.FORWARD)), arrival(3, kind=Kind.LEAVE)))
    assert (await reader.lines(Query(), NAMES)).total == 1
    assert (await reader.lines(Query(kind="forward"), NAMES)).total == 1
    assert await reader.letters(10) == ()


PAGES = {
    "newest": Query(),
    "deep": Query(before=500),
    "a peer": Query(peer="B"),
    "a direction": Query(dir="in"),
    "text": Query(text="berl"),
}


@pytest.mark.parametrize("query", PAGES.values(), ids=PAGES.keys())
def test_a_page_is_merged_not_sorted(opened: Opened, query: Query) -> None:
    """Both mailboxes are read from their newest row on and merged: nothing is gathered and sorted first."""
    store, _ = opened()
    with closing(sqlite3.connect(store.path)) as other:
        asked = search(query, NAMES, 100)
        plan = " ".join(row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {asked.page}", asked.values))
    assert "MERGE (UNION ALL)" in plan
    assert "SEARCH outbox USING INTEGER PRIMARY KEY (rowid<?)" in plan
    assert "SEARCH inbox USING INTEGER PRIMARY KEY (rowid<?)" in plan
    assert "TEMP B-TREE" not in plan


async def test_letters_go_on_from_a_cursor(store: Store, reader: Reader) -> None:
    """Without a cursor the newest letters, with one those that came next; oldest first both times."""
    await store.submit([arrival(number, body=b"caf\xe9 %d" % number) for number in range(1, 10)])
    newest = await reader.letters(3)
    assert [one.id for one in newest] == ["IN00000007", "IN00000008", "IN00000009"]
    assert newest[0].body == "caf\ufffd 7"
    assert [one.id for one in await reader.letters(2, after="IN00000003")] == ["IN00000004", "IN00000005"]
    assert await reader.letters(5, after="IN00000009") == ()


async def test_letters_before_one(store: Store, reader: Reader) -> None:
    """Towards the oldest: the last ones before an id, oldest first like every page."""
    await store.submit([arrival(number) for number in range(1, 10)])
    assert [one.id for one in await reader.letters(2, before="IN00000005")] == ["IN00000003", "IN00000004"]
    assert await reader.letters(2, before="IN00000001") == ()


@pytest.mark.parametrize("size", [PAGE_BYTES // 5, PAGE_BYTES // 2, PAGE_BYTES + 1])
async def test_a_page_of_large_letters_ends_by_its_bytes(store: Store, reader: Reader, size: int) -> None:
    """However many were asked for, both ways; one letter always, so that whoever goes on comes to the end."""
    twin = MemoryStore(link)
    for number in range(1, 8):
        record = arrival(number, body=b"%d" % number * size, thread="work")
        await store.submit((record,))
        twin.submit((record,))
    twin.commit()
    fits = max(1, PAGE_BYTES // size)
    ids = [f"IN{number:08}" for number in range(1, 8)]
    assert [one.id for one in await reader.letters(7, after="0")] == ids[:fits]
    assert [one.id for one in await reader.letters(7)] == ids[-fits:]
    assert await reader.letters(7) == twin.letters(7)
    assert await reader.letters(7, "IN00000002") == twin.letters(7, "IN00000002")
    assert await reader.letters(7, before="IN00000004") == twin.letters(7, before="IN00000004")
    found: list[str] = []
    while page := await reader.letters(7, after=found[-1] if found else "0"):
        found += [one.id for one in page]
    assert found == ids
    unread, left = await reader.unread("work", 0, 7)
    assert ([one.letter.id for one in unread], left) == (ids[:fits], 7 - fits)
    assert await reader.unread("work", 2, 7) == twin.unread("work", 2, 7)


async def test_a_page_of_the_log_ends_by_its_bytes(store: Store, reader: Reader) -> None:
    """Lines with many tries are long: the page names where the next one begins, and nothing is left out."""
    await store.submit([AddOutbox(letter(number)) for number in range(1, 2_001)])
    for start in range(1, 2_001, 100):
        tries = [AddTry(f"ID{number:08}", Channel.NATS, "lost" * 500, 1.0, 1) for number in range(start, start + 100)]
        await store.submit([one for one in tries for _ in range(2)])
    page = await reader.lines(Query(limit=2_000), NAMES)
    assert 0 < len(page.lines) < 2_000
    assert len(msgspec.json.encode(page.lines)) <= PAGE_BYTES + 3 * len(page.lines)
    shown = len(page.lines)
    while page.next:
        page = await reader.lines(Query(limit=2_000, before=page.next), NAMES)
        shown += len(page.lines)
    assert shown == 2_000


async def test_letters_of_one_session(store: Store, reader: Reader) -> None:
    """A session sees its own thread."""
    await store.submit([arrival(number, thread="ab"[number % 2]) for number in range(1, 7)])
    assert [one.id for one in await reader.letters(10, session="a")] == ["IN00000002", "IN00000004", "IN00000006"]
    assert [one.id for one in await reader.letters(1, "IN00000002", "a")] == ["IN00000004"]


async def test_nobody_takes_anothers_id(store: Store, reader: Reader) -> None:
    """Two senders may use one id: both messages are letters; the same from one sender is one letter."""
    await store.submit((arrival(1), arrival(1, src="C"), arrival(1, body=b"again")))
    letters = await reader.letters(10)
    assert [(one.sender, one.body) for one in letters] == [("B", "hi"), ("C", "hi")]


async def test_urgent_first_then_oldest(store: Store, reader: Reader) -> None:
    """What waits without a number comes urgent first, then in the order it was accepted; the rest is counted."""
    urgencies = [Urgency.LOW, Urgency.NORMAL, Urgency.URGENT, Urgency.NORMAL, Urgency.URGENT]
    await store.submit([AddOutbox(letter(n, seq=0, urgency=urgency)) for n, urgency in enumerate(urgencies)])
    waiting, left = await reader.waiting("B", 3, 3)
    assert [one.envelope.msg_id[-1] for one in waiting] == ["2", "4", "1"]
    assert left == 2
    for limit, bulk, expected in ((3, 0, "24"), (5, 1, "241"), (1, 0, "2")):
        waiting, left = await reader.waiting("B", limit, bulk)
        assert ("".join(one.envelope.msg_id[-1] for one in waiting), left) == (expected, 5 - len(expected))
    await store.submit((OpenNumber("ID00000002", EPOCH, 1), MoveRung("ID00000004", Rung.EXPIRED, 1)))
    assert await reader.waiting("B", 3, 0) == ((), 3)
    waiting, left = await reader.waiting("B", 3, 3)
    assert [one.envelope.msg_id[-1] for one in waiting] == ["1", "3", "0"]
    assert left == 0


async def test_closed_numbers_come_again(store: Store, reader: Reader) -> None:
    """Delivered messages come as they were; one that ended undelivered comes as the skip of its number."""
    await store.submit((AddOutbox(letter(1)), AddOutbox(letter(2), Channel.HTTP), AddOutbox(letter(3))))
    await store.submit((MoveRung("ID00000001", Rung.ON_HOST, 1), MoveRung("ID00000002", Rung.EXPIRED, 1)))
    found = await reader.closed("B", EPOCH, (2, 1, 77))
    assert [one.envelope.seq for one in found] == [1, 2]
    assert found[0].envelope == letter(1)
    assert not found[0].skipping
    assert found[1].skipping
    assert (found[1].envelope.kind, found[1].envelope.body, found[1].via) == (Kind.SKIP, b"", None)


async def test_a_reader_cannot_write(reader: Reader) -> None:
    """A page can never change what it shows."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reader._connection.execute("DELETE FROM outbox")


async def test_an_id_by_its_end(store: Store, reader: Reader) -> None:
    """Screens show the ends of ids: one that is unique finds its message, one that is not finds two."""
    await store.submit((AddOutbox(letter(1)), AddOutbox(letter(2)), arrival(31)))
    assert await reader.ending("d00000001") == ("ID00000001",)
    assert len(await reader.ending("1")) == 2
    assert await reader.ending("%") == ()
