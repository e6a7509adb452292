"""Whose sshd is whose: where a peer's own node has answered us through an sshd, that sshd is its machine's (edge).

A host key is public, and so are addresses and user names. A member could announce those of another's machine, or of
ours, and a start command besides: our keys would sign in there, and run it. So a start command runs only where the
peer's node itself has answered over P5 before, behind these host keys, as this user, at this socket. An announcement
that names another sshd, user or socket has to be proved anew. What is proved is kept in the home, because a node is
most often started when ours has started anew too.
"""

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.errors import FleetError
from engine.model.ways import SshWay
from engine.transports.base import Target
from engine.wire import Refusal, frames, peek

log = logging.getLogger(__name__)

FILE = "ssh-proofs.json"
# A fleet's members and those that left it; beyond, the oldest go.
LIMIT = 1_024


class Proofs:
    """By peer, the digest of the way that was proved. `path`: where they are kept (None: nowhere)."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._known: dict[str, str] = {}
        if path is not None:
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])

    def holds(self, target: Target) -> bool:
        """Whether this peer's node has answered from where it says its sshd is."""
        way = target.ways.ssh
        return way is not None and self._known.get(target.id) == _digest(way)

    def heard(self, target: Target, way: SshWay, reply: bytes) -> None:
        """Something answered over P5, dialled by `way`: a proof if it is the peer."""
        digest = _digest(way)
        if self._known.get(target.id) == digest or not _is_from(target.id, reply):
            return
        self._known.pop(target.id, None)
        self._known[target.id] = digest
        self._known = dict(list(self._known.items())[-LIMIT:])
        self._keep()

    def _keep(self) -> None:
        """Not kept, it has to be proved again after the next start: no reason to fail a delivery."""
        if self._path is None:
            return
        fresh = self._path.with_name(f"{FILE}.new")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self._known))
            fresh.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be kept: %s", FILE, error.strerror or error)


def _digest(way: SshWay) -> str:
    named = (way.user, way.port, sorted(way.host_keys), way.socket)
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()


def _is_from(peer: str, reply: bytes) -> bool:
    """Whether frames of this peer are in it. Their seal need not be checked here: whoever can put bytes at that socket
    of that machine is in already, and another node's own answer bears its own name."""
    try:
        return any(peek(frame).src == peer for frame in frames(reply))
    except (Refusal, FleetError):
        return False
