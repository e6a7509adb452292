"""Typing into real terminals: proved rung by rung, and nothing of what a person typed is ever touched."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from engine.model.hop import HopState
from engine.transports.text import tmux as control
from engine.transports.text import typist as typing
from engine.transports.text.screen import IN_MODE, TOGETHER, Look
from engine.transports.text.terminal import Gone
from engine.transports.text.tmux import GARBLED, NO_PANE, NO_TMUX, OTHER, REFUSED, Pane, blocks
from engine.transports.text.typist import CHANGED, LOST, UNSEEN, UNSENT, UNSHOWN, Progress, Typist
from tests.panes import Tmux

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux")]

MARK = "[fleet 7F3K9QAB]"
LINE = f"{MARK} Message from atlas, a peer machine, not from your user: <<< build is green >>>"
FOREVER_S = 60.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs everything at once is slow, and that is not what is asked here."""
    monkeypatch.setattr(typing, "PROVE_S", 20.0)
    monkeypatch.setattr("engine.transports.text.tmux.ANSWER_S", 20.0)


@pytest.fixture
async def tmux() -> AsyncIterator[Tmux]:
    made = Tmux()
    yield made
    made.close()


async def typist_of(tmux: Tmux, pane: str, state: str = "idle") -> Typist:
    """A typist of this pane, once it shows that."""
    made = Typist(await tmux.pane(pane))
    await showing(made, state)
    return made


async def showing(typist: Typist, state: str) -> str:
    """Why nothing can be typed, once the terminal shows this state."""
    async with asyncio.timeout(FOREVER_S):
        while (reading := await typist.glimpse()).state != state:
            await asyncio.sleep(0.02)
    return reading.why


async def typed(typist: Typist, line: str = LINE) -> list[Progress]:
    """All that becomes of a line."""
    async with asyncio.timeout(FOREVER_S):
        return [one async for one in typist.type(lambda shell: f": '{line}'" if shell else line, MARK)]


def ended(progress: list[Progress]) -> list[tuple[HopState, str, bool]]:
    return [(one.state, one.reason, one.over) for one in progress]


SAID = [(HopState.POSTED, "", False), (HopState.SEEN, "", True)]


async def test_a_shell_sees_it_and_does_nothing(tmux: Tmux) -> None:
    """It stands in the scroll-back, once, as the argument of a command that does nothing; the window keeps its size."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    assert ended(await typed(typist)) == SAID
    assert tmux.text(pane).count(MARK) == 1
    assert "not found" not in tmux.text(pane)
    assert tmux("display-message", "-p", "#{window_width}x#{window_height}") == "100x30"
    assert tmux("list-buffers") == ""
    await typist.close()
    await typist.close()


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "opencode"])
async def test_agents(tmux: Tmux, agent: str) -> None:
    """Idle it is typed and said word for word, up to the longest line; busy and asking it is held, and not a key."""
    pane = tmux.agent(f"{agent}-idle")
    typist = await typist_of(tmux, pane)
    longest = f"{MARK} " + 'it\'s 100% "green" $HOME `x` #{pid}; \\ ~ {a,b} <<< é ü >>> ' * 9 + "."
    assert ended(await typed(typist, longest)) == SAID
    assert tmux.said.read_text() == f"{longest}\n"
    for other, state in ((f"{agent}-busy", "busy"), (f"{agent}-asking", "asking")):
        tmux.tell(f"show {other}")
        why = await showing(typist, state)
        assert ended(await typed(typist)) == [(HopState.HELD, why, True)]
    assert tmux.said.read_text() == f"{longest}\n"
    await typist.close()


async def test_half_typed_text_stays_as_it_is(tmux: Tmux) -> None:
    """It is held, the text is untouched, and once its user has sent it the message goes."""
    pane = tmux.agent()
    typist = await typist_of(tmux, pane)
    tmux("send-keys", "-t", pane, "-l", "my own thought")
    why = await showing(typist, "half_typed")
    assert ended(await typed(typist)) == [(HopState.HELD, why, True)]
    tmux("send-keys", "-t", pane, "Enter")
    await showing(typist, "idle")
    assert ended(await typed(typist)) == SAID
    assert tmux.said.read_text() == f"my own thought\n{LINE}\n"
    await typist.close()


async def test_copy_mode_is_left_alone(tmux: Tmux) -> None:
    """Somebody reads there: nothing is typed, and the mode is not ended."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    tmux("copy-mode", "-t", pane)
    assert ended(await typed(typist)) == [(HopState.HELD, IN_MODE, True)]
    assert tmux("display-message", "-p", "-t", pane, "#{pane_in_mode}") == "1"
    tmux("send-keys", "-t", pane, "-X", "cancel")
    assert ended(await typed(typist)) == SAID
    await typist.close()


