"""The voucher: a node's signed word that the sshd it announces is its machine's, left in its own seed folder (edge).

    the node     id, user, port, host keys, socket, seed folder ─ signed ─► seed-in/voucher, read-only, its user's alone
    who calls    reads it there over SFTP, before a byte is carried ─ its own signature over just that ─► it may carry

Host keys, addresses and user names are public, so a member could announce those of another's machine and have others
sign in and leave mail there. Its signature it can make; what it cannot do is to put it into a folder of that user's on
that machine. The announced folder is only looked at until then, and nothing in it but this one name.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.model.ways import SshWay, door
from engine.security.identity import signed_by
from engine.transports.base import Target

NAME = "voucher"
# Ed25519.
SIZE = 64
# Of one form that no archive of source code leaves behind: git knows 0644 and 0755 only.
MODE = 0o400
_CONTEXT = b"fleet ssh voucher 1"

Sign = Callable[[bytes, bytes], bytes]


def made(sign: Sign, peer: str, way: SshWay) -> bytes:
    """The voucher of this node for this way to it. `sign`: its `Identity.sign`."""
    return sign(_CONTEXT, _said(peer, way))


def holds(target: Target, way: SshWay, found: bytes) -> bool:
    """Whether the peer itself says so of this way."""
    return signed_by(target.signing, _CONTEXT, _said(target.id, way), found)


def leave(folder: Path, voucher: bytes) -> None:
    """Put it into our seed folder, where it is not yet. Raises `OSError`."""
    # A link in the place of the folder leads to somebody's files, and one of those may be called like ours.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not _lies(opened, voucher):
            _put(opened, voucher)
    finally:
        os.close(opened)


def _lies(folder: int, voucher: bytes) -> bool:
    with suppress(OSError), open(NAME, "rb", opener=lambda name, flags: _open(name, flags, folder)) as file:
        return os.fstat(file.fileno()).st_mode & 0o777 == MODE and file.read(SIZE + 1) == voucher
    return False


def _put(folder: int, voucher: bytes) -> None:
    part = f"{NAME}.part"
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    with open(part, "xb", opener=lambda name, flags: _open(name, flags, folder)) as file:
        file.write(voucher)
    os.rename(part, NAME, src_dir_fd=folder, dst_dir_fd=folder)


def _open(name: str, flags: int, folder: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, MODE, dir_fd=folder)


def _said(peer: str, way: SshWay) -> bytes:
    return f"{peer} {door(way)}".encode()
