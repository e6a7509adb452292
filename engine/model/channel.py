"""The nine ways to a machine, as a table.

`CHANNELS` is the one place that knows what a channel costs and promises. The number is the P of the documents and the
tie-break of the cascade; the class is the first thing the cascade orders by after health.
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec


class Channel(StrEnum):
    """P0 to P8, by the names people see."""

    CLOUD = "cloud"
    NATS = "nats"
    HTTP = "http"
    RELAY = "relay"
    SEED = "seed"
    SSH = "ssh"
    WOL = "wol"
    GIT = "git"
    TEXT = "text"


class Class(IntEnum):
    """How fast a channel is, coarsely: the cascade never prefers a colder class that is as healthy."""

    HOT = 0
    WARM = 1
    WAKE = 2
    COLD = 3
    VENDOR = 4
    LAST = 5


class ChannelSpec(msgspec.Struct, frozen=True):
    """What one channel is: its P-number, class, time budget of one try in seconds, and whether it may be hedged.

    `stores`: it takes mail for a peer that is away, and has no way back: LANDED is the best it can say. `carries`: it
    brings bytes to the peer; one that does not can only make the others work. `probed`: rests between probes are this
    many times the configured one, because a push costs more than a ping (0: never probed). `resort`: not tried before
    all others have failed, and only where the sender allows any channel. `retries`: a cascade that found nothing better
    tries it so often again."""

    channel: Channel
    number: int
    speed: Class
    budget_s: float
    hedged: bool
    stores: bool = False
    carries: bool = True
    probed: int = 1
    resort: bool = False
    retries: int = 0


CHANNELS: dict[Channel, ChannelSpec] = {
    spec.channel: spec
    for spec in (
        ChannelSpec(Channel.CLOUD, 0, Class.VENDOR, 5.0, hedged=False, stores=True, probed=0, resort=True, retries=1),
        ChannelSpec(Channel.NATS, 1, Class.HOT, 3.0, hedged=True, retries=1),
        ChannelSpec(Channel.HTTP, 2, Class.HOT, 5.0, hedged=True, retries=1),
        ChannelSpec(Channel.RELAY, 3, Class.HOT, 5.0, hedged=True, stores=True),
        ChannelSpec(Channel.SEED, 4, Class.WARM, 10.0, hedged=True, stores=True, probed=12),
        ChannelSpec(Channel.SSH, 5, Class.WARM, 10.0, hedged=True, probed=3),
        ChannelSpec(Channel.WOL, 6, Class.WAKE, 60.0, hedged=False, carries=False, probed=0, resort=True),
        ChannelSpec(Channel.GIT, 7, Class.COLD, 30.0, hedged=True, stores=True, probed=60, retries=1),
        ChannelSpec(Channel.TEXT, 8, Class.LAST, 2.0, hedged=False, carries=False, probed=0),
    )
}
# Those that answer while somebody waits: P1 to P3. Wherever peers are listed they have a column.
HOT = tuple(spec.channel for spec in CHANNELS.values() if spec.speed is Class.HOT)
# What carries mail by itself before what is tried only when all else failed, each by its number.
BY_USE = tuple(sorted(CHANNELS, key=lambda channel: CHANNELS[channel].resort))
# Hot, and no other machine is between: P1 and P2.
DIRECT = (Channel.NATS, Channel.HTTP)


# What is said of a message that goes over a channel a person holds back, because its sender named that one.
NAMED = "held back by you, but named for this message"


def kept_out(held: Sequence[Channel], name: str) -> str:
    """What is said where a person holds back the channels to the peer `name`, and how one is let back in."""
    named, are = listed(held), "is" if len(held) == 1 else "are"
    which = "it" if len(held) == 1 else held[0]
    return f"{named} {are} held back by you; `fleet hold {name} {held[0]} --off` releases {which}"


def listed(channels: Sequence[Channel]) -> str:
    """Their names: `nats, http and relay`."""
    *others, last = channels
    return f"{', '.join(others)} and {last}" if others else str(last)


class ChannelState(StrEnum):
    """The health of one (peer, channel) pair. Never probed is UNKNOWN, not healthy; ABSENT has a reason."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    BROKEN = "BROKEN"
    HEALING = "HEALING"
    QUARANTINED = "QUARANTINED"
    ABSENT = "ABSENT"


_ANSWERING = (ChannelState.HEALTHY, ChannelState.DEGRADED, ChannelState.HEALING)
# How grave a channel's trouble is: 0 is the worst.
TROUBLE = {
    ChannelState.QUARANTINED: 0,
    ChannelState.BROKEN: 1,
    ChannelState.HEALING: 2,
    ChannelState.DEGRADED: 3,
}


