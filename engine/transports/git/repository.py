"""One run of git: in a repository of ours, without a terminal, with an end (edge).

It asks nobody anything: no prompt, no graphical one either, ssh in batch mode. The person's configuration holds where
it says how to get in (ssh, credential helpers, proxies); what it says of identity, signing and hooks is overruled by
the repository's own. git and all it starts are one process group: when time is up, or nobody waits any more, all of it
is asked to end, so that it takes its lock files with it, and then ended.
"""

import asyncio
import os
import shlex
import shutil
import signal
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.transports.git.refs import whole

# All that is never read from our own environment: it would lead git to another repository, or make it talk.
_FOREIGN = frozenset(
    "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_OBJECT_DIRECTORY GIT_DIR GIT_WORK_TREE "
    "GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_INDEX_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE GIT_PREFIX "
    "GIT_SHALLOW_FILE GIT_COMMON_DIR GIT_NAMESPACE GIT_QUARANTINE_PATH".split()
)
# Incompressible bytes are packed as they are, and nobody looks for likenesses among them. `fsync`: the outbox is the
# record, this is a copy on its way.
_CONFIG = """\
[core]
    repositoryformatversion = 0
    bare = true
    hooksPath = /dev/null
    compression = 0
    fsync = none
    logAllRefUpdates = false
    bigFileThreshold = 16m
[pack]
    window = 0
[user]
    name = Fleet
    email = fleet@localhost
[commit]
    gpgSign = false
[push]
    gpgSign = false
    followTags = false
    recurseSubmodules = no
[fetch]
    unpackLimit = 1
    recurseSubmodules = no
    writeCommitGraph = false
[gc]
    auto = 0
[maintenance]
    auto = false
[credential]
    interactive = false
[http]
    lowSpeedLimit = 1000
    lowSpeedTime = 10
"""
_TERM_S = 1.0
_ERRORS_READ = 64 * 1024
_BLOCK = 512  # what the shell's `ulimit -f` counts in (POSIX)


class Ran(msgspec.Struct, frozen=True):
    """How a run ended: 0 is well. `err` is its last 64 kB."""

    status: int
    out: bytes
    err: str


class TooMuch(Exception):
    """It printed more than anybody wanted to read, and was ended."""


class Repository:
    """The bare repository at `folder`, which it makes, and git in it. One at a time: whoever shares it sees to that."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._ssh = ""
        self._process: asyncio.subprocess.Process | None = None

    def begin(self) -> None:
        """Be there: a repository is its HEAD, its configuration and two folders. Lock files of a run that was killed
        are taken away: nobody else works here. Raises `OSError`."""
        for folder in (self.folder.parent, self.folder, self.folder / "objects", self.folder / "refs"):
            folder.mkdir(0o700, parents=True, exist_ok=True)
        for left in self.folder.rglob("*.lock"):
            left.unlink(missing_ok=True)
        (self.folder / "config").write_text(_CONFIG)
        (self.folder / "HEAD").write_text("ref: refs/heads/none\n")

    async def ask_ssh(self) -> None:
        """Learn how this person uses ssh. Raises as `run` does."""
        said = await self.run("config", "--get", "core.sshCommand")
        self._ssh = said.out.decode(errors="replace").strip()

    def store(self, kind: str, data: bytes) -> str:
        """Keep an object; its name. What git needs three processes for is three small files. Raises `OSError`."""
        name, found = whole(kind, data)
        folder = self.folder / "objects" / name[:2]
        folder.mkdir(0o700, exist_ok=True)
        draft = folder / f"tmp_obj_{name}"
        draft.write_bytes(zlib.compress(found, 0))
        draft.replace(folder / name[2:])
        return name

    def point(self, ref: str, commit: str) -> None:
        """Set a ref, so that cleaning spares what it holds. Raises `OSError`."""
        path = self.folder / ref
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(f"{commit}\n")
        draft.replace(path)

    def discard(self) -> None:
        """Throw away all it holds; it can begin again."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def run(
        self, *words: str, stdin: bytes = b"", limit: int = 1 << 20, within_s: float = 30.0, file_limit: int = 0
    ) -> Ran:
        """`git <words>`. `file_limit`: bytes of the largest file it may write (0: any). Raises `TimeoutError`,
        `TooMuch` (it printed more than `limit`) and `OSError` (no git, no room)."""
        command = ("git", f"--git-dir={self.folder}", *words)
        if file_limit:
            command = ("/bin/sh", "-c", f'ulimit -f {file_limit // _BLOCK}; exec "$@"', "sh", *command)
        with tempfile.TemporaryFile() as errors:
            # Not a pipe: a master connection that ssh leaves behind holds it open, and waiting for its end would be
            # waiting for that.
            self._process = process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=self.folder,
                env=environment(self._ssh),
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(within_s):
                    out = await _conversation(process, stdin, limit)
                    status = await process.wait()
            finally:
                await _ended(process)
                self._process = None
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _ERRORS_READ))
            return Ran(status, out, errors.read().decode(errors="replace"))

    def was_cut(self, size: int) -> bool:
        """Whether a pack that was coming in was cut off at this size. git does not say so: what unpacked it died. What
        is left of it is taken away."""
        left = list((self.folder / "objects" / "pack").glob("tmp_pack_*"))
        found = any(one.stat().st_size >= size for one in left)
        for one in left:
            one.unlink(missing_ok=True)
        return found

    def kill(self) -> None:
        """End what runs now, if anything does; whoever waits for it sees that it failed."""
        if self._process is not None:
            _signal(self._process, signal.SIGTERM)


def environment(ssh: str) -> dict[str, str]:
    """Our own, without what leads astray or waits for a person. `ssh`: what `core.sshCommand` says, which the variable
    that is set here would overrule."""
    own = {key: value for key, value in os.environ.items() if key not in _FOREIGN and not key.startswith("GIT_TRACE")}
    program = shlex.quote(own["GIT_SSH"]) if own.get("GIT_SSH") else "ssh"
    command = own.get("GIT_SSH_COMMAND") or ssh or program
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "LC_ALL": "C"}
    return {**own, **quiet, "GIT_SSH_COMMAND": f"{command} -o BatchMode=yes -o ConnectTimeout=10"}


async def _conversation(process: asyncio.subprocess.Process, stdin: bytes, limit: int) -> bytes:
    """All that git prints, while it is told all that it is to hear."""
    if stdin:
        async with asyncio.TaskGroup() as group:
            group.create_task(_tell(process, stdin))
            reading = group.create_task(_read(process, limit))
        out = reading.result()
    else:
        out = await _read(process, limit)
    if out is None:
        raise TooMuch
    return out


async def _tell(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process, limit: int) -> bytes | None:
    """None: there was more than `limit`, and it was ended."""
    assert process.stdout is not None
    parts, size = [], 0
    while part := await process.stdout.read(1 << 20):
        parts.append(part)
        size += len(part)
        if size > limit:
            _signal(process, signal.SIGTERM)
            return None
    return b"".join(parts)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left, whatever happened."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        ending = asyncio.ensure_future(process.communicate())
        try:
            await asyncio.wait((ending,), timeout=_TERM_S)
        finally:
            _signal(process, signal.SIGKILL)
            await ending
    else:
        _signal(process, signal.SIGKILL)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Its process group has its own number, for as long as one of it lives.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
