"""One ssh connection to one peer's sshd, by asyncssh (edge).

It knows asyncssh, as `files` and `forward` do, which takes a third of a second and 19 MB to import: they are imported
themselves when the first peer has to be called. It speaks the words of `faults` to the rest.

Host keys are those that the peer announced and no others: a key it did not announce ends the handshake before
anything is sent. Only keys sign in, those configured or the user's own and the agent's; nothing is ever asked of a
person, and neither `~/.ssh/config` nor `known_hosts` is read. asyncssh keeps its log to itself.
"""

import asyncio
import glob
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import asyncssh

from engine.config import SshConfig
from engine.model.ways import SshWay
from engine.transports.http.conversation import tune
from engine.transports.ssh.faults import Dropped, NodeAbsent, NoEntry, NoRoom, WrongKey, barred, lost
from engine.transports.ssh.files import Files
from engine.transports.staggered import Place

# A question into the silence after a third of the time in which it is to be noticed; two may stay unanswered.
_QUESTIONS = 3
# What a command may print that is shown to a person.
SAID_LIMIT = 2_000

Heard = Callable[[bytes], None]
Ended = Callable[[], None]

# A key of ours that is none, or a home that is none (asyncssh looks for it).
_UNREAD = (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, FileNotFoundError, PermissionError, RuntimeError)
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)

logging.getLogger("asyncssh").setLevel(logging.CRITICAL + 1)


class _Caller(asyncssh.SSHClient):
    """Hears how the handshake goes. `shown`: the key of a host that is not the peer."""

    def __init__(self) -> None:
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key
        return False


class Wire:
    """An open connection. `place`, `way`: where it leads, and what it was dialled by. `patience_s`: how long it may be
    silent while somebody waits."""

    def __init__(self, connection: asyncssh.SSHClientConnection, place: Place, way: SshWay, patience_s: float):
        self._connection, self.place, self.way = connection, place, way
        self._patience_s, self._waiting = patience_s, 0

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """The connection itself, for whoever opens more than streams in it (`forward`)."""
        return self._connection

    @property
    def alive(self) -> bool:
        """Whether it is fit for use, as far as is known."""
        return not self._connection.is_closed()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Somebody waits for an answer inside the `with`: only then the far end is asked whether it lives. At rest that
        would cost 0.15 % of a processor for each peer; a connection at rest is the kernel's to watch over (`tune`)."""
        self._waiting += 1
        if self._waiting == 1 and self.alive:
            self._connection.set_keepalive(self._patience_s / _QUESTIONS, _QUESTIONS - 1)
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._connection.set_keepalive(0)

    def hasten(self) -> None:
        """Acknowledge at once what comes next. sshd sends its word on the window apart from our answer, and the kernel
        keeps the second back until the first is acknowledged: forty milliseconds for one message in a hundred."""
        if _QUICKACK is not None:
            with suppress(OSError):
                self._connection.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def hang_up(self) -> None:
        """End it at once."""
        self._connection.abort()

    async def closed(self) -> None:
        """Return when nothing of it is left."""
        await self._connection.wait_closed()

    async def slot(self, path: str, heard: Heard, ended: Ended) -> "asyncssh.SSHUNIXChannel[bytes]":
        """A stream to the Unix socket at `path` there. Raises `Broken`."""
        try:
            with self.awaited():
                channel, _ = await self._connection.create_unix_connection(lambda: _Stream(heard, ended), path)
        except asyncssh.ChannelOpenError as error:
            if not self.alive:
                raise Dropped() from None
            if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise barred("its sshd forwards no Unix sockets") from None
            raise (NoRoom() if error.code == asyncssh.OPEN_RESOURCE_SHORTAGE else NodeAbsent()) from None
        except (asyncssh.Error, OSError) as error:
            raise lost(_said(error)) from None
        return channel

    async def files(self) -> Files:
        """An SFTP session. Raises `Broken`, `NoRoom` among it."""
        try:
            with self.awaited():
                return Files(await self._connection.start_sftp_client())
        except asyncssh.ChannelOpenError:
            raise (NoRoom() if self.alive else Dropped()) from None
        except (asyncssh.Error, OSError) as error:
            raise (barred("its sshd offers no SFTP") if self.alive else lost(_said(error))) from None

    async def run(self, command: str) -> tuple[int, str]:
        """Run a command there: its exit status (-1: ended by a signal) and the end of what it said. Raises `Broken`."""
        try:
            with self.awaited():
                ended = await self._connection.run(command, stdin=asyncssh.DEVNULL, encoding=None)
        except asyncssh.ChannelOpenError:
            raise (NoRoom() if self.alive else Dropped()) from None
        except (asyncssh.Error, OSError) as error:
            raise lost(_said(error)) from None
        said = b"".join(part for part in (ended.stdout, ended.stderr) if isinstance(part, bytes))
        status = -1 if ended.exit_status is None else ended.exit_status
        return status, said[-SAID_LIMIT:].decode(errors="replace").strip()


