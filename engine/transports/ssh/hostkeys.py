"""The host keys of this machine's own sshd: as it shows them, or as they lie in files (edge).

An sshd may have host keys of its own (`HostKey`) while others lie in `/etc/ssh`; what it shows to whoever calls is what
peers will see. `ssh-keyscan` of OpenSSH asks, one connection a kind, as far as the key exchange: nobody signs in.
"""

import asyncio
import glob
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

from engine.security.plainfile import opened

ASK_S = 5.0
# The first that is shown is enough: each call is held against whoever leaves without signing in (PerSourcePenalties),
# and each kind that sshd has not is a complaint in its log.
_KINDS = ("ed25519", "ecdsa", "rsa")
_FILES = "/etc/ssh/ssh_host_*_key.pub"
_KEYS_LIMIT, _KEY_LIMIT = 8, 65_536


async def shown(host: str, port: int) -> tuple[str, ...]:
    """The key that the sshd there shows, as `known_hosts` has it; none where it could not be asked."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ASK_S):
            for kind in _KINDS:
                if keys := _read(await _scanned(host, port, kind)):
                    return keys
    return ()


def filed(files: tuple[str, ...]) -> tuple[str, ...]:
    """The public host keys in these files, or in those of this machine; what cannot be read is passed over."""
    found: list[str] = []
    for name in files or tuple(sorted(glob.glob(_FILES))):
        with suppress(OSError, UnicodeDecodeError), opened(name) as file:
            found += _key(file.read(_KEY_LIMIT).decode("ascii").split())
    return tuple(dict.fromkeys(found))[:_KEYS_LIMIT]


def _read(said: bytes) -> tuple[str, ...]:
    """The keys in what `ssh-keyscan` printed: a host, a kind and a key a line."""
    lines = [line.split() for line in said.decode("ascii", "replace").splitlines() if not line.startswith("#")]
    return tuple(dict.fromkeys(key for words in lines for key in _key(words[1:])))[:_KEYS_LIMIT]


def _key(words: list[str]) -> list[str]:
    return [f"{words[0]} {words[1]}"] if len(words) > 1 else []


async def _scanned(host: str, port: int, kind: str) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            *("ssh-keyscan", "-p", str(port), "-t", kind, host), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:
        return b""
    try:
        return (await process.communicate())[0]
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
