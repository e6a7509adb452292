"""What every transport is, so that one contract suite can hold all nine (edge).

A transport carries bytes it cannot read. It never retries, never chooses and never claims more than it saw: CONFIRMED
only when the peer itself answered, LANDED when something on the way took it. It keeps its deadline, and it answers
"could you reach this peer at all" before anyone tries.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from engine.model.channel import Channel, Outcome
from engine.model.roster import Address
from engine.model.ways import Ways


class Target(Protocol):
    """The peer as a transport sees it: `id`, `addresses` (most likely first), the DER certificate to pin, what
    it says of its other ways, the public key that its signatures are checked with, and whether it has no broker."""

    @property
    def id(self) -> str: ...
    @property
    def addresses(self) -> tuple[Address, ...]: ...
    @property
    def tls_cert(self) -> bytes: ...
    @property
    def ways(self) -> Ways: ...
    @property
    def signing(self) -> bytes: ...
    @property
    def brokerless(self) -> bool: ...


class Arrivals(Protocol):
    """Where a transport puts what came in. It only enqueues and returns. `reply` sends bytes back on the same way,
    once at most; None where the way has no way back. Returns False when the node is too busy: say so to the sender."""

    def __call__(self, data: bytes, via: Channel, reply: Callable[[bytes], None] | None) -> bool: ...


class Transport(Protocol):
    """One channel's deeds. `data` is one or more sealed frames, one after the other (`wire.frames` splits them)."""

    channel: Channel

    def ready(self, target: Target) -> str | None:
        """None, or why this channel cannot be tried for this peer: six words or fewer."""
        ...

    async def listen(self, arrived: Arrivals) -> None:
        """Begin to receive; returns once it does. Raises `FleetError` when it cannot."""
        ...

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Carry `data` to the peer and wait for its answer, within `budget_s` seconds. Never raises for what the
        network does; cancellation is honoured."""
        ...

    async def close(self) -> None:
        """Stop receiving and sending; idempotent."""
        ...


@runtime_checkable
class Forgiving(Protocol):
    """A transport that leaves alone for a while whoever turned it away."""

    def forgive(self, peer: str) -> None:
        """Try this peer again all the same: a person asks."""
        ...
