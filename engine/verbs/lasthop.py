"""The last hop on this machine: terminals watched, letters typed, seed files written, cursors kept (edge).

    LoadHops ─► a page of the store ─► HopsLoaded        Type ─► typist ─► Typed, each rung        WriteSeed ─► file
    every second while something waits, else every five: a look at each terminal ─► Glimpsed when it changed

What is typed, and when, is `engine.sessions.hops`' to decide; what a terminal shows is the typist's to say. The verbs
are here: who may be typed into (`text allow`), and what a session reads (`inbox --session`).
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine.core import Core
from engine.effects import Effect, LoadHops, Seek, Type, WriteSeed
from engine.errors import Fault, FleetError
from engine.model.finding import Finding, Severity
from engine.model.hop import SESSION, WINDOW, Allowed, Hop, HopState, Place, marker
from engine.model.story import Letter, SeatLine, SessionMail, Unread
from engine.sessions import shelves
from engine.sessions.line import fits, line
from engine.sessions.seed import render
from engine.signals import Fetched, Found, Glimpsed, HopsLoaded, Seated, Typed
from engine.store.crash import crash_at
from engine.store.read import Reader
from engine.transports.text.channel import TERMINALS
from engine.transports.text.screen import UNKNOWN
from engine.transports.text.terminal import Gone
from engine.transports.text.tmux import identify
from engine.transports.text.typist import Progress, Typist

log = logging.getLogger(__name__)

EAGER_S, CALM_S = 1.0, 5.0
# A look is told again so often although nothing changed: what peers are told of our ways may have been overtaken.
AGAIN = 12
PAGE = 1_000
# Letters a hook may still prove as seen, the newest.
PROVABLE = 256
TAKEN = {"inbox": "its inbox was read", "hook": "its hook took it"}
NOBODY = "no terminal is allowed for this session any more"


class LastHop:
    """Sessions of one node. `spawn` holds a task until it ends."""

    def __init__(self, home: Path, limit: int, reader: Reader, spawn: Callable[[Coroutine[Any, Any, Any]], None]):
        self._home, self._limit, self._reader, self._spawn = home, limit, reader, spawn
        self._seats: dict[str, Allowed] = {}
        self._typists: dict[str, Typist] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._awake: dict[str, asyncio.Event] = {}
        self._seeding: dict[str, bool] = {}
        self._changing = asyncio.Lock()
        self.deeds: dict[type[Effect], Callable[[Any], None]] = {
            LoadHops: lambda effect: spawn(self._load(effect)),
            Type: lambda effect: spawn(self._type(effect.session, effect.hop)),
            Seek: lambda effect: spawn(self._seek(effect.session, effect.hop)),
            WriteSeed: lambda effect: self._reseed(effect.session),
        }

    # ----------------------------------------------------------------------------------------------- start, stop

    async def open(self, core: Core) -> None:
        """Watch the terminals that were opted in, and write every seed file anew: a crash may have come before one."""
        self._loop, self._hands = core.loop, core.hands
        try:
            self._seats = {one.session: one for one in shelves.allowed(self._home)}
        except FleetError as error:
            found = Finding(error.code, error.title, Severity.HIGH, error.detail, next_step=error.next_step)
            self._loop.post(Found(found))
        for session in self._seats:
            self._watch(session)
        self._tell()
        for session in await self._reader.sessions(shelves.SEEDS_LIMIT):
            self._reseed(session)

    async def close(self) -> None:
        """Let go of every terminal."""
        for session in tuple(self._watchers):
            await self._leave(session)

    def _tell(self) -> None:
        self._loop.post(Seated(tuple(sorted(self._seats))))

    def _watch(self, session: str) -> None:
        seat = self._seats[session]
        self._typists[session] = typist = Typist(TERMINALS[seat.kind](seat), seat.prompt)
        self._awake[session] = asyncio.Event()
        self._watchers[session] = asyncio.get_running_loop().create_task(self._watching(session, typist))

    async def _leave(self, session: str) -> None:
        watcher, typist = self._watchers.pop(session, None), self._typists.pop(session, None)
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        if typist is not None:
            await typist.close()

    async def _watching(self, session: str, typist: Typist) -> None:
        known, looks = ("", ""), 0
        while True:
            awake = self._awake[session]
            awake.clear()
            try:
                reading = await typist.glimpse()
                now = (reading.state, reading.why)
            except Exception:
                log.exception("a terminal could not be read")
                now = (UNKNOWN, "its terminal could not be read")
            if now != known or looks % AGAIN == 0:
                self._loop.post(Glimpsed(session, *now))
            known, looks = now, looks + 1
            place = self._loop.fleet.places.get(session, Place())
            try:
                async with asyncio.timeout(EAGER_S if place.open else CALM_S):
                    await awake.wait()
            except TimeoutError:
                pass

    # ------------------------------------------------------------------------------------------------------ deeds

    async def _load(self, effect: LoadHops) -> None:
        hops, typed_ms = await self._reader.hops(effect.session, WINDOW)
        self._loop.post(HopsLoaded(effect.session, effect.turn, hops, typed_ms))
        if awake := self._awake.get(effect.session):
            awake.set()

    async def _type(self, session: str, hop: Hop) -> None:
        crash_at("before_type")
        typist = self._typists.get(session)
        letter = await self._reader.letter(hop.msg_id, hop.src)
        if typist is None or letter is None:
            self._loop.post(Typed(session, hop, HopState.HELD, NOBODY if letter else "it was forgotten here"))
            return
        letter = self._named(letter)
        over = False
        try:
            async for progress in typist.type(
                lambda shell: line(letter, session, self._limit, shell), marker(hop.msg_id)
            ):
                over = progress.over
                self._told(session, hop, letter, progress)
        except Exception:
            log.exception("typing into %s failed", session)
        if not over:
            self._loop.post(Typed(session, hop, HopState.UNKNOWN, "unknown outcome: typing it failed here"))

    def _told(self, session: str, hop: Hop, letter: Letter, progress: Progress) -> None:
        """A rung was proved. A pointer that is seen is no message that is seen."""
        state, reason = progress.state, progress.reason
        if state is HopState.SEEN:
            crash_at("after_type")
            if not fits(letter, self._limit):
                state, reason = HopState.FETCHED, "a pointer to it was typed and seen: it waits in the inbox there"
        reading = progress.reading
        shown = (reading.state, reading.why) if reading else ("", "")
        self._loop.post(Typed(session, hop, state, reason, progress.over, *shown))

    async def _seek(self, session: str, hop: Hop) -> None:
        typist = self._typists.get(session)
        letter = await self._reader.letter(hop.msg_id, hop.src)
        if typist is None or letter is None:
            self._loop.post(Typed(session, hop, HopState.UNKNOWN, NOBODY if letter else "it was forgotten here"))
            return
        letter = self._named(letter)
        compose = partial(line, letter, session, self._limit)
        self._told(session, hop, letter, await typist.seek(compose, marker(hop.msg_id)))

    def _reseed(self, session: str) -> None:
        """One writer a session; what changes while it writes is written after."""
        busy = session in self._seeding
        self._seeding[session] = busy
        if not busy:
            self._spawn(self._seed(session))

    async def _seed(self, session: str) -> None:
        try:
            again = True
            while again:
                self._seeding[session] = False
                text = (await self.waiting(session, hook=True)).text
                await asyncio.to_thread(shelves.write_seed, self._home, session, text)
                again = self._seeding[session]
        finally:
            del self._seeding[session]

    # ------------------------------------------------------------------------------------------------- terminals

    async def allow(self, session: str, pane: str, socket: str = "", kind: str = "tmux", prompt: str = "") -> SeatLine:
        """Let a session be typed into. Raises `FleetError`: `usage.session`, `usage.prompt`, `text.pane`."""
        name = _session(session)
        _check_terminal(kind, pane, socket, prompt)
        stamp = ""
        if kind == "tmux":
            try:
                stamp = await identify(socket, pane)
            except Gone as gone:
                step = "run it in the pane itself, or name one of `tmux list-panes -a`"
                raise FleetError("text.pane", "No such terminal", f"{pane} at {socket}: {gone}", step) from None
        async with self._changing:
            seats = {**self._seats, name: Allowed(name, kind, pane, socket, stamp, prompt)}
            await self._changed(seats, name)
            self._watch(name)
            self._tell()
        return self._line(name)

    async def forbid(self, session: str) -> None:
        """Never type into it again. Raises `FleetError` `unknown.session`."""
        name = _session(session)
        async with self._changing:
            if name not in self._seats:
                known = ", ".join(sorted(self._seats)) or "none"
                why, step = f"`{name}`; those that do: {known}", "`fleet text list`"
                raise FleetError("unknown.session", "That session takes no text", why, step, Fault.THEIRS)
            await self._changed({key: one for key, one in self._seats.items() if key != name}, name)
            self._tell()

    async def _changed(self, seats: dict[str, Allowed], name: str) -> None:
        await asyncio.to_thread(shelves.keep, self._home, seats.values())
        self._seats = seats
        await self._leave(name)

    def seats(self) -> list[SeatLine]:
        """The sessions that may be typed into."""
        return [self._line(session) for session in sorted(self._seats)]

    def _line(self, session: str) -> SeatLine:
        seat, place = self._seats[session], self._loop.fleet.places.get(session, Place())
        state = (place.state, place.why, len(place.open), place.typed_ms)
        return SeatLine(session, seat.kind, seat.pane, seat.socket, *state)

    # ----------------------------------------------------------------------------------------------------- reading

    async def waiting(self, session: str, limit: int = PAGE, hook: bool = False, after: int = 0) -> SessionMail:
        """A page of what came for a session and was not read: of all of it, or for its hook what nothing else has given
        it. `after`: go on behind this row."""
        name = _session(session)
        read = await self._reader.cursor(name)
        mail = await (self._waiting if hook else self._unread)(name, min(max(limit, 1), PAGE), max(after, read))
        known = bool(mail.row or read or after or name in self._seats)
        return msgspec.structs.replace(mail, known=known)

    async def _unread(self, session: str, limit: int, after: int) -> SessionMail:
        unread, left = await self._reader.unread(session, after, limit)
        row = unread[-1].row if unread else 0
        return SessionMail(session, row, tuple(self._named(one.letter) for one in unread), left)

    async def _waiting(self, session: str, limit: int, after: int) -> SessionMail:
        """Without what its terminal has shown it, and what is only to be typed; a page of nothing else is passed."""
        unread, left = await self._reader.unread(session, after, limit)
        while left and unread and not any(map(_fresh, unread)):
            unread, left = await self._reader.unread(session, unread[-1].row, limit)
        named = [msgspec.structs.replace(one, letter=self._named(one.letter)) for one in unread if _fresh(one)]
        text, shown = render(session, named, left)
        row = unread[-1].row if unread and shown == len(named) else named[shown - 1].row if shown else 0
        return SessionMail(session, row, tuple(one.letter for one in named[:shown]), left + len(named) - shown, text)

    async def acknowledge(self, session: str, row: int, how: str = "inbox", shown: Iterable[str] = ()) -> None:
        """A session has what came up to `row` (0: nothing new); markers in `shown` stood in its own prompt or
        transcript. Durable when this returns."""
        name = _session(session)
        proved = set(shown)
        if proved:
            hops = await self._reader.unproved(name, PROVABLE)
            seen = tuple(one for one in hops if marker(one.msg_id) in proved)
            if seen:
                await self._fetched(name, 0, seen, HopState.SEEN, "its own hook showed it")
        at = await self._reader.cursor(name)
        while at < row:
            page, _ = await self._reader.unread(name, at, PAGE)
            taken = tuple(one for one in page if one.row <= row)
            if not taken:
                break
            given = [one for one in taken if not one.text_only]
            hops = tuple([hop for one in given if (hop := await self._untaken(one)) is not None])
            at = taken[-1].row
            await self._fetched(name, at, hops, HopState.FETCHED, TAKEN[how])

    async def _untaken(self, one: Unread) -> Hop | None:
        hop = await self._reader.hop(one.letter.id, one.letter.sender)
        return hop if hop and hop.state not in (HopState.SEEN, HopState.FETCHED) else None

    async def _fetched(self, session: str, row: int, hops: tuple[Hop, ...], state: HopState, reason: str) -> None:
        ticket, done = self._hands.ticket()
        self._loop.post(Fetched(session, row, hops, state, reason, ticket))
        await done

    def _named(self, letter: Letter) -> Letter:
        return msgspec.structs.replace(letter, sender=self._loop.fleet.name_of(letter.sender))


def _fresh(one: Unread) -> bool:
    """Whether nothing but its hook gives it to the session."""
    return not one.text_only and one.state != HopState.SEEN


# What may stand in a command of tmux and in a script.
_PANE = re.compile(r"%\d{1,9}")
_TTY = re.compile(r"/dev/[\w/]{1,60}")


def _check_terminal(kind: str, pane: str, socket: str, prompt: str) -> None:
    if kind not in TERMINALS:
        raise _usage("terminal", "No such kind of terminal", f"`{kind}`; there are {', '.join(TERMINALS)}")
    if kind == "tmux" and not (_PANE.fullmatch(pane) and socket.startswith("/") and socket.isprintable()):
        why = f"pane {pane or 'none'}, socket {socket or 'none'}"
        raise _usage("terminal", "That is no tmux pane", why, "run it inside tmux, or give --pane %3 --socket PATH")
    if kind != "tmux" and not _TTY.fullmatch(pane):
        raise _usage("terminal", "That is no terminal", f"`{pane}`", "give --pane as `tty` prints it there")
    try:
        re.compile(prompt)
    except re.error as error:
        raise _usage("prompt", "That is no pattern", f"{prompt}: {error}", "docs/sessions-mail.md") from None


def _session(session: str) -> str:
    name = session.lower()
    if not SESSION.fullmatch(name):
        raise _usage("session", "That is no session's name", f"`{session}`: up to 64 letters, digits and _ . @ -")
    return name


def _usage(code: str, title: str, detail: str, step: str = "`fleet text allow --help`") -> FleetError:
    return FleetError(f"usage.{code}", title, detail, step, Fault.THEIRS)
