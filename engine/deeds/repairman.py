"""The repair agent of this machine, started once for one fault (edge).

It is the owner's own command with the question as its last argument: a process group of its own, nothing on its
standard input, a deadline, and an environment without anything of Fleet's. What it says goes to a file of the home, at
most 256 KiB of it; its exit code is the verdict, and its last line the note. It gets no more rights than this user has,
and the command decides how few of them it uses (`docs/repair.md`).
"""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.model.repair import Ended
from engine.security.redact import mask

OUTPUT_LIMIT = 256 << 10
KEPT = 20
NOTE_LIMIT = 160
GRACE_S = 2.0
DONE = f"{Ended.DONE}: "
# Fleet's own settings name its key file and its home, and another agent's session token is nobody else's.
SECRET = re.compile(r"FLEET_|CLAUDE_CODE_")


async def work(argv: tuple[str, ...], prompt: str, folder: Path, ask: str, limit_s: float) -> str:
    """Let it work; its last line. Raises `FleetError`: `refused.agent` without one, `failed.agent` when it could not
    start, ended with an error, or was not done in time."""
    if not argv:
        raise FleetError("refused.agent", "No repair agent", "no repair agent is configured (repair.agent)")
    path = _file(folder, ask)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            prompt,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(f"{argv[0]}: {error.strerror or error}") from None
    try:
        async with asyncio.timeout(limit_s):
            last = await _heard(process, path)
            status = await process.wait()
    except TimeoutError:
        raise _failed(f"not done after {limit_s:g} s; what it said is in {path.name}") from None
    finally:
        await _ended(process)
    if status:
        raise _failed(f"exit {status}: {last or 'without a word'}")
    # Its verdict is its exit code, and is said beside its note: "done: done: …" says it twice.
    return last.removeprefix(DONE) or "it said nothing"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What an agent sees of ours: what its owner gave this process, without what is Fleet's or another agent's."""
    return {name: value for name, value in environ.items() if not SECRET.match(name)} | {"TERM": "dumb"}


def last_line(said: bytes) -> str:
    """The last line with something on it, fit for a ledger: no control characters, no secrets, and short."""
    for line in reversed(said.decode(errors="replace").splitlines()):
        clean = "".join(sign if sign.isprintable() else " " for sign in line).strip()
        if clean:
            return mask(clean)[:NOTE_LIMIT]
    return ""


async def _heard(process: asyncio.subprocess.Process, path: Path) -> str:
    """Everything it says; the file takes the first part, the end is remembered for the note."""
    assert process.stdout is not None
    room, tail = OUTPUT_LIMIT, b""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while said := await process.stdout.read(8_192):
            os.write(file, said[:room])
            room -= min(room, len(said))
            tail = (tail + said)[-4_096:]
    finally:
        os.close(file)
    return last_line(tail)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing of its group is left, whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if process.returncode is not None:
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), GRACE_S)


def _file(folder: Path, ask: str) -> Path:
    """A new file for this work; only the newest are kept. The name is ours whatever `ask` says."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"), key=lambda one: one.stat().st_mtime)[: 1 - KEPT or None]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise _failed(f"{folder}: {error.strerror or error}") from None
    return folder / (re.sub(r"[^\w-]", "_", ask)[:64] + ".log")


def _failed(why: str) -> FleetError:
    return FleetError("failed.agent", "The repair agent failed", why, "", Fault.WORLD)
