"""Files put into a folder of a peer's machine, over SFTP (edge).

    <name>.part --write, fsync, close--> rename to <name>

Whoever watches that folder sees a finished file or none. A write that failed says why in words a person can act on:
SFTP itself knows only "failure", so the file system there is asked whether it is full or read-only.

And who owns what there: a file or a socket proves something of the user we sign in as only where nobody else on that
machine could have put it there.
"""

import os
import posixpath
import stat
from collections.abc import Callable
from contextlib import suppress

import asyncssh

from engine.model.channel import Outcome, Verdict
from engine.transports.ssh.faults import Broken, Dropped, lost

PART = ".part"
# statvfs(3), as `statvfs@openssh.com` has it.
_READ_ONLY = 1
_OTHERS = 0o022


class Files:
    """One SFTP session."""

    def __init__(self, client: asyncssh.SFTPClient):
        self._client = client

    async def put(self, folder: str, name: str, data: bytes) -> bool:
        """Put a file there, whole or not at all; False where its server could not sync it to its disk. Raises
        `Broken`: `Dropped` when the session is gone, else with what is wrong there."""
        whole = f"{folder}/{name}"
        part = whole + PART
        try:
            synced = await self._written(part, data)
            await self._renamed(part, whole)
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost):
            raise Dropped from None
        except asyncssh.SFTPError as error:
            raise await self._explained(error, folder, part, len(data)) from None
        except (asyncssh.Error, OSError):
            raise Dropped from None
        return synced

    async def kept(self, folder: str, name: str, mode: int, size: int) -> bytes | None:
        """A file of just this mode and size, in a folder that is its user's alone; None where there is none. Nothing
        that may be something else is opened. Raises `Broken`."""
        whole = f"{folder}/{name}"
        try:
            own = await self._own()
            if not _is(await self._client.lstat(folder), stat.S_ISDIR, own, 0o077):
                return None
            there = await self._client.lstat(whole)
            if not _is(there, stat.S_ISREG, own, 0o777 & ~mode) or there.size != size:
                return None
            file = await self._client.open(whole, "rb")
            found: bytes = await file.read(size)
            await file.close()
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost):
            raise Dropped from None
        except asyncssh.SFTPError as error:
            raise lost(f"its SFTP server said: {error.reason}"[:200]) from None
        except (asyncssh.Error, OSError):
            raise Dropped from None
        return found

    async def guards(self, path: str) -> bool:
        """Whether a socket and its folder are its user's, and nobody but root could put others in their place: what
        leads there is looked at as sshd itself looks at what leads to its keys (StrictModes)."""
        folder = posixpath.dirname(path)
        try:
            own = await self._own()
            real = str(await self._client.realpath(folder))
            above = dict.fromkeys((*_above(folder), *_above(real)))
            return (
                _is(await self._client.lstat(path), stat.S_ISSOCK, own, _OTHERS)
                and _is(await self._client.lstat(real), stat.S_ISDIR, own, _OTHERS)
                and all([_leads(await self._client.lstat(one), own) for one in above])
            )
        except (asyncssh.Error, OSError):
            return False

    async def _own(self) -> int:
        """The user we signed in as: whose home it is. Raises `SFTPError`."""
        found = (await self._client.stat(".")).uid
        if found is None:
            raise asyncssh.SFTPFailure("it does not say whose files are whose")
        return found

    def close(self) -> None:
        """End the session; the connection stays."""
        self._client.exit()

    async def _written(self, part: str, data: bytes) -> bool:
        file = await self._client.open(part, "xb", asyncssh.SFTPAttrs(permissions=0o600))
        # Not `async with`: whoever is cancelled in there waits for one more answer, from a machine that gives none.
        synced = True
        try:
            await file.write(data)
            await file.fsync()
        except asyncssh.SFTPOpUnsupported:
            synced = False
        except asyncssh.SFTPError:
            await file.close()
            raise
        await file.close()
        return synced

    async def _renamed(self, part: str, whole: str) -> None:
        try:
            await self._client.posix_rename(part, whole)
        except asyncssh.SFTPOpUnsupported:
            # The name is fresh, so the older rename, which replaces nothing, does as well.
            await self._client.rename(part, whole)

    async def _explained(self, error: asyncssh.SFTPError, folder: str, part: str, size: int) -> Broken:
        if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
            return lost("its seed folder is missing")
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            return lost("its seed folder cannot be written")
        with suppress(asyncssh.Error, OSError):
            await self._client.remove(part)
        with suppress(asyncssh.Error, OSError):
            there = await self._client.statvfs(folder)
            if there.flags & _READ_ONLY:
                return lost("its seed folder is read-only")
            if there.bavail * there.frsize < size + os.sysconf("SC_PAGESIZE"):
                return Broken(Outcome(Verdict.REFUSED, "its disk is full", hard=True))
        return lost(f"its SFTP server said: {error.reason}"[:200])


def _is(found: asyncssh.SFTPAttrs, kind: Callable[[int], bool], own: int, never: int) -> bool:
    """Whether it is of this kind and this user's, with none of these permissions."""
    mode = found.permissions
    return mode is not None and kind(mode) and found.uid == own and not mode & never


def _leads(found: asyncssh.SFTPAttrs, own: int) -> bool:
    """Whether only this user and root can change where it leads. In a sticky folder others have only what is theirs."""
    mode = found.permissions
    if mode is None or found.uid not in (0, own):
        return False
    return stat.S_ISLNK(mode) or not mode & _OTHERS or bool(mode & stat.S_ISVTX)


def _above(folder: str) -> list[str]:
    """A folder and all that lead to it."""
    found = [folder]
    while (higher := posixpath.dirname(found[-1])) != found[-1]:
        found.append(higher)
    return found
