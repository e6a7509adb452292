"""What this machine tells of its own sshd: user, port, host keys, letter slot, seed folder, start command (edge).

Only what was found true is told: an sshd greets on that port here and shows this host key, the socket and the folder
are there. It is looked at again every minute; an sshd that went away is told of no longer. A start command is told only
where this node could be started by it. Before it is told, our voucher for it lies in our seed folder.
"""

import asyncio
import logging
import os
import pwd
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.config import SshConfig
from engine.model.ways import SshWay
from engine.signals import Reachable, Signal
from engine.state import Fleet
from engine.transports.ssh.hostkeys import filed, shown
from engine.transports.ssh.voucher import Sign, leave, made

log = logging.getLogger(__name__)

LOOK_S = 60.0
# Two that find out parts of one word at the same moment may overwrite each other; it is said again after this.
AGAIN_S = 1.0
GREETING_S = 2.0
GREETING = b"SSH-2.0-"
_LOOPBACK = "127.0.0.1"

Holds = Callable[[Fleet], bool]


class SshHerald:
    """Tells peers how this machine is reached by ssh. `slot`, `seeds`: where the two channels take mail; `start`: what
    starts this node (empty: nothing does). `sign`: as this node. `post`, `until`: the engine's loop, `fleet` its newest
    value."""

    def __init__(
        self,
        config: SshConfig,
        slot: Path,
        seeds: Path,
        start: tuple[str, ...],
        sign: Sign,
        fleet: Callable[[], Fleet],
        post: Callable[[Signal], None],
        until: Callable[[Holds], Awaitable[None]],
    ):
        self._config, self._slot, self._seeds, self._start = config, slot, seeds, start
        self._sign, self._fleet, self._post, self._until = sign, fleet, post, until
        self._shown: tuple[str, ...] = ()

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        while True:
            way = await self.look()
            await self._vouch(way)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._say(way)

    async def look(self) -> SshWay | None:
        """How this machine is reached by ssh now; None where it is not."""
        config = self._config
        if not config.enabled or not config.port:
            return None
        host = await self._greeting()
        keys = await self._keys(host) if host else ()
        if not keys:
            return None
        way = SshWay(
            user=config.user or pwd.getpwuid(os.getuid()).pw_name,
            port=config.port,
            host_keys=keys,
            socket=str(self._slot) if _is(self._slot, stat.S_ISSOCK) else "",
            seeds=str(self._seeds) if _is(self._seeds, stat.S_ISDIR) else "",
            start=self._start,
        )
        try:
            # A word that does not fit would cost us every heartbeat: peers refuse what they cannot read.
            return msgspec.convert(msgspec.to_builtins(way), SshWay)
        except msgspec.ValidationError as error:
            log.warning("this machine's sshd cannot be told of: %s", error)
            return None

    async def _vouch(self, way: SshWay | None) -> None:
        if way is None or not way.seeds:
            return
        try:
            await asyncio.to_thread(leave, self._seeds, made(self._sign, self._fleet().me.id, way))
        except OSError as error:
            log.warning("the voucher for our sshd cannot be left, so peers leave nothing here: %s", error.strerror)

    async def _say(self, way: SshWay | None) -> None:
        while True:
            await self._until(lambda fleet: fleet.me.ways.ssh != way)
            self._post(Reachable(msgspec.structs.replace(self._fleet().me.ways, ssh=way)))
            await asyncio.sleep(AGAIN_S)

    async def _keys(self, host: str) -> tuple[str, ...]:
        """The configured ones, or what sshd shows: now, or the last time it could be asked; or else those in the files
        of this machine, which may be another sshd's."""
        if self._config.host_keys:
            return await asyncio.to_thread(filed, self._config.host_keys)
        self._shown = await shown(host, self._config.port) or self._shown
        return self._shown or await asyncio.to_thread(filed, ())

    async def _greeting(self) -> str:
        """Where an sshd answers here: on loopback, or where else this machine is reached; empty for nowhere."""
        own = [at.host for at in self._fleet().me.addresses if at.host]
        for host in dict.fromkeys((_LOOPBACK, *own)):
            if await _greets(host, self._config.port):
                return host
        return ""


async def _greets(host: str, port: int) -> bool:
    writer = None
    try:
        async with asyncio.timeout(GREETING_S):
            reader, writer = await asyncio.open_connection(host, port)
            return await reader.readexactly(len(GREETING)) == GREETING
    except (OSError, EOFError):
        return False
    finally:
        if writer is not None:
            writer.close()


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    with suppress(OSError):
        return kind(os.lstat(path).st_mode)
    return False
