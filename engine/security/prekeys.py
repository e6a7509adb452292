"""Rotating pre-keys: the sealing keys that frames lying in an outbox, a relay or a git remote are encrypted to.

A new one every seven days, the present and the one before it are kept: what was sealed on a key's last day can still
be opened seven days later, and messages live that long by default. They are random and not derived from the seed, on
purpose: a key that the seed could make again would protect nothing from whoever steals the seed. So they have to be
stored, and what is thrown away is gone.

An epoch is the second of its making, or one more than the last: a node that lost its store does not give an old number
to a new key. This module decides when and which; the randomness is an argument and the storing is the caller's.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from engine.errors import Fault, FleetError

ROTATE_MS = 7 * 86_400_000
KEPT = 2


class PreKey(msgspec.Struct, frozen=True, array_like=True):
    """One X25519 private key and its number. `made_ms`: wall time."""

    epoch: int
    private: bytes
    made_ms: int

    @property
    def public(self) -> bytes:
        """What peers seal to."""
        return X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"PreKey({self.epoch})"


class PreKeys(msgspec.Struct, frozen=True):
    """The keys that are held, newest first; none before the first rotation."""

    held: tuple[PreKey, ...] = ()

    @property
    def private(self) -> dict[int, bytes]:
        """The private halves by epoch, as `Sealer.own_prekeys` takes them."""
        return {one.epoch: one.private for one in self.held}

    @property
    def announced(self) -> tuple[int, bytes] | None:
        """The newest as (key_epoch, public), as the heartbeat carries it."""
        return (self.held[0].epoch, self.held[0].public) if self.held else None


def due(keys: PreKeys, now_ms: int) -> bool:
    """Whether it is time for a new one. A key made far in the future comes from a clock that jumped: it counts too."""
    return not keys.held or abs(now_ms - keys.held[0].made_ms) >= ROTATE_MS


def rotate(keys: PreKeys, private: bytes, now_ms: int) -> PreKeys:
    """With a new key of 32 random bytes, and of the others only the newest."""
    last = keys.held[0].epoch if keys.held else 0
    return PreKeys((PreKey(max(last + 1, now_ms // 1_000), private, now_ms), *keys.held)[:KEPT])


def to_bytes(keys: PreKeys) -> bytes:
    """For the store; secret."""
    return msgspec.msgpack.encode(keys.held)


def from_bytes(data: bytes) -> PreKeys:
    """What `to_bytes` made; none from nothing. Raises `FleetError` `trust.prekeys` when it is damaged."""
    try:
        held = msgspec.msgpack.decode(data, type=tuple[PreKey, ...]) if data else ()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(str(error)) from None
    if any(len(one.private) != 32 for one in held):
        raise _damaged("a key has the wrong size")
    return PreKeys(held)


def _damaged(why: str) -> FleetError:
    step = "start with new ones: peers learn them by the next heartbeat, and what was sealed to the old is sent again"
    return FleetError("trust.prekeys", "The pre-keys are damaged", why, step, Fault.WORLD)
