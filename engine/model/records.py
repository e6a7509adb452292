"""What the store keeps: each record is one row to write, and a turn's records are one transaction.

They are data, not SQL, so that the simulator's store in memory and the real one obey the same list. Times are wall
milliseconds.
"""

import msgspec

from engine.model.channel import Channel
from engine.model.envelope import Envelope, Rung
from engine.model.hop import Addressee, HopState
from engine.model.peer import Peer
from engine.model.roster import Roster


class AddOutbox(msgspec.Struct, frozen=True):
    """A message of ours is accepted. `envelope.seq` is 0 while it has no number yet. Adding a known id changes nothing.
    `via`: the only channel the sender allows. `widened`: the sender allows any channel (`--any`)."""

    envelope: Envelope
    via: Channel | None = None
    widened: bool = False


class OpenNumber(msgspec.Struct, frozen=True):
    """A waiting message gets its number."""

    msg_id: str
    epoch: int
    seq: int


class Widen(msgspec.Struct, frozen=True):
    """A waiting message may go any way from now on, whatever was said of its channels before."""

    msg_id: str


class MoveRung(msgspec.Struct, frozen=True):
    """A message of ours is on another rung, proved over `channel`."""

    msg_id: str
    rung: Rung
    at_ms: int
    channel: Channel | None = None
    reason: str = ""


class AddTry(msgspec.Struct, frozen=True):
    """One try of one message over one channel ended, or was overtaken: the rows `fleet why` reads."""

    msg_id: str
    channel: Channel
    outcome: str
    ms: float
    at_ms: int
    note: str = ""


class AddInbox(msgspec.Struct, frozen=True):
    """A message for us: its effect. `tag` is the frame's authentication tag, kept to know a replay from a resend."""

    envelope: Envelope
    at_ms: int
    channel: Channel
    tag: bytes = b""


class ClimbRung(msgspec.Struct, frozen=True):
    """The receiver of a message of ours says what became of it there. Only upwards: a rung below the one it is on
    changes nothing; of two on one height the later counts. `at_ms`: by the receiver's clock. `after_ms`: since it was
    on its host. `channel`: the last hop that it went; with it this is told as a try."""

    msg_id: str
    dst: str
    rung: Rung
    at_ms: int
    reason: str = ""
    channel: Channel | None = None
    after_ms: int = 0


class AddHop(msgspec.Struct, frozen=True):
    """A message that names a session is on this host. Adding a known one changes nothing."""

    letter: Addressee
    state: HopState
    at_ms: int
    reason: str = ""


class MoveHop(msgspec.Struct, frozen=True):
    """It is in another state. `typed_ms`: when it was given to a terminal (0: it was not)."""

    msg_id: str
    src: str
    state: HopState
    at_ms: int
    reason: str = ""
    typed_ms: int = 0


class SetCursor(msgspec.Struct, frozen=True):
    """A session has read its letters up to this row of the inbox. It only rises."""

    session: str
    row: int


class SetStream(msgspec.Struct, frozen=True):
    """How far we have received one sender's stream; written in the same transaction as the inbox rows it covers."""

    src: str
    epoch: int
    watermark: int
    above: bytes = b""


class DropStreams(msgspec.Struct, frozen=True):
    """A sender has closed every number of its epochs below `floor_epoch`."""

    src: str
    floor_epoch: int


class PutPeer(msgspec.Struct, frozen=True):
    """The last good data of a peer, so that an offline machine keeps its row after a restart."""

    peer: Peer


class PutRoster(msgspec.Struct, frozen=True):
    """The roster in force."""

    roster: Roster


class PutMeta(msgspec.Struct, frozen=True):
    """One small fact under a key."""

    key: str
    value: bytes


class AddEntry(msgspec.Struct, frozen=True):
    """A ledger entry; the store gives it its number and chains it to the one before."""

    at_ms: int
    actor: str
    verb: str
    subject: str
    facts: dict[str, str]


Record = (
    AddOutbox
    | OpenNumber
    | Widen
    | MoveRung
    | AddTry
    | ClimbRung
    | AddInbox
    | AddHop
    | MoveHop
    | SetCursor
    | SetStream
    | DropStreams
    | PutPeer
    | PutRoster
    | PutMeta
    | AddEntry
)
