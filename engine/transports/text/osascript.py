"""Tabs of macOS Terminal and iTerm2, by AppleScript (edge). Written after their dictionaries; never tried.

A tab is named by its tty, which `tty` prints in it. AppleScript tells no cursor and no colours: the cursor is taken to
stand behind the last visible text of a prompt's row, so a faint suggestion counts as typed, and such a session is held.
A put that finds the screen changed does nothing; between that look and the typing a keystroke can still come, which
tmux rules out and this cannot.
"""

import asyncio
import shutil

from engine.transports.text.prompts import PROMPTS
from engine.transports.text.screen import Look
from engine.transports.text.terminal import Gone

ANSWER_S = 2.0
_FIND = {
    "Terminal": "repeat with w in windows\nrepeat with t in tabs of w\nif tty of t is {tty} then\n{act}\nend if\n"
    "end repeat\nend repeat",
    "iTerm2": "repeat with w in windows\nrepeat with b in tabs of w\nrepeat with t in sessions of b\n"
    "if tty of t is {tty} then\n{act}\nend if\nend repeat\nend repeat\nend repeat",
}
_TEXT = {"Terminal": "return contents of t", "iTerm2": "return contents of t"}
_COMMAND = {"Terminal": "return last item of (get processes of t)", "iTerm2": 'return variable named "jobName" of t'}
# Terminal cannot type without Return, so there Return is part of putting and nothing is left to enter.
_PUT = {"Terminal": "do script {line} in t\nreturn true", "iTerm2": "write text {line} in t newline NO\nreturn true"}
_ENTER = {"Terminal": "return true", "iTerm2": 'write text "" in t newline YES\nreturn true'}


class Tab:
    """One tab of `program` as a `Terminal`."""

    def __init__(self, program: str, tty: str):
        self._program, self._tty = program, tty

    async def look(self) -> Look:
        """What it shows."""
        text = await self._do(_TEXT[self._program])
        command = await self._do(_COMMAND[self._program])
        rows = text.rstrip().split("\n")
        y = next((at for at in range(len(rows) - 1, -1, -1) if _prompts(rows[at], command)), len(rows) - 1)
        return Look(text, len(rows[y]), y, command.strip(), stamp=text)

    async def put(self, line: str, seen: Look) -> bool:
        """Type it, where the tab still shows what was seen."""
        return await self._if_as(seen, _PUT[self._program].format(line=_quoted(line)))

    async def enter(self, seen: Look) -> bool:
        """Submit it, likewise."""
        return await self._if_as(seen, _ENTER[self._program])

    async def history(self) -> str:
        """Its scroll-back, where the program tells it."""
        return await self._do("return history of t") if self._program == "Terminal" else ""

    async def close(self) -> None:
        """Nothing is kept."""

    async def _if_as(self, seen: Look, act: str) -> bool:
        return (await self.look()).stamp == seen.stamp and (await self._do(act)).strip() == "true"

    async def _do(self, act: str) -> str:
        program = shutil.which("osascript")
        if program is None:
            raise Gone("this machine has no osascript")
        found = _FIND[self._program].format(tty=_quoted(self._tty), act=act)
        script = f"tell application {_quoted(self._program)}\n{found}\nend tell\nerror number -1728"
        process = await asyncio.create_subprocess_exec(
            program, "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                out, _ = await process.communicate(script.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Gone(f"{self._program} does not answer") from None
        if process.returncode:
            raise Gone("its terminal has gone, or may not be scripted")
        return out.decode(errors="replace").removesuffix("\n")


def _prompts(row: str, command: str) -> bool:
    known = (one for one in PROMPTS if not one.commands or command.strip().lstrip("-") in one.commands)
    return any(one.start.match(f"{row} ") for one in known)


def _quoted(text: str) -> str:
    """A text as AppleScript writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
