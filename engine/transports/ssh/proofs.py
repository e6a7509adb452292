"""Whose sshd is whose: what a peer announces is believed as far as it was proved (edge).

    announced   we sign in, and read the peer's voucher from its seed folder; nothing else
    vouched     the peer's own signature lay there: P4 and P5 carry mail
    answered    its node answered over P5, at a socket out of reach of others there: its start command may run

A host key is public, and so are addresses and user names. A member could announce those of another's machine, or of
ours, and a start command besides: our keys would sign in there, and run it. An announcement that names another sshd,
user, socket or folder has to be proved anew. What is proved is kept in the home, because a node is most often started
when ours has started anew too.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.errors import FleetError
from engine.home import write_private
from engine.model.ways import SshWay, door
from engine.transports.base import Target
from engine.wire import Refusal, frames, peek

log = logging.getLogger(__name__)

# A fleet's members and those that left it; beyond, the oldest go.
LIMIT = 1_024


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """The way that was proved (`ways.door`), and whether its node has answered there."""

    door: str
    answered: bool = False


class Proofs:
    """By peer. `path`: where they are kept (None: nowhere). `told`: hears by which door each node has answered."""

    def __init__(self, path: Path | None = None, told: Callable[[dict[str, str]], None] = lambda doors: None):
        self._path, self._told = path, told
        self._known: dict[str, Proof] = {}
        if path is not None:
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, Proof])

    def vouched(self, target: Target) -> bool:
        """Whether its node has vouched for the sshd that it announces."""
        return self._of(target) is not None

    def answered(self, target: Target) -> bool:
        """Whether its node has answered from there, too."""
        proof = self._of(target)
        return proof is not None and proof.answered

    def doors(self) -> dict[str, str]:
        """By which door each node has answered."""
        return {peer: proof.door for peer, proof in self._known.items() if proof.answered}

    def vouch(self, target: Target, way: SshWay) -> None:
        """Its voucher lay there."""
        if not self.vouched(target):
            self._put(target.id, Proof(door(way)))

    def heard(self, target: Target, way: SshWay, reply: bytes) -> None:
        """Something answered over P5, dialled by `way`, at a socket that is out of others' reach: a proof if it is the
        peer."""
        proof = Proof(door(way), answered=True)
        if self._known.get(target.id) != proof and _is_from(target.id, reply):
            self._put(target.id, proof)
            self._told(self.doors())

    def _of(self, target: Target) -> Proof | None:
        way, proof = target.ways.ssh, self._known.get(target.id)
        return proof if way is not None and proof is not None and proof.door == door(way) else None

    def _put(self, peer: str, proof: Proof) -> None:
        self._known.pop(peer, None)
        self._known[peer] = proof
        self._known = dict(list(self._known.items())[-LIMIT:])
        self._keep()

    def _keep(self) -> None:
        """Not kept, it has to be proved again after the next start: no reason to fail a delivery."""
        if self._path is None:
            return
        try:
            write_private(self._path, msgspec.json.encode(self._known))
        except OSError as error:
            log.warning("%s cannot be kept: %s", self._path.name, error.strerror or error)


def _is_from(peer: str, reply: bytes) -> bool:
    """Whether frames of this peer are in it. Their seal need not be checked here: whoever can put bytes at that socket
    of that machine is in already, and another node's own answer bears its own name."""
    try:
        return any(peek(frame).src == peer for frame in frames(reply))
    except (Refusal, FleetError):
        return False