class Change(msgspec.Struct, frozen=True):
    """One change of state: when (wall milliseconds), from what to what, and why."""

    at_ms: int
    old: ChannelState
    new: ChannelState
    reason: str


# A point of a channel's curve stands for this long; thirty of them are five minutes.
SLOT_S, SLOTS = 10.0, 30
# The last failures that are remembered: so many within the window may have been more.
KEPT_FAILS = 16


class Cause(StrEnum):
    """What a failure proves that more than a person acts on. NOBODY_IN: its machine is there and nobody takes its
    letters; if nobody hears it either, its node ended. SPURNED: it answered, and opened nothing of what it was sent; it
    does not know us, or not any more."""

    NOBODY_IN = "nobody in"
    SPURNED = "spurned"


class ChannelHealth(msgspec.Struct, frozen=True):
    """What is known of one (peer, channel) pair. Times are monotonic seconds unless they say `_ms`.

    `broke_ms`: since when it has not worked (wall milliseconds; 0: it works), however often it was tried again since.
    `fails` are the moments of the last failures in five minutes, `streak` failures in a row, `healed_at` the end of the
    last healing: failures before it break nothing any more. `good`: successful probes in a row while HEALING.
    `latencies`: the last round trips in milliseconds, newest last. `held`: a person took
    it out of the cascade. `overtaken`: how often in a row another channel was faster by more than the hedge.
    `owed_at`: since when a relay, or a place that stores mail, owes us the peer's own receipt; `echoed`: the last ids
    by which it came. `barred`: the last failure was on our side, before anything left; `cause`: what else it proved.
    `curve`: the slowest round trip of each `SLOT_S` of the last five minutes, as (slot, ms).
    """

    state: ChannelState = ChannelState.UNKNOWN
    since_ms: int = 0
    reason: str = ""
    fails: tuple[float, ...] = ()
    streak: int = 0
    good: int = 0
    ok_at: float | None = None
    tried_at: float | None = None
    retry_at: float = 0.0
    backoff_s: float = 0.25
    latencies: tuple[float, ...] = ()
    changes: tuple[Change, ...] = ()
    held: bool = False
    overtaken: int = 0
    owed_at: float | None = None
    echoed: tuple[str, ...] = ()
    barred: bool = False
    curve: tuple[tuple[int, float], ...] = ()
    broke_ms: int = 0
    healed_at: float = 0.0
    cause: Cause | None = None

    @property
    def retried(self) -> bool:
        """Broken, and only tried again, as every few seconds: no answer came since it broke, so nothing heals yet."""
        return self.state is ChannelState.HEALING and not self.good

    @property
    def shown(self) -> ChannelState:
        """The state as people are told it."""
        return ChannelState.BROKEN if self.retried else self.state

    @property
    def latency_ms(self) -> float | None:
        """The middle of the last five round trips: one slow answer is not news. Everybody who is shown a latency is
        shown this one."""
        last = sorted(self.latencies[-5:])
        return last[len(last) // 2] if last else None

    @property
    def answers(self) -> bool:
        """It works, or nobody has tried it yet."""
        return self.shown in _ANSWERING or (self.state is ChannelState.UNKNOWN and not self.streak)

    @property
    def trouble(self) -> str:
        """Why it does not work, in the same words while it is only tried again."""
        healing = self.state is ChannelState.HEALING
        broke = (one.reason for one in reversed(self.changes) if one.new is ChannelState.BROKEN) if healing else ()
        return next(iter(broke), "") or self.reason or self.state.lower()


class Verdict(StrEnum):
    """How one try ended. CONFIRMED: the peer said yes. LANDED: the channel took it. REFUSED: the peer said no.
    LOST: no answer. BARRED: it could not even be tried."""

    CONFIRMED = "confirmed"
    LANDED = "landed"
    REFUSED = "refused"
    LOST = "lost"
    BARRED = "barred"


class Outcome(msgspec.Struct, frozen=True):
    """The end of one try. `hard` marks a signal that needs no second opinion (refused, no responders, disconnected);
    `pin` a peer that showed a key the roster does not know; `reply` holds the frames that came back; `note` is for
    people, `cause` what else follows from it."""

    verdict: Verdict
    note: str = ""
    hard: bool = False
    pin: bool = False
    reply: bytes = b""
    cause: Cause | None = None

    @property
    def nowhere(self) -> bool:
        """Whether it plainly went nowhere: whoever has another way need not wait to take it."""
        return self.hard and self.verdict in (Verdict.BARRED, Verdict.LOST)


class Check(msgspec.Struct, frozen=True):
    """A round trip somebody asked for at monotonic second `at`, and how it ended; `verdict` None: not yet."""

    at: float
    verdict: Verdict | None = None
    ms: float = 0.0
    note: str = ""
