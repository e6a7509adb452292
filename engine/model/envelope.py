"""The envelope: what every message wears, whatever carries it.

Kinds are one table (`KINDS`): which channels may carry them, whether they are numbered and kept until acknowledged
(durable), and how long they live. Two streams of numbers run between a pair of nodes: durable messages, each of which
is stored, retried and acknowledged for ever; and pulses (heartbeats, receipts), which are worth nothing a minute later
and are only protected against replay.
"""

from enum import IntEnum, StrEnum

import msgspec

from engine.errors import Fault, FleetError
from engine.model.channel import DIRECT, Channel


class Kind(StrEnum):
    """What a message is for. The first seven are people's; the rest keep the fleet itself running."""

    ALERT = "alert"
    TASK = "task"
    REPLY = "reply"
    CONTEXT = "context"
    BROADCAST = "broadcast"
    SYNC = "sync"
    REPAIR = "repair"
    HELLO = "hello"
    MEND = "mend"
    MENDED = "mended"
    WAKE = "wake"
    SKIP = "skip"
    FORWARD = "forward"
    LEAVE = "leave"
    PASS = "pass"
    PING = "ping"
    HEARTBEAT = "heartbeat"
    RECEIPT = "receipt"
    RUNG = "rung"
    ROSTER = "roster"


