"""The letter slot: whose hands, how much at once, and how long it waits for what was begun."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.model.envelope import CARRIAGE_LIMIT
from engine.security import peercred
from engine.transports.ssh import slot as module
from engine.transports.ssh.slip import ANSWER, BUSY, FRAMES, Slip, SlipReader, packed
from engine.transports.ssh.slot import NAME, Slot
from tests.nodes import Inbox

FOREVER_S = 20.0


class Place:
    """A slot, and those who stand before it."""

    def __init__(self, home: Path):
        self.slot, self.inbox = Slot(home / NAME), Inbox()
        self.writers: list[asyncio.StreamWriter] = []

    async def guest(self) -> "Guest":
        """Somebody comes."""
        reader, writer = await asyncio.open_unix_connection(str(self.slot.path))
        self.writers.append(writer)
        return Guest(reader, writer)


class Guest:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer, self.slips = reader, writer, SlipReader(ANSWER, BUSY)

    async def hear(self, count: int = 1) -> list[Slip]:
        """What is said to it."""
        heard: list[Slip] = []
        async with asyncio.timeout(FOREVER_S):
            while len(heard) < count:
                data = await self.reader.read(65_536)
                assert data, "cut off"
                heard += self.slips.feed(data)
        return heard

    async def cut_off(self) -> bool:
        """Returns once the other end has hung up."""
        async with asyncio.timeout(FOREVER_S):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@pytest.fixture
async def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    made = Place(home)
    await made.slot.listen(made.inbox)
    yield made
    for writer in made.writers:
        writer.close()
    await made.slot.close()


async def test_only_its_user_may_come(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has mode 0600, and a process of another user is cut off before a byte is read."""
    assert stat.S_IMODE(place.slot.path.stat().st_mode) == 0o600
    monkeypatch.setattr(peercred, "peer_uid", lambda sock: 54_321)
    guest = await place.guest()
    guest.writer.write(packed(FRAMES, 1, b"x"))
    assert await guest.cut_off()
    assert place.inbox.came.empty()


async def test_answers_find_their_questions_in_any_order(place: Place) -> None:
    """Two are asked together; the second is answered first."""
    replies: list[Callable[[bytes], None]] = []
    place.slot.arrived = lambda data, via, reply: replies.append(reply) or True  # type: ignore[arg-type, func-returns-value]
    guest = await place.guest()
    guest.writer.write(packed(FRAMES, 7, b"a") + packed(FRAMES, 8, b"b"))
    while len(replies) < 2:
        await asyncio.sleep(0)
    replies[1](b"second")
    replies[0](b"first")
    assert await guest.hear(2) == [Slip(ANSWER, 8, b"second"), Slip(ANSWER, 7, b"first")]


async def test_a_busy_node_says_so(place: Place) -> None:
    """Under the question's own token; the next one may be taken."""
    guest = await place.guest()
    place.inbox.busy = True
    guest.writer.write(packed(FRAMES, 1, b"x"))
    assert await guest.hear() == [Slip(BUSY, 1, b"")]
    place.inbox.busy = False
    guest.writer.write(packed(FRAMES, 2, b"y"))
    assert await guest.hear() == [Slip(ANSWER, 2, b"got y")]


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        packed(FRAMES, 1)[:-4] + (CARRIAGE_LIMIT + 1).to_bytes(4, "big"),
        packed(FRAMES, 1, b"whole")[:-1],
        b"",
    ],
    ids=["garbage", "too large", "half a slip", "nothing"],
)
async def test_whoever_wastes_its_time_is_cut_off(place: Place, said: bytes) -> None:
    """Garbage and too much at once; half a slip, or nothing, after a moment. Others are served meanwhile."""
    good, bad = await place.guest(), await place.guest()
    bad.writer.write(said)
    good.writer.write(packed(FRAMES, 1, b"x"))
    assert await good.hear() == [Slip(ANSWER, 1, b"got x")]
    assert await bad.cut_off()
    assert place.slot._room == module.ROOM


async def test_whoever_was_served_may_rest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two slips nobody is hurried."""
    rested, late = await place.guest(), await place.guest()
    rested.writer.write(packed(FRAMES, 1, b"x"))
    await rested.hear()
    assert await late.cut_off()
    rested.writer.write(packed(FRAMES, 2, b"y"))
    assert await rested.hear() == [Slip(ANSWER, 2, b"got y")]


async def test_the_silent_make_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all places taken, whoever was silent the longest goes."""
    monkeypatch.setattr(module, "PLACES", 2)
    first, second = await place.guest(), await place.guest()
    for guest in (second, first):
        guest.writer.write(packed(FRAMES, 1, b"x"))
        await guest.hear()
    third = await place.guest()
    assert await second.cut_off()
    for guest in (first, third):
        guest.writer.write(packed(FRAMES, 2, b"y"))
        await guest.hear()


async def test_whoever_does_not_read_is_cut_off(place: Place) -> None:
    """Answers that nobody fetches do not pile up."""
    place.inbox.answer = lambda data: bytes(1 << 20)
    guest = await place.guest()
    guest.writer.transport.pause_reading()  # type: ignore[attr-defined]
    guest.writer.write(b"".join(packed(FRAMES, token, b"x") for token in range(8)))
    async with asyncio.timeout(FOREVER_S):
        while place.slot._open:
            await asyncio.sleep(0.01)


async def test_a_socket_left_behind_is_replaced(home: Path) -> None:
    """A node that was killed leaves its socket; closed in order, none is left."""
    for _ in range(2):
        place = Place(home)
        await place.slot.listen(place.inbox)
    await place.slot.close()
    await place.slot.close()
    assert not place.slot.path.exists()
