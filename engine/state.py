"""Fleet: everything this node knows, as one frozen value with a slice per room.

A slice that did not change is the same object, so "did it change?" is `is`, all the way to a widget. Nothing that
grows with traffic is in it: history, bodies at rest and the outbox beyond its window stay in the store.
"""

import msgspec
from immutables import Map

from engine.config import Config
from engine.model.broker import BrokerState
from engine.model.channel import BY_USE, TROUBLE, Channel, ChannelHealth, Check
from engine.model.envelope import KINDS, Envelope, Kind, Urgency
from engine.model.exam import Exam, Tick
from engine.model.finding import Finding
from engine.model.hop import Place
from engine.model.mail import Burden, Echo, Freight, Inflow, Lane, Pulse, Stream
from engine.model.packets import Heartbeat
from engine.model.peer import Peer
from engine.model.repair import Breaks, Mending, Repair
from engine.model.roster import Address, Member, Roster
from engine.model.vitals import Vitals
from engine.model.ways import NO_WAYS, Ways

# The health of a pair nothing is known of: one value for all of them.
NEVER_TRIED = ChannelHealth()


class Me(msgspec.Struct, frozen=True):
    """This node. `epoch`: the stream epoch minted at this start. `look`: how this machine was at the last look.
    `program`: the command line that asks this node, without a verb."""

    id: str
    name: str
    epoch: int
    version: str
    pid: int = 0
    started_ms: int = 0
    started_mono: float = 0.0
    incarnation: int = 0
    addresses: tuple[Address, ...] = ()
    ways: Ways = NO_WAYS
    prekey: tuple[int, bytes] | None = None
    look: Heartbeat | None = None
    terminal: str = "none"
    lag_s: float = 0.0
    program: tuple[str, ...] = ()


class Broker(msgspec.Struct, frozen=True):
    """The node's own nats-server. `dying`: down, and its next start is held back."""

    state: BrokerState = BrokerState.ABSENT
    pid: int = 0
    url: str = ""
    note: str = ""
    since_ms: int = 0
    dying: bool = False


class Mail(msgspec.Struct, frozen=True):
    """Both directions. `waiting`: messages of ours not yet on their host. `dead`: given up, expired or refused since
    the store began. `revision` rises with every change that a page of the log would show. `streams`: peer -> epoch ->
    stream. `letters`: peer -> which of its last numbers were taken as messages since the start, not as the SKIP of one.
    `floors`: peer -> its oldest open epoch. `echoes`: peer -> what came from it over a way that cannot be answered, the
    newest last. `forwards`: (receiver, message id) -> what we carry for others; `burdens`: member
    -> how much of it that one handed to us. `inflows`: member -> what it may still send us. `full`: the disk is;
    nothing new is accepted."""

    lanes: Map[str, Lane] = Map()
    streams: Map[str, Map[int, Stream]] = Map()
    pulses: Map[str, Pulse] = Map()
    letters: Map[str, Pulse] = Map()
    floors: Map[str, int] = Map()
    echoes: Map[str, tuple[Echo, ...]] = Map()
    forwards: Map[tuple[str, str], Freight] = Map()
    burdens: Map[str, Burden] = Map()
    inflows: Map[str, Inflow] = Map()
    waiting: int = 0
    dead: int = 0
    revision: int = 0
    full: bool = False


class Probe(msgspec.Struct, frozen=True):
    """A ping of ours without an answer yet. `asked`: others were asked to try as well. `backed`: one of them answered
    that it hears nothing either, so the silence is not ours."""

    peer: str
    sent_at: float
    asked: bool = False
    backed: bool = False


class Followed(msgspec.Struct, frozen=True):
    """What was last done about where a peer is and how it is reached. `said`: its word then; `at`: when that was done,
    and what was done before within the last minute."""

    said: tuple[tuple[Address, ...], Ways | None]
    at: tuple[float, ...] = ()


