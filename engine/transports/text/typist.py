"""A typist: one session's terminal, and how a line gets into it (edge).

    look ─ not idle ─► HELD, nothing typed
      │ idle
    put, if it is still as seen ─ not ─► HELD, nothing typed
      │
    the cursor stands behind the whole line ─ not within 5 s ─► UNKNOWN, not submitted
      │ POSTED
    enter, if it is still as seen ─ not, nor alone in the prompt a moment later ─► POSTED, not submitted
      │
    the mark stands above the prompt ─ not within 5 s ─► POSTED, nobody saw it
      │
    SEEN

Each rung is read off the terminal. What was put is put once; what cannot be proved is said and never repaired by typing
more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from engine.model.hop import HopState
from engine.transports.text.prompts import PROMPTS, own
from engine.transports.text.screen import (
    IDLE,
    UNKNOWN,
    Look,
    Reading,
    alone,
    folded,
    read,
    shown_above,
    squashed,
    stands,
)
from engine.transports.text.terminal import Gone, Terminal

# A program that reads its terminal shows what was pasted within a frame or two; a machine under load is given this
# long, for what was not proved can never be typed again.
PROVE_S = 5.0
PROVE_EVERY_S = 0.03
# A window that is resized is drawn anew within this time; so often at most Enter is tried.
SETTLE_S, ENTERS = 0.5, 3

CHANGED = "its terminal changed at that moment"
UNSHOWN = "unknown outcome: its terminal did not show what was typed, so it was not submitted"
UNSENT = "its terminal changed at that moment: it stood in the prompt and was not submitted"
UNSEEN = "submitted, but its terminal does not show it"
BROKE_OFF = "unknown outcome: its terminal went away while it was typed; it is not typed again"
LOST = "unknown outcome: the node ended while it was typed; it is not typed again"


class Progress(msgspec.Struct, frozen=True):
    """How far it is. `over`: this is the last word. `reading`: what the terminal shows now, if it was looked at."""

    state: HopState
    reason: str = ""
    over: bool = True
    reading: Reading | None = None


class Typist:
    """Looks at one terminal and types into it, one thing at a time. `prompt`: what its owner says an empty prompt is
    (empty: the known ones)."""

    def __init__(self, terminal: Terminal, prompt: str = ""):
        self._terminal, self._prompt = terminal, prompt
        self._one = asyncio.Lock()

    async def glimpse(self) -> Reading:
        """What it shows now; unknown, with the reason, where it has gone."""
        async with self._one:
            try:
                return self._read(await self._terminal.look())
            except Gone as gone:
                return Reading(UNKNOWN, str(gone))

    async def type(self, compose: Callable[[bool], str], mark: str) -> AsyncIterator[Progress]:
        """Type what `compose` makes of knowing whether it goes to a shell; `mark` stands in it. The last progress is
        `over`."""
        async with self._one:
            put = False
            try:
                look = await self._terminal.look()
                reading = self._read(look)
                if reading.state != IDLE:
                    yield Progress(HopState.HELD, reading.why, reading=reading)
                    return
                line = compose(reading.shell)
                put = True
                if not await self._terminal.put(line, look):
                    yield Progress(HopState.HELD, CHANGED)
                    return
                async for progress in self._proved(line, mark):
                    yield progress
            except Gone as gone:
                why = BROKE_OFF if put else str(gone)
                state = HopState.UNKNOWN if put else HopState.HELD
                yield Progress(state, why, reading=Reading(UNKNOWN, str(gone)))

    async def _proved(self, line: str, mark: str) -> AsyncIterator[Progress]:
        look = await self._once(lambda look: stands(look, line) or folded(look, self._read(look)))
        if look is None:
            yield Progress(HopState.UNKNOWN, UNSHOWN)
            return
        yield Progress(HopState.POSTED, over=False)
        yield await self._submitted(look, line, mark)

    async def _submitted(self, look: Look, line: str, mark: str) -> Progress:
        """Enter, and what is seen of it. Whatever changed meanwhile, a person's key or a window's size: it is pressed
        only where our own line stands in the prompt alone."""
        for _ in range(ENTERS):
            if await self._terminal.enter(look):
                return await self._shown(line, mark)
            again = await self._once(lambda look: alone(look, self._read(look), line), SETTLE_S)
            if again is None:
                break
            look = again
        return Progress(HopState.POSTED, UNSENT)

    async def _shown(self, line: str, mark: str) -> Progress:
        # With the cursor still behind it, it stands in a prompt whose further rows nobody knows.
        shown = await self._once(lambda look: not stands(look, line) and shown_above(look, self._read(look), mark))
        after = shown or await self._terminal.look()
        state, reason = (HopState.SEEN, "") if shown else (HopState.POSTED, UNSEEN)
        return Progress(state, reason, reading=self._read(after))

    async def seek(self, compose: Callable[[bool], str], mark: str) -> Progress:
        """Whether something that was being typed was said in this terminal. Where it stands in the prompt, whole and
        alone, only Enter is missing; it is not typed again."""
        async with self._one:
            try:
                look = await self._terminal.look()
                reading = self._read(look)
                if alone(look, reading, line := compose(reading.shell)):
                    return await self._submitted(look, line, mark)
                # Without a prompt to stand above, it may stand in one.
                above = reading.prompt is not None and shown_above(look, reading, mark)
                said = above or squashed(mark) in squashed(await self._terminal.history())
            except Gone as gone:
                return Progress(HopState.UNKNOWN, LOST, reading=Reading(UNKNOWN, str(gone)))
        return Progress(HopState.SEEN, reading=reading) if said else Progress(HopState.UNKNOWN, LOST, reading=reading)

    async def close(self) -> None:
        """Let go of the terminal."""
        await self._terminal.close()

    def _read(self, look: Look) -> Reading:
        return read(look, (own(self._prompt, look.command),) if self._prompt else PROMPTS)

    async def _once(self, holds: Callable[[Look], bool], within_s: float | None = None) -> Look | None:
        """The first look of which it holds, within `PROVE_S` unless another time is said."""
        clock = asyncio.get_running_loop().time
        ends = clock() + (PROVE_S if within_s is None else within_s)
        while True:
            look = await self._terminal.look()
            if holds(look):
                return look
            if clock() > ends:
                return None
            await asyncio.sleep(PROVE_EVERY_S)
