"""What can happen, in the past tense. Each is a fact; the steps that hear it are listed in `engine.rooms`.

A signal carries what a step needs to decide and nothing else: sockets, futures and files stay at the edge and are
named by a token.
"""

import msgspec

from engine.model.channel import Channel, Outcome
from engine.model.envelope import Envelope
from engine.model.exam import Exam, Tick
from engine.model.finding import Finding
from engine.model.hop_signals import Addressed, Climbed, Fetched, Glimpsed, HopsLoaded, Seated, Typed
from engine.model.mail import Parcel, Waiting
from engine.model.packets import Forward, Mend, Mended
from engine.model.repair import Action, Ended
from engine.model.roster import Address, Roster
from engine.model.vitals import Vitals
from engine.model.ways import Ways


class Started(msgspec.Struct, frozen=True):
    """The node's hands are ready; the value was restored from the store."""


class Rang(msgspec.Struct, frozen=True):
    """A timer armed under `key` is due."""

    key: str


class Posted(msgspec.Struct, frozen=True):
    """Someone here sent a message. `envelope.dst` is a node id already; `ticket` is answered once it is durable."""

    envelope: Envelope
    ticket: int
    via: Channel | None = None
    widened: bool = False


class Loaded(msgspec.Struct, frozen=True):
    """A page of messages to `peer` that waited in the store, oldest and most urgent first; `left` remain there."""

    peer: str
    waiting: tuple[Waiting, ...]
    left: int


class Arrived(msgspec.Struct, frozen=True):
    """Authenticated frames came in together. `token` names the open reply (0: none can be given)."""

    parcels: tuple[Parcel, ...]
    via: Channel
    token: int = 0


class Rejected(msgspec.Struct, frozen=True):
    """A frame or datagram was refused before it could change anything. `why` is one of `wire.REFUSALS`; `src` is what
    it claimed to be, never to be believed; `count`: so many alike at once."""

    why: str
    via: Channel | None
    src: str = ""
    count: int = 1


class Tried(msgspec.Struct, frozen=True):
    """A delivery to `peer` over `channel` ended. `numbers`: the (epoch, seq, message id) of the durable messages in
    it; `probe`: it carried only pulses. `latency_ms`: from start to end of the try. `owed`: the peer owes a word for
    something in it. `pings`: the ids of the probes in it."""

    peer: str
    channel: Channel
    numbers: tuple[tuple[int, int, str], ...]
    outcome: Outcome
    latency_ms: float
    probe: bool = False
    owed: bool = True
    pings: tuple[str, ...] = ()


class Overtaken(msgspec.Struct, frozen=True):
    """Another channel proved a message to `peer` while `channel` was past its hedge."""

    peer: str
    channel: Channel


class ChannelTurned(msgspec.Struct, frozen=True):
    """A (peer, channel) pair became usable, or stopped being so."""

    peer: str
    channel: Channel
    usable: bool


class Nudged(msgspec.Struct, frozen=True):
    """A person wants what waits for `peer` tried now instead of after its back-off. `widen`: the id of a message that
    may go any way from now on."""

    peer: str
    widen: str = ""


class ForwardCame(msgspec.Struct, frozen=True):
    """A peer asks us to carry a sealed frame on."""

    frm: str
    forward: Forward


class Transited(msgspec.Struct, frozen=True):
    """A reply held a frame for somebody else: a receipt on its way back through us."""

    frm: str
    dst: str
    frame: bytes


class Readied(msgspec.Struct, frozen=True):
    """What each transport answered to "could you reach this peer at all": None, or the reason why not."""

    peer: str
    reasons: dict[Channel, str | None]


class DatagramCame(msgspec.Struct, frozen=True):
    """A gossip datagram whose tag fits the fleet's keyring. `packet` is its msgpack payload, `host`, `port` its
    source."""

    packet: bytes
    host: str
    port: int


class LoopLagged(msgspec.Struct, frozen=True):
    """The engine's loop did not run for `lag_s` seconds (a stall, or the machine slept)."""

    lag_s: float


class BrokerChanged(msgspec.Struct, frozen=True):
    """The node's own broker is `state`: absent, starting, up, down, external. `pid` 0: none of ours."""

    state: str
    pid: int = 0
    url: str = ""
    note: str = ""


class TerminalChanged(msgspec.Struct, frozen=True):
    """A terminal was lent or given back. `state`: attached, detached, none."""

    state: str
    size: tuple[int, int] = (0, 0)


class RosterOffered(msgspec.Struct, frozen=True):
    """A roster whose signature and ancestry hold. `frm`: who sent it."""

    roster: Roster
    frm: str


class RosterMade(msgspec.Struct, frozen=True):
    """This node, as an admin, issued a roster, or adopted one by joining. `why` is for people and the ledger."""

    roster: Roster
    why: str
    ticket: int = 0


class MemberAsked(msgspec.Struct, frozen=True):
    """A member asks its admin to mark it as gone."""

    node: str


