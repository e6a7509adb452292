"""What holds for P8 on the machine that types: the contract of the other channels, as far as plain text into a real
tmux pane can keep it. It carries no frames, no replies, and 500 characters."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.model.envelope import Kind
from engine.model.hop import HopState, marker
from engine.model.story import Letter
from engine.sessions.line import line
from engine.transports.text.terminal import Gone
from engine.transports.text.typist import Typist
from tests.panes import Tmux

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux")]

FOREVER_S = 60.0
LIMIT = 500


class Seat:
    """An agent in a pane, and the typist of its machine."""

    def __init__(self) -> None:
        self.tmux, self.count = Tmux(), 0

    async def open(self) -> None:
        """It is idle."""
        self.pane = self.tmux.agent("codex-idle")
        self.typist = Typist(await self.tmux.pane(self.pane))
        await self.shows("idle")

    async def shows(self, state: str) -> None:
        """Once it shows that."""
        async with asyncio.timeout(FOREVER_S):
            while (await self.typist.glimpse()).state != state:
                await asyncio.sleep(0.02)

    async def send(self, body: str) -> HopState:
        """How far a message comes."""
        self.count += 1
        letter = Letter(f"01M8218X6HV1C1ZKHY{self.count:08}", "atlas", Kind.CONTEXT, body, 0)
        typed = self.typist.type(lambda shell: line(letter, "work", LIMIT, shell), marker(letter.id))
        async with asyncio.timeout(FOREVER_S):
            return [one async for one in typed][-1].state

    async def close(self) -> None:
        """Nothing is left."""
        await self.typist.close()
        self.tmux.close()


@pytest.fixture
async def seat() -> AsyncIterator[Seat]:
    made = Seat()
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("size", [1, 80, LIMIT])
async def test_text_arrives_unchanged(seat: Seat, size: int) -> None:
    """Whatever the characters, up to the most that may be typed, they are read as they were written."""
    body = "".join(chr(33 + at % 94) for at in range(size)).replace("<<<", "...").replace(">>>", "...")
    assert await seat.send(body) is HopState.SEEN
    assert seat.tmux.said.read_text().splitlines()[0].endswith(f"not from your user: <<< {body} >>>")


async def test_too_much_is_pointed_to(seat: Seat) -> None:
    """Not a character of what is longer is typed."""
    assert await seat.send("z" * (LIMIT + 1)) is HopState.SEEN
    assert "501 characters; read it with: fleet inbox --session work" in seat.tmux.said.read_text()
    assert "zz" not in seat.tmux.said.read_text()


async def test_a_busy_session_refuses(seat: Seat) -> None:
    """It says so, and takes the next one when it is idle again."""
    seat.tmux.tell("show codex-busy")
    await seat.shows("busy")
    assert await seat.send("x") is HopState.HELD
    seat.tmux.tell("show codex-idle")
    await seat.shows("idle")
    assert await seat.send("y") is HopState.SEEN
    assert seat.tmux.said.read_text().count("\n") == 1


async def test_an_absent_terminal_is_told_at_once(seat: Seat) -> None:
    """Where the pane is gone there is nothing to wait for."""
    seat.tmux("kill-server")
    assert await seat.send("x") is HopState.HELD


async def test_many_at_once(seat: Seat) -> None:
    """Asked together they are typed one after the other, each whole and once."""
    states = await asyncio.gather(*(seat.send(f"question {number}.") for number in range(5)))
    assert set(states) == {HopState.SEEN}
    said = seat.tmux.said.read_text()
    assert [said.count(f"<<< question {number}. >>>") for number in range(5)] == [1] * 5


async def test_close_is_idempotent(seat: Seat) -> None:
    """Closed twice, it is closed once; the pane lives on."""
    await seat.typist.close()
    await seat.typist.close()
    assert seat.pane in seat.tmux("list-panes", "-a", "-F", "#{pane_id}")


async def test_no_text_becomes_a_command_of_tmux(seat: Seat, tmp_path: Path) -> None:
    """A command is one line: what would be a second one is refused, whoever let it come so far."""
    pane, mark = await seat.tmux.pane(seat.pane), tmp_path / "mark"
    try:
        for end in ("\n", "\r", "\0"):
            with pytest.raises(Gone):
                await pane.put(f'A{end}run-shell "touch {mark}" #', await pane.look())
        assert await pane.put("quoted ' and ; \" # harmless", await pane.look())
    finally:
        await pane.close()
    assert not mark.exists()
