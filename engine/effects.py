"""What can be done, in the imperative. Steps ask; `engine.hands` performs, in the order of the list.

Order is a promise. What a turn saves is durable before anything after it is done, so a receipt or a "sent" is never
ahead of the disk.
"""

import msgspec

from engine.errors import ErrorFacts
from engine.model.channel import Channel
from engine.model.envelope import KINDS, Envelope, Kind
from engine.model.event import Event
from engine.model.hop import Hop
from engine.model.mail import AckLine
from engine.model.records import Record
from engine.model.repair import Action
from engine.model.roster import Roster
from engine.signals import Signal


class Save(msgspec.Struct, frozen=True):
    """Write these records, in this order, in the turn's transaction. `lazy`: nothing has to wait for it, because losing
    it in a crash loses only what will be learned again (a receipt comes again; a try is told once less)."""

    records: tuple[Record, ...]
    lazy: bool = False


class Raise(msgspec.Struct, frozen=True):
    """Something else happened by this: heard in the same turn."""

    signal: Signal


class Deliver(msgspec.Struct, frozen=True):
    """Carry an envelope to `peer` over `channel` within `budget_s` seconds. `acks` ride along."""

    peer: str
    channel: Channel
    envelope: Envelope
    budget_s: float
    acks: tuple[AckLine, ...] = ()

    @property
    def numbers(self) -> tuple[tuple[int, int, str], ...]:
        """The (epoch, seq, message id) it carries; none: a pulse. No id for a SKIP: it closes the number of a message
        that is over, and is no try of it."""
        one = self.envelope
        if not KINDS[one.kind].durable:
            return ()
        return ((one.src_epoch, one.seq, "" if one.kind is Kind.SKIP else one.msg_id),)


class Answer(msgspec.Struct, frozen=True):
    """Send envelopes back on the way a delivery came (`token`), sealed for their `dst`."""

    token: int
    envelopes: tuple[Envelope, ...]


class Arm(msgspec.Struct, frozen=True):
    """Ring `key` at monotonic second `at`. Of several armings the earliest counts: whoever is rung too early arms
    again, which costs little, while a ring put off would be a message put off. `anew`: whoever arms knows all that the
    ring is for, so it counts alone, also where it comes later."""

    key: str
    at: float
    anew: bool = False


class Resolve(msgspec.Struct, frozen=True):
    """Answer a verb that waits under `ticket`: with an id, or an error."""

    ticket: int
    value: str = ""
    error: ErrorFacts | None = None


class Publish(msgspec.Struct, frozen=True):
    """Tell the faces, after all before it is durable."""

    event: Event


class Load(msgspec.Struct, frozen=True):
    """Read the next `limit` messages to `peer` that have no number yet, at most `bulk` of them not urgent, and say how
    many are left."""

    peer: str
    limit: int
    bulk: int


class Reload(msgspec.Struct, frozen=True):
    """Read again messages to `peer` that were closed but that its receipts no longer hold (its store went back)."""

    peer: str
    epoch: int
    seqs: tuple[int, ...]


class SendDatagram(msgspec.Struct, frozen=True):
    """Send a gossip packet (payload only; the edge adds the tag) to a peer's UDP address."""

    host: str
    port: int
    packet: bytes


class AskReady(msgspec.Struct, frozen=True):
    """Ask every transport whether it could reach `peer`."""

    peer: str


class ApplyRoster(msgspec.Struct, frozen=True):
    """Give the roster in force to everything that trusts by it: sealing keys, broker, listeners."""

    roster: Roster


class Dismiss(msgspec.Struct, frozen=True):
    """As an admin, issue the roster in which this member has left at its own wish."""

    node: str


class Look(msgspec.Struct, frozen=True):
    """Look at this machine: load and git state."""


class StartPeer(msgspec.Struct, frozen=True):
    """Start a peer's node over ssh, by the command it announced; what came of it answers `ask`."""

    peer: str
    ask: str


class Notify(msgspec.Struct, frozen=True):
    """Tell whoever sits at this machine `text`: that a message to `peer` was taken by nobody so far."""

    peer: str
    text: str


class Undertake(msgspec.Struct, frozen=True):
    """Do one action of the closed table to this node; its end comes back. `prompt`: what an agent is to be told."""

    action: Action
    ask: str
    prompt: str = ""


class SendMagic(msgspec.Struct, frozen=True):
    """Send magic packets for `node` on this machine's own networks."""

    node: str


class LoadHops(msgspec.Struct, frozen=True):
    """Read the oldest open hops of a session; `turn` comes back with them."""

    session: str
    turn: int


class Type(msgspec.Struct, frozen=True):
    """Type a message into its session's terminal, if that is still idle. Its intent is durable."""

    session: str
    hop: Hop


class Seek(msgspec.Struct, frozen=True):
    """Look whether a message that was being typed when the node ended can be seen in its session's terminal."""

    session: str
    hop: Hop


class WriteSeed(msgspec.Struct, frozen=True):
    """Write down anew what waits for a session."""

    session: str


Effect = (
    Save
    | Raise
    | Deliver
    | Answer
    | Arm
    | Resolve
    | Publish
    | Load
    | Reload
    | SendDatagram
    | AskReady
    | ApplyRoster
    | Dismiss
    | Look
    | SendMagic
    | Notify
    | Undertake
    | StartPeer
    | LoadHops
    | Type
    | Seek
    | WriteSeed
)
