"""A look at this machine: load, and the git state of the directory it works in (edge).

One `git status` at the most, which takes no locks, counts changed files that git knows (untracked ones would have to be
searched for) and is cut off after two seconds or 64 kB. However large the repository, git gets one hundredth of the
time: after a look that took a second the next hundred seconds see what was seen then.
"""

import asyncio
import os
import time
from contextlib import suppress

from engine.signals import Looked

DEADLINE_S = 2.0
OUTPUT_LIMIT = 64 * 1024
# A look every ten seconds never waits for this where git answers within a tenth of one.
REST_FACTOR = 100
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=no")


class Looker:
    """Looks at the machine; `workdir` is the directory whose git state is told."""

    def __init__(self, workdir: str):
        self._workdir = workdir
        self._said, self._rested_at = "", 0.0

    async def look(self) -> Looked:
        """How this machine is now; empty git fields outside a repository, or without git."""
        began = time.monotonic()
        if began >= self._rested_at:
            self._said = await _git(self._workdir, *_STATUS)
            ended = time.monotonic()
            self._rested_at = ended + (ended - began) * REST_FACTOR
        branch, head, dirty = read(self._said)
        return Looked(load=os.getloadavg()[0], cwd=_text(self._workdir), branch=branch, head=head, dirty=dirty)


def _text(path: str) -> str:
    """A folder's name as text: its bytes may be none, and what is no text fits no heartbeat."""
    return os.fsencode(path).decode(errors="replace")


def read(said: str) -> tuple[str, str, int]:
    """Branch, the head's first twelve digits, and the number of changed files, from what `git status` printed."""
    lines = said.splitlines()
    facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and line.count(" ") > 1)
    head = facts.get("branch.oid", "")
    dirty = sum(not line.startswith("#") for line in lines)
    return facts.get("branch.head", ""), "" if head.startswith("(") else head[:12], dirty


async def _git(workdir: str, *words: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *("git", "-c", "core.fsmonitor=false", "-C", workdir, *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _output(process)
    except TimeoutError:
        return ""
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        # Not `wait`: with a pipe that nobody empties it never returns (Python issue 119710). A pipe's worth is left.
        await process.communicate()


async def _output(process: asyncio.subprocess.Process) -> str:
    """What git prints, at most `OUTPUT_LIMIT` bytes; nothing when it fails."""
    assert process.stdout is not None
    said = b""
    while len(said) < OUTPUT_LIMIT and (more := await process.stdout.read(OUTPUT_LIMIT - len(said))):
        said += more
    if len(said) < OUTPUT_LIMIT and await process.wait():
        return ""
    # What was cut off in the middle of a line is still one changed file.
    return said.decode(errors="replace")
