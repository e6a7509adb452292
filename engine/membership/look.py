"""A look at this machine: load, and the git state of the directory it works in (edge)."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from engine.signals import Looked

DEADLINE_S = 2.0


async def look(workdir: str) -> Looked:
    """How this machine is now; empty git fields outside a repository."""
    said = await _git(workdir, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    facts = dict(line[2:].split(" ", 1) for line in said.splitlines() if line.startswith("# branch."))
    dirty = sum(not line.startswith("#") for line in said.splitlines())
    head = facts.get("branch.oid", "")
    return Looked(
        load=os.getloadavg()[0],
        cwd=workdir,
        branch=facts.get("branch.head", ""),
        head="" if head.startswith("(") else head[:12],
        dirty=dirty,
    )


async def _git(workdir: str, *words: str) -> str:
    if not Path(workdir).is_dir():
        return ""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            "git", "-C", workdir, *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip
    except OSError:
        return ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return ""
    return said.decode(errors="replace") if process.returncode == 0 else ""
