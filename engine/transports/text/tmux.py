"""A tmux pane over one lasting control-mode connection (edge).

    tmux -u -S SOCKET -C attach-session -t %3 -f ignore-size,no-output

The client counts for no window's size and is sent no output; it looks with `capture-pane` and types with a buffer and
`paste-buffer -p` (bracketed where the program asked for it). Ours are the commands on stdin; each comes back as a block
`%begin N … %end N`, several where it runs others. The protocol quotes nothing, so a pane may show lines like these.
Behind each command stands one that prints a word nobody can guess: what comes before it is the command's answer, and of
lines that could end a block the last one does.

A paste or an Enter stands inside `if-shell -F`: one turn of the server compares cursor, mode, program and process with
those of the look, and types. Nothing can come between. Decision 42 has what else was thought of.
"""

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from engine.transports.text.screen import DEAD, IN_MODE, SHUT, TOGETHER, Look
from engine.transports.text.terminal import Gone

ANSWER_S = 5.0
END_S = 0.5
HISTORY_LINES = 2_000
# A line of a screen with all its colours, with room to spare.
LINE_BYTES = 1 << 20
# What must be the same a moment later for the pane to be as it was looked at.
STAMP: Final = (
    "#{pane_in_mode}/#{cursor_x}/#{cursor_y}/#{pane_dead}/#{pane_pid}/#{alternate_on}/#{pane_synchronized}/"
    "#{pane_input_off}/#{pid}.#{start_time}/#{pane_current_command}"
)
_STAMPED = re.compile(r"(\d+)/(\d+)/(\d+)/(\d+)/(\d+)/(\d*)/(\d*)/(\d*)/([\d.]+)/(.*)", re.DOTALL)
# The name of our buffer; it is deleted as it is pasted.
BUFFER = "fleet"
NO_TMUX = "this machine has no tmux"
UNTYPABLE = "it cannot be typed in one line"
NO_PANE = "its terminal has gone"
GARBLED = "its tmux answers something that cannot be read"
OTHER = "its tmux has started anew since: `fleet text allow` again"


