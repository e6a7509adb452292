"""Files put into a folder of a peer's machine, over SFTP (edge).

    <name>.part --write, fsync, close--> rename to <name>

Whoever watches that folder sees a finished file or none. A write that failed says why in words a person can act on:
SFTP itself knows only "failure", so the file system there is asked whether it is full or read-only.
"""

import os
from contextlib import suppress

import asyncssh

from engine.model.channel import Outcome, Verdict
from engine.transports.ssh.faults import Broken, Dropped, lost

PART = ".part"
# statvfs(3), as `statvfs@openssh.com` has it.
_READ_ONLY = 1


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
