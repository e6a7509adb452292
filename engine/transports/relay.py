"""P3: hand the sealed frames to a peer that reaches the other end (edge).

The relay cannot read what it carries, and neither can this: the frames are sealed for their destination already, and
wrapping them for the relay is the engine's deed (`carry`). What the relay says proves only that the relay has it, so
the best ending here is LANDED; the destination's own receipt comes back later, on any channel. Where it plainly
went nowhere, the next relay is asked.
"""

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from engine.model.channel import Channel, Outcome, Verdict
from engine.transports.base import Arrivals, Target

Candidates = Callable[[Target], Iterable[str]]
Carry = Callable[[str, str, bytes, float], Awaitable[Outcome]]


class Relay:
    """Channel P3. `candidates`: ids of peers that may stand between, the likeliest first. `carry(relay, destination,
    frames, budget_s)`: hand frames to a relay and wait for its word; its note names the relay."""

    channel = Channel.RELAY

    def __init__(self, candidates: Candidates, carry: Carry):
        self._candidates, self._carry = candidates, carry

    def ready(self, target: Target) -> str | None:
        """Why not: nobody stands between."""
        return None if any(self._candidates(target)) else "no peer reaches both"

    async def listen(self, arrived: Arrivals) -> None:
        """Nothing: what a relay brings arrives on the channel the relay used."""

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Give it to the likeliest relay that can be reached; LANDED when that one took it."""
        outcome = Outcome(Verdict.BARRED, "no peer reaches both", hard=True)
        for relay in self._candidates(target):
            outcome = await self._carry(relay, target.id, data, budget_s)
            if not outcome.nowhere:
                break
        proved = Verdict.LANDED if outcome.verdict is Verdict.CONFIRMED else outcome.verdict
        return msgspec.structs.replace(outcome, verdict=proved, pin=False)

    async def close(self) -> None:
        """Nothing is kept."""