class Control:
    """One connection to one tmux server. Made anew when it has ended."""

    def __init__(self, socket: str, target: str):
        self._socket, self._target = socket, target
        self._process: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def ask(self, *commands: str) -> list[str]:
        """The output of each command, in order. Raises `Gone`, also for a command of more than one line: the second
        would be a command of its own."""
        if any(sign in command for command in commands for sign in "\n\r\0"):
            raise Gone(UNTYPABLE)
        async with self._one:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await self._asked(commands)
            except (TimeoutError, ConnectionError, EOFError, ValueError) as error:
                await self._end()
                raise Gone(_why(error)) from None
            except asyncio.CancelledError:
                # Half a question would be answered to the next one.
                await self._end()
                raise

    async def close(self) -> None:
        """End the connection; the pane stays."""
        await self._end()

    async def _asked(self, commands: tuple[str, ...]) -> list[str]:
        process = self._process or await self._attached()
        assert process.stdin
        assert process.stdout
        word = secrets.token_hex(8)
        process.stdin.write("".join(f"{command}\ndisplay-message -p {word}\n" for command in commands).encode())
        await process.stdin.drain()
        return [block for _ in commands for block in blocks(await _upto(process.stdout, word))]

    async def _attached(self) -> asyncio.subprocess.Process:
        program = shutil.which("tmux")
        if program is None:
            raise Gone(NO_TMUX)
        process = await asyncio.create_subprocess_exec(
            *(program, "-u", "-S", self._socket, "-C", "attach-session", "-t", self._target),
            *("-f", "ignore-size,no-output"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_outside(os.environ),
            limit=LINE_BYTES,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout
        # The answer to attaching itself, before which nothing is asked; an end if there is nothing to attach to.
        while not (line := await _line(process.stdout)).startswith(("%end ", "%error ")):
            if line.startswith("%exit"):
                raise EOFError
        return process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        # A server that hangs holds the client's output, and with it the client's end for whoever waits.
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_S)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "its tmux does not answer"
    return GARBLED if isinstance(error, ValueError) else NO_PANE


async def _upto(stream: asyncio.StreamReader, word: str) -> list[str]:
    """All lines before the block that holds just this word."""
    lines: list[str] = []
    while (line := await _line(stream)) != word:
        lines.append(line)
    await _line(stream)
    return lines[:-1]


def blocks(lines: list[str]) -> list[str]:
    """The answers in these lines; what tmux tells between them is passed over. A refused command answers with its
    error, marked as one. Raises `ValueError` when one has no end."""
    found: list[str] = []
    at = 0
    while at < len(lines):
        number = lines[at].removeprefix("%begin ")
        if number != lines[at]:
            ends = {f"%end {number}": "", f"%error {number}": REFUSED}
            last = max(there for there in range(at, len(lines)) if lines[there] in ends)
            found.append(ends[lines[last]] + "\n".join(lines[at + 1 : last]))
            at = last
        at += 1
    return found


# What no terminal shows.
REFUSED = "\0"


async def _line(stream: asyncio.StreamReader) -> str:
    line = await stream.readline()
    if not line:
        raise EOFError
    return line.decode(errors="replace").rstrip("\n")


def _outside(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would make tmux think that it runs in itself."""
    return {key: value for key, value in env.items() if key not in ("TMUX", "TMUX_PANE")}


class Pane:
    """A pane as a `Terminal`. `identity`: server and first process, as `identify` gave them."""

    def __init__(self, socket: str, pane: str, identity: str):
        self._control, self._pane, self._identity = Control(socket, pane), pane, identity

    async def look(self) -> Look:
        """What it shows. Raises `Gone`, also where another pane has its number now."""
        stamp, text, *_ = await self._answers(
            f"display-message -p -t {self._pane} {quoted(STAMP)}", f"capture-pane -p -e -t {self._pane}"
        )
        found = _STAMPED.fullmatch(stamp)
        if found is None:
            raise Gone(GARBLED)
        mode, x, y, dead, pid, _, together, shut, server, command = found.groups()
        if f"{server}.{pid}" != self._identity:
            raise Gone(OTHER)
        hold = DEAD if dead != "0" else IN_MODE if mode != "0" else TOGETHER if together == "1" else ""
        return Look(text, int(x), int(y), command, hold or (SHUT if shut == "1" else ""), stamp)

    async def put(self, line: str, seen: Look) -> bool:
        """Paste it."""
        *_, said = await self._answers(
            f"set-buffer -b {BUFFER} -- {quoted(line)}",
            _if_as(seen, self._pane, f"paste-buffer -p -d -b {BUFFER} -t {self._pane}"),
        )
        if said != TAKEN:
            await self._answers(f"delete-buffer -b {BUFFER}")
        return said == TAKEN

    async def enter(self, seen: Look) -> bool:
        """Press Enter."""
        *_, said = await self._answers(_if_as(seen, self._pane, f"send-keys -t {self._pane} Enter"))
        return said == TAKEN

    async def submit(self, line: str) -> None:
        """Paste and Enter in one breath, looked at by nobody: what tmux itself needs for it (for measuring)."""
        await self._answers(
            f"set-buffer -b {BUFFER} -- {quoted(line)}",
            f"paste-buffer -p -d -b {BUFFER} -t {self._pane}",
            f"send-keys -t {self._pane} Enter",
        )

    async def history(self) -> str:
        """Its scroll-back, wrapped lines joined."""
        text, *_ = await self._answers(f"capture-pane -p -J -S -{HISTORY_LINES} -E -1 -t {self._pane}")
        return text

    async def close(self) -> None:
        """Disconnect."""
        await self._control.close()

    async def _answers(self, *commands: str) -> list[str]:
        answers = await self._control.ask(*commands)
        if any(one.startswith(REFUSED) for one in answers) or len(answers) < len(commands):
            raise Gone(NO_PANE)
        return answers


TAKEN, CHANGED = "taken", "changed"


def _if_as(seen: Look, pane: str, command: str) -> str:
    """Do it only while the pane is as it was seen; it prints `TAKEN` then."""
    same = f"#{{==:{STAMP},{_literal(seen.stamp)}}}"
    done = quoted(f"{command} ; display-message -p {TAKEN}")
    return f"if-shell -F -t {pane} {quoted(same)} {done} 'display-message -p {CHANGED}'"


def _literal(text: str) -> str:
    """A text inside a format, meaning itself."""
    return text.replace("#", "##").replace(",", "#,").replace("}", "#}")


def quoted(text: str) -> str:
    """A text as one word of tmux's command language, meaning itself."""
    return "'" + text.replace("'", "'\\''") + "'"


async def identify(socket: str, pane: str) -> str:
    """The identity of a pane now. Raises `Gone`."""
    control = Control(socket, pane)
    try:
        said = (await control.ask(f"display-message -p -t {pane} '#{{pid}}.#{{start_time}}.#{{pane_pid}}'"))[0]
    except IndexError:
        raise Gone(NO_PANE) from None
    finally:
        await control.close()
    if said.startswith(REFUSED):
        raise Gone(NO_PANE)
    return said