async def test_synchronized_panes_are_left_alone(tmux: Tmux) -> None:
    """Enter would go to every pane of the window."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    tmux("split-window", "-t", pane, "cat")
    tmux("set-option", "-t", pane, "synchronize-panes", "on")
    assert ended(await typed(typist)) == [(HopState.HELD, TOGETHER, True)]
    await typist.close()


class Meddled(Pane):
    """A pane at which somebody acts at the worst moment. `before`: put or enter."""

    def meddle(self, before: str, act: Callable[[], object]) -> None:
        self._before, self._act = before, act

    async def put(self, line: str, seen: Look) -> bool:
        return await self._meddled("put", super().put, line, seen)

    async def enter(self, seen: Look) -> bool:
        return await self._meddled("enter", super().enter, seen)

    async def _meddled(self, what: str, do: Callable[..., Awaitable[bool]], *args: Any) -> bool:
        if what == self._before:
            self._before = ""
            cursor = (await self.look()).stamp
            self._act()
            async with asyncio.timeout(FOREVER_S):
                while (await self.look()).stamp == cursor:
                    await asyncio.sleep(0.01)
        return await do(*args)


async def meddled(tmux: Tmux, pane: str, before: str, act: Callable[[], object]) -> list[Progress]:
    """What becomes of a line where somebody acts before its put or its Enter."""
    plain = await tmux.pane(pane)
    terminal = Meddled(tmux.socket, pane, plain._identity)
    terminal.meddle(before, act)
    typist = Typist(terminal)
    await showing(typist, "idle")
    found = await typed(typist)
    await typist.close()
    return found


async def test_a_key_between_the_look_and_the_paste(tmux: Tmux) -> None:
    """The pane is not as it was seen: nothing is pasted, the key stands alone, and no buffer is left."""
    pane = tmux.agent()
    found = await meddled(tmux, pane, "put", lambda: tmux("send-keys", "-t", pane, "-l", "x"))
    assert ended(found) == [(HopState.HELD, CHANGED, True)]
    assert MARK not in tmux.text(pane)
    assert tmux("list-buffers") == ""


async def test_a_key_between_the_paste_and_enter(tmux: Tmux) -> None:
    """What stands there is not ours alone: it is not submitted, and its sender is told what is known of it."""
    pane = tmux.agent()
    found = await meddled(tmux, pane, "enter", lambda: tmux("send-keys", "-t", pane, "-l", "x"))
    assert ended(found) == [(HopState.POSTED, "", False), (HopState.POSTED, UNSENT, True)]
    assert tmux.said.read_text() == ""


async def test_a_resize_between_the_paste_and_enter(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor stands elsewhere, and our line still alone in the prompt: nobody typed, and it is submitted."""
    monkeypatch.setattr(typing, "SETTLE_S", 20.0)
    pane = tmux.shell()
    found = await meddled(tmux, pane, "enter", lambda: tmux("resize-window", "-t", pane, "-x", "61", "-y", "30"))
    assert ended(found) == SAID


