"""Notices on the desktop of whoever sits at this machine (edge).

    Linux: notify-send      macOS: osascript      neither, or no session to show it in: a finding says so

One a minute and peer at most, and none waits longer than its deadline for a desktop that does not answer. The finding
stands before and either way, so that nobody depends on a bubble that was missed. Nothing a peer wrote is shown: only
names, which the roster vouches for.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from engine.effects import Notify
from engine.signals import Signal, Told

APART_S = 60.0
DEADLINE_S = 5.0


class Desktop:
    """Tells, or says why it could not. `post` lets the node hear what came of it; `clock` is monotonic seconds."""

    def __init__(self, post: Callable[[Signal], None], clock: Callable[[], float], environ: Mapping[str, str]):
        self._post, self._clock, self._environ = post, clock, environ
        self._told: dict[str, float] = {}

    async def tell(self, notice: Notify) -> None:
        """One notice; within a minute of the last about the same peer, none."""
        now = self._clock()
        if now - self._told.get(notice.peer, float("-inf")) < APART_S:
            return
        self._told[notice.peer] = now
        failed = await self._shown(notice.text)
        how = "the desktop was told" if not failed else f"the desktop could not be told: {failed}"
        self._post(Told(notice.peer, how))

    async def _shown(self, text: str) -> str:
        """Why it could not be shown; nothing when it was."""
        command = commanded(text, sys.platform, self._environ)
        if isinstance(command, str):
            return command
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror or error}"
        try:
            status = await asyncio.wait_for(process.wait(), DEADLINE_S)
        except TimeoutError:
            return f"{command[0]} gave no answer in {DEADLINE_S:g} s"
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        return f"{command[0]} ended with {status}" if status else ""


def commanded(text: str, platform: str, environ: Mapping[str, str]) -> tuple[str, ...] | str:
    """The command that shows `text`, or why there is none."""
    path = environ.get("PATH", os.defpath)
    if platform == "darwin":
        said = text.replace("\\", "\\\\").replace('"', '\\"')
        found = shutil.which("osascript", path=path)
        return (found, "-e", f'display notification "{said}" with title "Fleet"') if found else "there is no osascript"
    if not (environ.get("DBUS_SESSION_BUS_ADDRESS") or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "this node runs in no desktop session"
    found = shutil.which("notify-send", path=path)
    if not found:
        return "there is no notify-send"
    return found, "--urgency=critical", "--app-name=Fleet", "--expire-time=30000", "Fleet", text
