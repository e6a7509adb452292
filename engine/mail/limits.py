"""How many messages a person or program may send: one bucket a (peer, kind), counted per message.

A bucket holds as many as the configuration allows in a minute and fills evenly, on the monotonic clock (a token
bucket, after RFC 3290, section 5.1.3). Either all the messages of a call fit or none is taken. What is kept is a bucket
that is not full, so an idle node keeps none; a start begins with full ones.
"""

from collections import Counter
from collections.abc import Iterable
from math import ceil

import msgspec
from immutables import Map

from engine.config import LimitsConfig
from engine.errors import Fault, FleetError
from engine.model.envelope import Kind
from engine.model.mail import Inflow
from engine.model.moment import MINUTE_S


class Bucket(msgspec.Struct, frozen=True):
    """`left` messages at monotonic second `at`."""

    left: float
    at: float


Buckets = Map[tuple[str, Kind], Bucket]


def a_minute(limits: LimitsConfig, kind: Kind) -> int:
    """How many of a kind one peer may be sent in a minute; 0: any number."""
    return int(getattr(limits, kind, 0))


def filled(bucket: Bucket | Inflow | None, size: int, now: float) -> float:
    """What a bucket of `size` holds now."""
    return float(size) if bucket is None else min(float(size), bucket.left + (now - bucket.at) * size / MINUTE_S)


def taken(
    buckets: Buckets, peers: Iterable[str], kind: Kind, limits: LimitsConfig, now: float
) -> tuple[Buckets, dict[str, float]]:
    """The buckets after one message to each of these peers, and whom it was too much for: peer -> seconds until it
    would fit. With anybody in that, nothing was taken."""
    size = a_minute(limits, kind)
    if not size:
        return buckets, {}
    left = {peer: filled(buckets.get((peer, kind)), size, now) - count for peer, count in Counter(peers).items()}
    over = {peer: -rest * MINUTE_S / size for peer, rest in left.items() if rest < 0}
    if over:
        return buckets, over
    changed = buckets.mutate()
    for peer, rest in left.items():
        changed[peer, kind] = Bucket(rest, now)
    return _unfilled(changed.finish(), limits, now), {}


# Looked through for full ones when so many are kept: some hundred peers, each written to in every kind.
KEPT = 1_024


def _unfilled(buckets: Buckets, limits: LimitsConfig, now: float) -> Buckets:
    if len(buckets) <= KEPT:
        return buckets
    full = [
        key for key, one in buckets.items() if filled(one, a_minute(limits, key[1]), now) >= a_minute(limits, key[1])
    ]
    changed = buckets.mutate()
    for key in full:
        del changed[key]
    return changed.finish()


def refusal(over: dict[str, float], names: dict[str, str], kind: Kind, limits: LimitsConfig) -> FleetError:
    """The error for messages that were too many: `refused.rate`, with the seconds until all of them would fit."""
    wait_s = max(over.values())
    who = ", ".join(sorted(names.get(peer, peer) for peer in over))
    size = a_minute(limits, kind)
    why = f"{who}: at most {size} {kind} a minute to one peer (limits.{kind}); nothing of this was sent"
    step = f"wait {ceil(wait_s)} s, or raise limits.{kind} in the configuration"
    return FleetError("refused.rate", "Too many at once", why, step, Fault.THEIRS, retry_after_s=round(wait_s, 3))