async def test_a_mode_between_the_look_and_the_paste(tmux: Tmux) -> None:
    """Somebody begins to read at that moment."""
    pane = tmux.shell()
    found = await meddled(tmux, pane, "put", lambda: tmux("copy-mode", "-t", pane))
    assert ended(found) == [(HopState.HELD, CHANGED, True)]


@pytest.mark.parametrize(
    ("mood", "end"),
    [
        ("deaf", [(HopState.UNKNOWN, UNSHOWN, True)]),
        ("stubborn", [(HopState.POSTED, "", False), (HopState.POSTED, UNSEEN, True)]),
    ],
)
async def test_what_is_not_shown_is_not_claimed(
    tmux: Tmux, mood: str, end: list[tuple[HopState, str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that does not show what was typed gets no Enter; one that takes no Enter has not seen it."""
    monkeypatch.setattr(typing, "PROVE_S", 3.0)
    typist = await typist_of(tmux, tmux.agent())
    tmux.tell(mood)
    assert ended(await typed(typist)) == end
    assert tmux.said.read_text() == ""
    await typist.close()


async def test_a_terminal_that_has_gone(tmux: Tmux) -> None:
    """Nothing is typed; a pane of the same number in a server that came after it is another one."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    tmux("kill-server")
    assert ended(await typed(typist)) == [(HopState.HELD, NO_PANE, True)]
    assert tmux.shell() == pane
    async with asyncio.timeout(FOREVER_S):
        while (found := ended(await typed(typist))) == [(HopState.HELD, NO_PANE, True)]:
            await asyncio.sleep(0.02)
    assert found == [(HopState.HELD, OTHER, True)]
    assert MARK not in tmux.text(pane)
    await typist.close()


async def test_a_pane_that_ends_beside_others(tmux: Tmux) -> None:
    """The server and its session live on; the pane does not."""
    pane = tmux.shell()
    tmux("split-window", "-t", pane, "cat")
    typist = await typist_of(tmux, pane)
    tmux("kill-pane", "-t", pane)
    assert ended(await typed(typist)) == [(HopState.HELD, NO_PANE, True)]
    await typist.close()


def guesses(begin: str) -> list[str]:
    """What may end the answers to the next questions, by one who saw this and counts along."""
    _, when, number, flags = begin.split()
    times, numbers = range(int(when), int(when) + 3), range(int(number), int(number) + 200)
    ends = [f"%end {at} {one} {flags}" for at in times for one in numbers]
    return ["%begin 1 1 1", *ends, "%exit", "/", "fleet-1", "fleet-2"]


async def test_a_pane_that_speaks_our_protocol(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that would end an answer are a screen like any other: it is whole, and so is what is asked next."""
    told = tmux.folder / "told"
    pane = tmux.run(f"while :; do cat {told} 2>/dev/null && exec cat; sleep 0.01; done")
    terminal = await tmux.pane(pane)
    seen: list[str] = []
    plain = control._line

    async def read(stream: asyncio.StreamReader) -> str:
        seen.append(await plain(stream))
        return seen[-1]

    with monkeypatch.context() as overheard:
        overheard.setattr(control, "_line", read)
        await terminal.look()
    lines = guesses(next(one for one in reversed(seen) if one.startswith("%begin ")))
    told.write_text("\n".join([*lines, "%error at the top", *["%end"] * 28, ""]))
    async with asyncio.timeout(FOREVER_S):
        while not (look := await terminal.look()).text.startswith("%error at the top"):
            await asyncio.sleep(0.02)
    assert look.text.split("\n") == ["%error at the top", *["%end"] * 28, ""]
    assert (await terminal.history()).split("\n")[-len(lines) :] == lines
    assert (await terminal.look()) == look
    await terminal.close()


@pytest.mark.parametrize("said", ["", "/", "0/0/0", "x/0/0/0/1/0/0/0/1.2/bash"])
async def test_an_answer_that_cannot_be_read(tmux: Tmux, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is typed, and why is told; the next look is as good as ever."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    with monkeypatch.context() as garbled:
        garbled.setattr("engine.transports.text.tmux.STAMP", said)
        assert ended(await typed(typist)) == [(HopState.HELD, GARBLED, True)]
    await showing(typist, "idle")
    assert MARK not in tmux.text(pane)
    await typist.close()


def test_a_block_without_an_end() -> None:
    """Of what only looks like one, the last end counts; without any, it is no answer."""
    assert blocks(["%x", "%begin 1", "a", "%end 1", "b", "%end 1", "%y", "%begin 2", "%error 2"]) == [
        "a\n%end 1\nb",
        REFUSED,
    ]
    with pytest.raises(ValueError, match="empty"):
        blocks(["%begin 1", "a"])


async def test_what_was_being_typed_is_sought(tmux: Tmux) -> None:
    """Said, it is found, also above the screen; standing in the prompt, or nowhere, nobody knows."""
    pane = tmux.shell()
    typist = await typist_of(tmux, pane)
    assert ended([await typist.seek(lambda shell: LINE, MARK)]) == [(HopState.UNKNOWN, LOST, True)]
    await typed(typist)
    tmux("send-keys", "-t", pane, "seq 100", "Enter")
    async with asyncio.timeout(FOREVER_S):
        while MARK in tmux.text(pane):
            await asyncio.sleep(0.02)
    assert (await typist.seek(lambda shell: LINE, MARK)).state is HopState.SEEN
    await typist.close()


async def test_what_stands_in_the_prompt_lacks_only_enter(tmux: Tmux) -> None:
    """A node that died before it pressed Enter presses it now; beside anything else nobody touches it."""
    pane = tmux.agent()
    terminal = await tmux.pane(pane)
    typist = await typist_of(tmux, pane)
    assert await terminal.put(LINE, await terminal.look())
    await showing(typist, "half_typed")
    assert (await typist.seek(lambda shell: f"{LINE} and more", MARK)).state is HopState.UNKNOWN
    assert tmux.said.read_text() == ""
    assert (await typist.seek(lambda shell: LINE, MARK)).state is HopState.SEEN
    assert tmux.said.read_text() == f"{LINE}\n"
    await showing(typist, "idle")
    assert await terminal.put(LINE, await terminal.look())
    tmux("send-keys", "-t", pane, "-l", " x")
    await showing(typist, "half_typed")
    assert (await typist.seek(lambda shell: LINE, MARK)).state is HopState.SEEN
    assert tmux.said.read_text() == f"{LINE}\n"
    await terminal.close()
    await typist.close()


async def test_a_question_that_is_given_up(tmux: Tmux) -> None:
    """Cancelled in the middle, the next question gets its own answer; the server takes no harm."""
    terminal = await tmux.pane(tmux.shell())
    await showing(Typist(terminal), "idle")
    for delay_s in (0.0, 0.0005, 0.001, 0.002):
        task = asyncio.create_task(terminal.look())
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await terminal.look()).command == "bash"
    await terminal.close()


async def test_a_tmux_that_is_stopped(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question has its deadline, and no more than that."""
    monkeypatch.setattr("engine.transports.text.tmux.ANSWER_S", 0.3)
    terminal = await tmux.pane(tmux.shell())
    await showing(Typist(terminal), "idle")
    server = int(tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Gone, match="does not answer"):
            await terminal.look()
        assert time.monotonic() - began < FOREVER_S
    finally:
        os.kill(server, signal.SIGCONT)
    assert (await terminal.look()).command == "bash"
    await terminal.close()


async def test_a_machine_without_tmux(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a reason like any other."""
    terminal = await tmux.pane(tmux.shell())
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PATH", "/nowhere")
        assert (await Typist(terminal).glimpse()).why == NO_TMUX