class Swim(msgspec.Struct, frozen=True):
    """The gossip machine of this node; owned by `engine.membership`. Times are monotonic seconds.

    `order`: whom to ping, a shuffled round. `turn`: place in it. `serial`: the last packet number used. `due`: when the
    next ping is. `wake`: what the one timer is set to. `awaiting`: pings without an answer, by number. `relays`: pings
    made for others, our number -> (asker's host, port, number, sent at). `health`: Lifeguard's local health multiplier,
    0 is well. `news`: what to gossip on, rumour -> times told. `falls`: when the standing of a peer that is not well
    falls next. `paths`: the highest packet number of each peer, and the host and port it came from. `marks`: the
    highest (epoch, number) of each (peer, durable or not) that counted as a word from it. `heard_at`: the last word of
    anybody. `beats`: slices of heartbeats sent, `beat_at`: when the last one was, `told`: the branch and head it told.
    `pushed_at`: when the roster was last pushed to everybody, `digest`: its hash. `followed`: peer -> where we followed
    it to.
    """

    order: tuple[str, ...] = ()
    turn: int = 0
    serial: int = 0
    due: float = 0.0
    wake: float = float("inf")
    awaiting: Map[int, Probe] = Map()
    relays: Map[int, tuple[str, int, int, float]] = Map()
    health: int = 0
    news: Map[bytes, int] = Map()
    falls: Map[str, float] = Map()
    paths: Map[str, tuple[int, str, int]] = Map()
    marks: Map[tuple[str, bool], tuple[int, int]] = Map()
    heard_at: float | None = None
    beats: int = 0
    beat_at: float = float("-inf")
    told: str = ""
    pushed_at: float = float("-inf")
    digest: bytes = b""
    followed: Map[str, Followed] = Map()


class Refusals(msgspec.Struct, frozen=True):
    """What was refused: counts by reason, and the last 32 as (wall ms, reason, channel, claimed source). `noted`: the
    last of them that went into the ledger, as (wall ms, reason, claimed source)."""

    counts: Map[str, int] = Map()
    last: tuple[tuple[int, str, str, str], ...] = ()
    noted: tuple[tuple[int, str, str], ...] = ()


class Suspicion(msgspec.Struct, frozen=True):
    """Something that may be a fault: what it would be called, since when it holds (monotonic), since when it does not
    (None: it holds), and whether it was told."""

    finding: Finding
    since: float
    well_since: float | None = None
    told: bool = False


class Watch(msgspec.Struct, frozen=True):
    """What the watchdog keeps in mind. `vitals`: the last measurement. `beats`: peer -> (number of its last heartbeat,
    first seen at). `heads`: peer -> (the oldest open number to it, first seen at). `stalls`: (at, seconds) of the loop.
    `turn`: the peer with which the next look begins."""

    vitals: Vitals = Vitals()
    suspicions: Map[tuple[str, str], Suspicion] = Map()
    beats: Map[str, tuple[tuple[int, int], float]] = Map()
    heads: Map[str, tuple[tuple[int, int], float]] = Map()
    stalls: tuple[tuple[float, float], ...] = ()
    turn: int = 0


class Doctor(msgspec.Struct, frozen=True):
    """The last examination of this machine, and when it ended (0: never). `ticks`: peer -> the ten checks of its
    onboarding, as far as they are."""

    exams: tuple[Exam, ...] = ()
    checked_ms: int = 0
    ticks: Map[str, tuple[Tick, ...]] = Map()


