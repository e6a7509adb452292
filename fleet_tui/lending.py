"""The words between a stub and its node, and the way they travel (edge).

    stub -> node   {"do": "lend", "protocol", "size", "env", "options"} with the terminal's descriptor beside it
                   {"do": "size", "size"}      the window changed
                   {"do": "detach"}            ctrl+c, ctrl+z or a signal reached the stub; hanging up says the same
    node -> stub   {"ended": End, "restored", …}   once, then nothing more

One message is one line of JSON on a Unix socket of mode 0600 in a folder of mode 0700, and the other side's user is
checked as well. Both ends import this module, the stub before anything is painted: standard library only, nothing slow.
"""

import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

PROTOCOL = 1
SOCKET = "tty.sock"
LONGEST = 65536  # bytes of one message; the largest real one, an environment, has about 2,000

Message = dict[str, Any]

# What a terminal is, as far as its environment tells. The first group is laid over the node's own environment while the
# app runs; the others are only for the app to look at, because programs the engine starts would obey them.
DISPLAY = (
    *("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "LC_TERMINAL", "NO_COLOR", "TMUX", "TMUX_PANE"),
    *("STY", "ESCDELAY", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_DIM_FACTOR", "TEXTUAL_FILTERS"),
    *("TEXTUAL_DISABLE_KITTY_KEY", "TEXTUAL_FPS", "TEXTUAL_SMOOTH_SCROLL", "TEXTUAL_THEME"),
)
SURROUNDINGS = ("LANG", "LC_ALL", "LC_CTYPE", "SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY")

# Undoes all that a Textual driver does to a terminal, in its order; each part is harmless where it was not needed.
LEAVE = "".join(
    (
        "\x1b[?2026l",  # end of a synchronised frame that was cut short
        "\x1b[?2004l",  # bracketed paste
        "\x1b[?7h",  # line wrap
        "\x1b[?2048l",  # resizes told in-band
        "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l",  # mouse
        "\x1b[<u",  # kitty's keyboard, which belongs to the alternate screen: before leaving it
        "\x1b[?1049l",  # the alternate screen
        "\x1b[?25h",  # the cursor
        "\x1b[?1004l",  # focus events
        "\x1b[0m",  # colours
    )
)


class End(StrEnum):
    """Why a terminal was given back."""

    DETACHED = "detached"
    TAKEN_OVER = "taken over"
    LOST = "lost"
    STOPPED = "stopped"
    CRASHED = "crashed"
    REFUSED = "refused"


class Line:
    """One connection, as whole messages. The node's side never blocks: a stub that does not read is a lost stub."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._bytes = b""
        self._fds: list[int] = []

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one message, with descriptors beside it. Raises `OSError` when nobody reads."""
        data = json.dumps(message).encode() + b"\n"
        sent = socket.send_fds(self._sock, [data], list(fds)) if fds else self._sock.send(data)
        if sent < len(data):
            self._sock.sendall(data[sent:])

    def receive(self) -> tuple[list[Message], bool]:
        """The messages that are here now, and whether more may come. Raises `ValueError` for what is no message."""
        try:
            data, fds, _flags, _address = socket.recv_fds(self._sock, LONGEST, 3)
        except BlockingIOError:
            return [], True
        except OSError:
            return [], False
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds += fds
        *lines, self._bytes = (self._bytes + data).split(b"\n")
        if len(self._bytes) > LONGEST:
            raise ValueError("a message without an end")
        return [_message(line) for line in lines], bool(data)

    def take_fds(self) -> list[int]:
        """The descriptors received so far; whoever takes them closes them."""
        fds, self._fds = self._fds, []
        return fds

    def close(self) -> None:
        """Hang up; idempotent."""
        for fd in self.take_fds():
            os.close(fd)
        self._sock.close()


def connect(run_dir: Path) -> Line | None:
    """The line to the node whose sockets lie in `run_dir`, or None when no node listens there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(run_dir / SOCKET))
    except OSError:
        sock.close()
        return None
    return Line(sock)


def listen(run_dir: Path) -> socket.socket:
    """The node's socket, listening and not blocking. What a dead node left behind is replaced."""
    path = run_dir / SOCKET
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen(16)
    sock.setblocking(False)
    return sock


def accept(listener: socket.socket) -> Line | None:
    """The next stub's line; None when there is none, or it belongs to another user."""
    try:
        sock, _address = listener.accept()
    except OSError:
        return None
    sock.setblocking(False)
    if peer_uid(sock) != os.getuid():
        sock.close()
        return None
    return Line(sock)


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end of a Unix socket, as the kernel knows it."""
    return _PEER_UID.get(sys.platform, _linux_uid)(sock)


def lend_message(size: tuple[int, int], environ: Mapping[str, str], options: Mapping[str, str]) -> Message:
    """What a stub says with its terminal. `options` reach the app as they are (`readonly`, `ascii`, …)."""
    env = {name: environ[name] for name in (*DISPLAY, *SURROUNDINGS) if name in environ}
    return {"do": "lend", "protocol": PROTOCOL, "size": size, "env": env, "options": dict(options)}


def _message(line: bytes) -> Message:
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    return message


def _linux_uid(sock: socket.socket) -> int:
    """unix(7), SO_PEERCRED: pid, uid, gid."""
    found: tuple[int, int, int] = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return found[1]


def _macos_uid(sock: socket.socket) -> int:
    """unix(4), LOCAL_PEERCRED: `struct xucred` begins with a version and the uid. SOL_LOCAL is 0."""
    found: tuple[int, int] = struct.unpack("=II", sock.getsockopt(0, 1, 76)[:8])
    return found[1]


_PEER_UID: dict[str, Callable[[socket.socket], int]] = {"linux": _linux_uid, "darwin": _macos_uid}