class Urgency(IntEnum):
    """Who goes first when many wait."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3

    @property
    def pressing(self) -> bool:
        """Whether the numbers that are kept free are for this."""
        return self >= Urgency.HIGH


HOUR_S, DAY_S = 3_600, 86_400
_P1_P3 = (*DIRECT, Channel.RELAY)
_P1_P4 = (*_P1_P3, Channel.SEED)
_P1_P5 = (*_P1_P4, Channel.SSH)
# What a fleet owes itself whatever is left of its ways.
_P1_P7 = (*_P1_P5, Channel.GIT)


class KindSpec(msgspec.Struct, frozen=True):
    """The rules of one kind: its channels in order of number, `durable` (numbered, stored, retried until
    acknowledged), `public` (a person may send it), default `ttl_s` and urgency. `retries`: of each of its channels in
    one cascade, instead of the channel's own. `notifies`: whoever sits at the sender's machine is told when a cascade
    of it ended in nothing."""

    channels: tuple[Channel, ...]
    durable: bool = True
    public: bool = True
    ttl_s: int = 7 * DAY_S
    urgency: Urgency = Urgency.NORMAL
    retries: int | None = None
    notifies: bool = False


KINDS: dict[Kind, KindSpec] = {
    Kind.ALERT: KindSpec((Channel.NATS,), urgency=Urgency.URGENT, retries=3, notifies=True),
    Kind.TASK: KindSpec(_P1_P3, urgency=Urgency.HIGH),
    Kind.REPLY: KindSpec(DIRECT),
    Kind.CONTEXT: KindSpec(_P1_P4),
    Kind.BROADCAST: KindSpec(DIRECT),
    Kind.SYNC: KindSpec(_P1_P3, urgency=Urgency.LOW),
    Kind.REPAIR: KindSpec(_P1_P5, urgency=Urgency.HIGH),
    # Two that met prove by it that mail goes both ways: as durable as mail, and nobody's mail.
    Kind.HELLO: KindSpec(_P1_P3, public=False, ttl_s=HOUR_S, urgency=Urgency.LOW),
    Kind.MEND: KindSpec(_P1_P5, public=False, ttl_s=120, urgency=Urgency.HIGH),
    Kind.MENDED: KindSpec(_P1_P5, public=False, ttl_s=HOUR_S),
    Kind.WAKE: KindSpec(_P1_P3, durable=False, public=False),
    Kind.SKIP: KindSpec(_P1_P7, public=False, ttl_s=0),
    Kind.FORWARD: KindSpec(_P1_P3, public=False),
    Kind.LEAVE: KindSpec(_P1_P3, public=False, ttl_s=DAY_S),
    Kind.PASS: KindSpec(DIRECT, durable=False, public=False),
    Kind.PING: KindSpec(_P1_P3, durable=False, public=False),
    Kind.HEARTBEAT: KindSpec(_P1_P3, durable=False, public=False),
    Kind.RECEIPT: KindSpec(_P1_P7, durable=False, public=False),
    Kind.ROSTER: KindSpec(_P1_P3, durable=False, public=False),
    # As durable as the message it tells of: it may be told of a message that was closed long ago.
    Kind.RUNG: KindSpec(_P1_P7, public=False, urgency=Urgency.LOW),
}


class Envelope(msgspec.Struct, frozen=True):
    """One message. `src`, `dst`: node ids. `src_epoch`, `seq`: its number in the sender's stream to `dst` (0 while it
    has none). `msg_id`: ULID. `created_ms`: wall time at the sender. `ttl_s`: 0 lives for ever. `hop`: relays so far.
    `key_epoch`: which of the recipient's sealing keys was used (0: the long-term one). `body`: at most 1 MiB, opaque.
    """

    src: str
    src_epoch: int
    seq: int
    dst: str
    msg_id: str
    kind: Kind
    urgency: Urgency = Urgency.NORMAL
    thread: str = ""
    created_ms: int = 0
    ttl_s: int = 0
    hop: int = 0
    key_epoch: int = 0
    body: bytes = b""


class Rung(StrEnum):
    """The receipt ladder, each rung proved by effect; the last three are endings without delivery."""

    ACCEPTED = "accepted"
    ON_HOST = "on_host"
    POSTED = "posted"
    HELD = "held"
    QUEUED = "queued"
    SEEN = "seen"
    EXPIRED = "expired"
    REFUSED = "refused"
    DEAD = "dead"


# How far up a rung is; an ending without delivery counts as settled but reaches nothing. A session may hold back what
# was given to it, and may be given what it held back.
HEIGHT = {
    Rung.ACCEPTED: 0,
    Rung.ON_HOST: 1,
    Rung.POSTED: 2,
    Rung.HELD: 2,
    Rung.QUEUED: 3,
    Rung.SEEN: 4,
}
TOP = max(HEIGHT.values())
FAILED = frozenset({Rung.EXPIRED, Rung.REFUSED, Rung.DEAD})
# What somebody proves can be waited for; that a message will fail, nobody promises.
WAITABLE = tuple(HEIGHT)


# What a session proves; a message that names none ends on its host.
OF_A_SESSION = frozenset({Rung.POSTED, Rung.HELD, Rung.QUEUED, Rung.SEEN})


def waitable(rung: Rung, session: str) -> Rung:
    """The rung, if one can wait for it. `session`: whom the message names there. Raises `FleetError` `usage.rung`."""
    if rung in OF_A_SESSION and not session:
        why = f"`{rung}` is proved by a session, and the message names none"
        raise FleetError("usage.rung", "Not a rung to wait for", why, "add --session NAME, or wait for on_host")
    if rung not in WAITABLE:
        why = f"`{rung}` is an ending without delivery, which no wait is for; a wait ends with it anyway"
        raise FleetError("usage.rung", "Not a rung to wait for", why, f"use {', '.join(WAITABLE)}", Fault.THEIRS)
    return rung


def said(body: str) -> str:
    """The text of a message, if it says anything. Raises `FleetError` `usage.empty`."""
    if not body.strip():
        why, step = "it has no text, or only spaces", "say what to send"
        raise FleetError("usage.empty", "The message is empty", why, step, Fault.THEIRS)
    return body


# At most this many durable numbers are open to one peer; the rest wait in the outbox.
OPEN_LIMIT = 1_024
# The last of them are kept for what is urgent: whatever waits for a peer that is cut off, an alert gets a number at
# once and is not read back from the store behind hundreds of messages that were there first.
RESERVED = 128
# A receiver takes no number further ahead of its watermark: what it remembers of a stream stays 2 KiB. A sender that
# sees half of this used begins another epoch, so that one number nobody acknowledges blocks no other.
AHEAD_LIMIT = 16 * OPEN_LIMIT
# The longest id. Its sender chose it: an id that is made of another's is cut to this.
ID_LIMIT = 64
# The largest body; larger things travel as a link or a path.
BODY_LIMIT = 1 << 20
# The longest life a person may give, ten years, and the longest name of a thread, in bytes: what is beyond would be
# accepted and then fit neither the store nor a frame's header.
TTL_LIMIT_S = 3_650 * DAY_S
THREAD_LIMIT = 256
# Before the id of a group, in the thread of each of its messages; no session has such a name.
GROUP = "group:"
# The most bytes one delivery may carry on a channel that asks and answers. One largest frame always fits and seven such
# share a round trip; nats-server advises against payloads above 8 MiB, and a peer port buffers one whole before it
# reads.
CARRIAGE_LIMIT = 8 << 20