class Fleet(msgspec.Struct, frozen=True):
    """The one value. `detours`: where a kept tunnel to a peer begins, here on loopback. `places`: the sessions here
    that let themselves be typed into. `roused`: whom this node woke for others, and at which monotonic second;
    `started`: whose node it started over ssh because a person wanted it awake, and when (inf: it is tried now).
    `proved`: peer -> the sshd from behind which its node has answered (`ways.door`). `breaks`: how often a pair has
    broken lately. `former`: the names of those whom only the roster of a fleet knew that this node is in no more."""

    me: Me
    config: Config
    roster: Roster
    peers: Map[str, Peer] = Map()
    channels: Map[tuple[str, Channel], ChannelHealth] = Map()
    mail: Mail = Mail()
    swim: Swim = Swim()
    broker: Broker = Broker()
    refusals: Refusals = Refusals()
    findings: Map[tuple[str, str], Finding] = Map()
    checks: Map[str, Check] = Map()
    repairs: Map[tuple[str, Channel], Repair] = Map()
    breaks: Map[tuple[str, Channel], Breaks] = Map()
    mending: Mending = Mending()
    watch: Watch = Watch()
    doctor: Doctor = Doctor()
    detours: Map[str, Address] = Map()
    places: Map[str, Place] = Map()
    roused: Map[str, float] = Map()
    started: Map[str, float] = Map()
    proved: Map[str, str] = Map()
    former: Map[str, str] = Map()

    @property
    def mine(self) -> Member | None:
        """The roster's entry for this node."""
        return self.roster.member(self.me.id)

    @property
    def revoked(self) -> bool:
        """Whether the roster says that this node itself was revoked: nobody believes it, and it bothers nobody."""
        mine = self.mine
        return mine is not None and mine.revoked_ms > 0

    def others(self) -> list[Member]:
        """The members that are in the fleet, but this node."""
        return [one for one in self.roster.members if one.present and one.id != self.me.id]

    @property
    def alone(self) -> bool:
        """Whether nobody but this node is in the fleet."""
        return not any(one.present and one.id != self.me.id for one in self.roster.members)

    def envelope(
        self,
        dst: str,
        kind: Kind,
        msg_id: str,
        created_ms: int,
        body: bytes = b"",
        *,
        urgency: Urgency | None = None,
        ttl_s: int | None = None,
        thread: str = "",
        hop: int = 0,
    ) -> Envelope:
        """What this node sends, before it has a number. Mail is as urgent and lives as long as its kind, unless said
        otherwise; a pulse yields to everything, and a late one is worth nothing."""
        spec = KINDS[kind]
        return Envelope(
            src=self.me.id,
            src_epoch=self.me.epoch,
            seq=0,
            dst=dst,
            msg_id=msg_id,
            kind=kind,
            urgency=(spec.urgency if spec.durable else Urgency.LOW) if urgency is None else urgency,
            thread=thread,
            created_ms=created_ms,
            ttl_s=(spec.ttl_s if spec.durable else 0) if ttl_s is None else ttl_s,
            hop=hop,
            body=body,
        )

    def member(self, node_id: str) -> Member | None:
        """The roster's entry for a node id."""
        return self.roster.member(node_id)

    def name_of(self, node_id: str) -> str:
        """The name people see for an id: the roster's; else that of a fleet before, marked; else the id itself."""
        member = self.roster.member(node_id)
        if member is not None:
            return member.name
        name = self.former.get(node_id)
        return f"{name} (former)" if name else node_id

    def names(self) -> dict[str, str]:
        """What people call each node id that has a name."""
        return {one: self.name_of(one) for one in (*self.former, *(member.id for member in self.roster.members))}

    def addresses_of(self, node_id: str) -> tuple[Address, ...]:
        """Where a peer listens: what it said last, else what the roster says."""
        peer = self.peers.get(node_id)
        if peer and peer.beat and peer.beat.addresses:
            return peer.beat.addresses
        member = self.roster.member(node_id)
        return member.addresses if member else ()

    def called_at(self, node_id: str) -> tuple[Address, ...]:
        """Where a peer is called, the likeliest first: through a tunnel to it, then where it listens."""
        near = self.detours.get(node_id)
        return (*([near] if near else ()), *self.addresses_of(node_id))

    def ways_of(self, node_id: str) -> Ways:
        """How else a peer's machine can be reached, by its own word."""
        peer = self.peers.get(node_id)
        return peer.beat.ways or NO_WAYS if peer and peer.beat else NO_WAYS

    def brokerless(self, node_id: str) -> bool:
        """Whether a peer has no broker, by its own last word: nobody reaches it over P1."""
        peer = self.peers.get(node_id)
        return peer is not None and peer.beat is not None and peer.beat.broker == BrokerState.ABSENT

    def worst(self, node_id: str) -> Channel | None:
        """The channel to a peer in the gravest trouble; of several the first by its use. Asked of every peer at every
        change, so it builds nothing."""
        found, gravity = None, len(TROUBLE)
        for channel in BY_USE:
            health = self.channels.get((node_id, channel))
            if health is not None and not health.held and TROUBLE.get(health.state, gravity) < gravity:
                found, gravity = channel, TROUBLE[health.state]
        return found

    def health(self, node_id: str, channel: Channel) -> ChannelHealth:
        """The health of one (peer, channel) pair; UNKNOWN when nothing is known."""
        return self.channels.get((node_id, channel), NEVER_TRIED)
