"""Whose process is at the other end of a Unix socket (edge): the kernel's word, which nobody can forge."""

import os
import pwd
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any


def ours(sock: Any) -> bool:
    """Whether a client is this user's, or root's, who could read the key anyway."""
    return peer_uid(sock) in (os.getuid(), 0)


def user() -> str:
    """Whose process this is, by name: the kernel's word too, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def peer_uid(sock: Any) -> int:
    """The user id of the process at the other end."""
    return _PEER_UID.get(sys.platform, _linux_uid)(sock)


def _linux_uid(sock: Any) -> int:
    """unix(7), SO_PEERCRED: pid, uid, gid."""
    return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])


def _macos_uid(sock: Any) -> int:
    """unix(4), LOCAL_PEERCRED (1) at level 0: a `struct xucred`, which begins with a version and the uid."""
    return int(struct.unpack_from("2I", sock.getsockopt(0, 1, 76))[1])


_PEER_UID: dict[str, Callable[[Any], int]] = {"linux": _linux_uid, "darwin": _macos_uid}
