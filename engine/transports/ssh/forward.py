"""Ports of ours on loopback whose connections end at ports of a peer's machine, through its sshd, by asyncssh (edge).

Imported, like `wire`, when the first tunnel is opened. A peer that told of its sshd is called with the host keys it
announced and no others. One that a person named is called as ssh itself would: `~/.ssh/config` with its jump hosts and
identities, and `known_hosts`. Either way only keys sign in and nothing is asked of a person. What goes through is TLS
with the peer's own certificate pinned, so a tunnel that leads astray leads nowhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncssh

from engine.config import SshConfig
from engine.transports.base import Target
from engine.transports.ssh.faults import Broken, NoEntry, lost
from engine.transports.ssh.lines import SshLines
from engine.transports.staggered import Place

LOOPBACK = "127.0.0.1"


class Forward(NamedTuple):
    """An open tunnel. `near`: its ports here, in the order of the far ends that were asked for."""

    connection: asyncssh.SSHClientConnection
    near: tuple[int, ...]

    async def ended(self) -> None:
        """Return when the connection is gone."""
        await self.connection.wait_closed()

    def hang_up(self) -> None:
        """End it at once, and every connection in it."""
        self.connection.abort()


async def opened(lines: SshLines, config: SshConfig, target: Target, host: str, far: Sequence[Place]) -> Forward:
    """A tunnel to these places, as the far end calls them. `host`: as a person named it (empty: as the peer told).
    Raises `ConnectionError` with the reason."""
    connection = await (_named(host, config) if host else _announced(lines, target))
    try:
        near = [(await connection.forward_local_port(LOOPBACK, 0, *place)).get_port() for place in far]
    except (asyncssh.Error, OSError) as error:
        connection.abort()
        raise lost(_said(error)) from None
    return Forward(connection, tuple(near))


async def _announced(lines: SshLines, target: Target) -> asyncssh.SSHClientConnection:
    wire = await lines.line(target)
    return wire.connection


async def _named(host: str, config: SshConfig) -> asyncssh.SSHClientConnection:
    user, _, name = host.rpartition("@")
    given = {"username": user} if user else {}
    keys = {"client_keys": list(config.keys)} if config.keys else {}
    try:
        return await asyncssh.connect(
            name,
            **given,
            **keys,
            preferred_auth="publickey",
            gss_host=None,
            keepalive_interval=config.keepalive_s,
            keepalive_count_max=2,
        )
    except asyncssh.HostKeyNotVerifiable:
        raise lost(f"its host key is not in known_hosts: run `ssh {host}` once") from None
    except asyncssh.PermissionDenied:
        raise NoEntry from None
    except (asyncssh.Error, OSError, UnicodeError, ValueError) as error:
        raise lost(_said(error)) from None


def _said(error: Exception) -> str:
    if isinstance(error, Broken):
        return str(error)
    said = (error.strerror or "").lower() if isinstance(error, OSError) else str(getattr(error, "reason", "") or "")
    return said or str(error) or type(error).__name__