class Listening(msgspec.Struct, frozen=True):
    """Where this node listens now."""

    addresses: tuple[Address, ...]


class Reachable(msgspec.Struct, frozen=True):
    """How else this machine can be reached now, besides its own ports."""

    ways: Ways


class Detoured(msgspec.Struct, frozen=True):
    """A kept tunnel to `peer` has its near end at `near` now (None: it has none)."""

    peer: str
    near: Address | None


class WakeWanted(msgspec.Struct, frozen=True):
    """Magic packets for `node` are wanted from whoever shares its network."""

    node: str


class WakeCame(msgspec.Struct, frozen=True):
    """A peer asks us to send magic packets for `node`, which is on our network."""

    frm: str
    node: str


class Looked(msgspec.Struct, frozen=True):
    """What this machine looks like now: load average, git state of the working directory."""

    load: float
    cwd: str
    branch: str
    head: str
    dirty: int
    sessions: int = 0


class StoreFilled(msgspec.Struct, frozen=True):
    """The disk is full: the ballast was given back; new sends are refused until there is room."""

    free_mb: int


class StoreFreed(msgspec.Struct, frozen=True):
    """There is room again."""


class ChannelHeld(msgspec.Struct, frozen=True):
    """A person took a (peer, channel) out of the cascade, or put it back."""

    peer: str
    channel: Channel
    held: bool


class ProbeAsked(msgspec.Struct, frozen=True):
    """A person asks for a round trip to `peer` on `channel` (None: on every one) now.
    `ask`: the id its ping is to have."""

    peer: str
    channel: Channel | None = None
    ask: str = ""


class RepairAsked(msgspec.Struct, frozen=True):
    """Somebody here wants a channel repaired, from this rung on. `by`: who; empty for a part of this node."""

    peer: str
    channel: Channel
    level: int
    why: str = ""
    by: str = ""


class MendCame(msgspec.Struct, frozen=True):
    """A peer asks this node to repair itself."""

    frm: str
    mend: Mend


class MendWanted(msgspec.Struct, frozen=True):
    """This node, or a person at it (`ticket`), wants an action of the closed table done here. `ask`: its id."""

    action: Action
    channel: str = ""
    why: str = ""
    ask: str = ""
    ticket: int = 0


class MendEnded(msgspec.Struct, frozen=True):
    """An action of ours ended."""

    action: Action
    outcome: Ended
    note: str = ""


class MendAnswered(msgspec.Struct, frozen=True):
    """What came of a request of ours, told by `frm` (ourselves for our own)."""

    frm: str
    mended: Mended


class PlanApproved(msgspec.Struct, frozen=True):
    """A person lets the commands of a repair's plan run."""

    peer: str
    channel: Channel
    by: str


class PlanRan(msgspec.Struct, frozen=True):
    """The approved commands ended: `ran` of them well, and what the last one said."""

    peer: str
    channel: Channel
    ran: int
    ok: bool
    note: str = ""


class Found(msgspec.Struct, frozen=True):
    """A finding was made at the edge (`present`), or no longer holds."""

    finding: Finding
    present: bool = True


class Measured(msgspec.Struct, frozen=True):
    """How this machine and its node are now, in numbers."""

    vitals: Vitals


class Examined(msgspec.Struct, frozen=True):
    """The doctor has looked: every check, or some of them again."""

    exams: tuple[Exam, ...]


class Ticked(msgspec.Struct, frozen=True):
    """The onboarding of a peer is this far."""

    peer: str
    ticks: tuple[Tick, ...]


class Greeted(msgspec.Struct, frozen=True):
    """A new machine's first message came, and wants one back. `msg_id`: its id."""

    peer: str
    msg_id: str


class Refreshed(msgspec.Struct, frozen=True):
    """The sealing key was rotated: `key_epoch` and the public half of the present pre-key."""

    key_epoch: int
    public: bytes


Signal = (
    Started
    | Rang
    | Posted
    | Loaded
    | Arrived
    | Rejected
    | Tried
    | Readied
    | DatagramCame
    | LoopLagged
    | BrokerChanged
    | TerminalChanged
    | RosterOffered
    | RosterMade
    | MemberAsked
    | Listening
    | Reachable
    | Detoured
    | WakeWanted
    | WakeCame
    | Looked
    | StoreFilled
    | StoreFreed
    | ChannelHeld
    | ProbeAsked
    | RepairAsked
    | MendCame
    | MendWanted
    | MendEnded
    | MendAnswered
    | PlanApproved
    | PlanRan
    | Found
    | Measured
    | Examined
    | Ticked
    | Greeted
    | Refreshed
    | Overtaken
    | ChannelTurned
    | ForwardCame
    | Nudged
    | Transited
    | Addressed
    | Climbed
    | Seated
    | Glimpsed
    | HopsLoaded
    | Typed
    | Fetched
)