class _Stream(asyncssh.SSHUNIXSession[bytes]):
    """The near end of a stream to a Unix socket."""

    def __init__(self, heard: Heard, ended: Ended):
        self._heard, self._ended = heard, ended

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._heard(data)

    def eof_received(self) -> bool:
        self._ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()


async def dial(place: Place, way: SshWay, config: SshConfig) -> Wire:
    """Sign in at `place`. Raises `WrongKey`, `NoEntry` or another `ConnectionError`."""
    caller = _Caller()
    if unfit := await asyncio.to_thread(_unfit, config.keys):
        raise barred(f"our ssh key cannot be read: {unfit} is no plain file")
    try:
        connection = await asyncssh.connect(
            place[0],
            place[1],
            config=None,
            username=way.user,
            known_hosts=(_keys(way), [], []),
            server_host_key_algs=_algorithms(way),
            client_keys=list(config.keys) or (),
            preferred_auth="publickey",
            client_factory=lambda: caller,
            gss_host=None,
        )
    except asyncssh.HostKeyNotVerifiable:
        raise WrongKey(place) from None
    except asyncssh.PermissionDenied:
        raise NoEntry from None
    except asyncssh.DisconnectError as error:
        # More keys than it lets anybody try ends with this instead (MaxAuthTries).
        raise (NoEntry() if "authentication" in error.reason else lost(_said(error))) from None
    except _UNREAD as error:
        raise barred(f"our ssh key cannot be read: {_said(error)}") from None
    except (asyncssh.Error, OSError, UnicodeError, ValueError) as error:
        raise lost(_said(error)) from None
    tune(connection)  # type: ignore[arg-type]  # it has the one method that is asked for
    return Wire(connection, place, way, config.keepalive_s)


def _unfit(keys: Sequence[str]) -> str:
    """The first of what asyncssh would read as a key of ours that is there and no plain file: a thread of it would read
    for ever."""
    for key in keys or glob.glob(os.path.expanduser("~/.ssh/id_*")):
        for name in (key, f"{key}.pub", f"{key}-cert.pub"):
            with suppress(OSError):
                if not stat.S_ISREG(os.stat(os.path.expanduser(name)).st_mode):
                    return name
    return ""


def _keys(way: SshWay) -> list[asyncssh.SSHKey]:
    """Those announced keys that can be read."""
    found = []
    for text in way.host_keys:
        try:
            found.append(asyncssh.import_public_key(text))
        except asyncssh.KeyImportError:
            continue
    return found


def _algorithms(way: SshWay) -> list[str]:
    """The announced keys' first, so that it shows one of those if it has it; then all others, so that a host that has
    none of them is recognised by the key it shows and not by a handshake that fails for want of words."""
    announced = [name.decode() for key in _keys(way) for name in key.sig_algorithms]
    usual = [name.decode() for name in asyncssh.public_key.get_default_public_key_algs()]
    return list(dict.fromkeys([*(name for name in announced if name in usual), *usual]))


def _said(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, OSError):
        # asyncio puts the address into `strerror`; names that do not resolve have a number of their own, below zero.
        number = error.errno or 0
        return os.strerror(number).lower() if number > 0 else error.strerror or str(error)
    return str(getattr(error, "reason", "") or error) or type(error).__name__
