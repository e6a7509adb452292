"""The door: bytes in, authenticated parcels or refusals out (edge).

Everything that reaches this node, over whatever channel, passes here once. A frame is opened by the sealer or refused
with its reason; a frame that was here before, bit for bit, is refused as a replay, because an honest resend is sealed
anew. What a relay carried is unwrapped. It enqueues and returns: nothing here waits, saves or answers.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import msgspec

from engine.errors import FleetError
from engine.health.cascade import HOP_LIMIT
from engine.model.channel import Channel
from engine.model.envelope import KINDS, Kind
from engine.model.finding import Finding, Severity
from engine.model.mail import Parcel
from engine.model.packets import PACKETS, Forward, Heartbeat, unpack
from engine.model.roster import Roster
from engine.security.ancestry import check_successor
from engine.security.seal import Sealer
from engine.signals import Arrived, Found, Rejected, RosterOffered, Signal, Transited
from engine.wire import Refusal, frames, peek

# Tags remembered to know a replay: a minute of the highest rate measured between two nodes.
SEEN_LIMIT = 65_536
# Replies kept open at once; an older one is given up, which its sender sees as a lost answer.
OPEN_REPLIES = 4_096

Reply = Callable[[bytes], None]


class Door:
    """Opens what comes in for one node. `roster` gives the one in force, `now_ms` the wall clock."""

    def __init__(
        self,
        me: str,
        sealer: Sealer,
        post: Callable[[Signal], None],
        busy: Callable[[], bool],
        roster: Callable[[], Roster],
        now_ms: Callable[[], int],
    ):
        self._me, self._sealer, self._post, self._busy = me, sealer, post, busy
        self._roster, self._now_ms = roster, now_ms
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._replies: OrderedDict[int, Reply] = OrderedDict()
        self._token = 0

    def remember(self, tags: Iterable[bytes]) -> None:
        """Tags of frames taken before this start."""
        for tag in tags:
            self._seen[tag] = None

    def arrived(self, data: bytes, via: Channel, reply: Reply | None) -> bool:
        """What a transport brought. False: too busy, say so to the sender."""
        if self._busy():
            return False
        parcels = tuple(self._opened(data, via))
        if parcels:
            self._post(Arrived(parcels, via, self._open(reply)))
        elif reply is not None:
            reply(b"")
        return True

    def replied(self, data: bytes, via: Channel, frm: str) -> None:
        """What came back on a delivery of ours: receipts for us, or for somebody whose mail we carried."""
        if data:
            parcels = tuple(self._opened(data, via, frm))
            if parcels:
                self._post(Arrived(parcels, via))

    def answer(self, token: int, data: bytes) -> None:
        """Send bytes back on the way a delivery came; nothing happens when that way is gone."""
        reply = self._replies.pop(token, None)
        if reply is not None:
            reply(data)

    def _open(self, reply: Reply | None) -> int:
        if reply is None:
            return 0
        self._token += 1
        self._replies[self._token] = reply
        if len(self._replies) > OPEN_REPLIES:
            self._replies.popitem(last=False)
        return self._token

    def _opened(self, data: bytes, via: Channel, frm: str = "") -> Iterator[Parcel]:
        try:
            cut = frames(data)
        except Refusal as refusal:
            self._refuse(refusal, via)
            return
        for frame in cut:
            try:
                yield from self._one(frame, via, "", frm)
            except Refusal as refusal:
                self._refuse(refusal, via)
            except FleetError:
                self._post(Rejected("garbage", via))

    def _one(self, frame: bytes, via: Channel, relay: str, frm: str, relays: int = 0) -> Iterator[Parcel]:
        try:
            parcel = self._sealer.open(frame, self._now_ms())
        except Refusal as refusal:
            if not frm or refusal.code != "misaddressed":
                raise
            self._post(Transited(frm, peek(frame).dst, frame))
            return
        self._fresh(parcel)
        envelope = parcel.envelope
        if envelope.kind in PACKETS:
            # What cannot be read is refused here: a step that stumbled over it would take the whole node down.
            unpack(envelope.kind, envelope.body)
        if relay:
            parcel = msgspec.structs.replace(parcel, relay=relay)
        self._learn(parcel)
        yield parcel
        if envelope.kind in (Kind.FORWARD, Kind.PASS):
            forward: Forward = unpack(envelope.kind, envelope.body)
            if forward.dst == self._me:
                yield from self._inner(forward, via, parcel, relays + 1)

    def _inner(self, forward: Forward, via: Channel, wrapper: Parcel, relays: int) -> Iterator[Parcel]:
        """The frame a relay carried to us, through `relays` of them. If it is refused, the relay's own number stands
        all the same. More wrappers than relays may pass are a bomb: each costs another opening of all that is left.

        A relay cannot seal anew what it carries: its honest resend holds the same frame, and is passed over."""
        try:
            if relays > HOP_LIMIT:
                raise Refusal("misaddressed", wrapper.envelope.src)
            yield from self._one(forward.frame, via, wrapper.envelope.src, "", relays)
        except Refusal as refusal:
            if refusal.code != "replayed" or not KINDS[wrapper.envelope.kind].durable:
                self._refuse(refusal, Channel.RELAY)

    def _fresh(self, parcel: Parcel) -> None:
        if parcel.tag in self._seen:
            raise Refusal("replayed", parcel.envelope.src)
        self._seen[parcel.tag] = None
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)

    def _learn(self, parcel: Parcel) -> None:
        """What the sealing side itself must know of a parcel: a peer's new key, a newer roster."""
        envelope = parcel.envelope
        if envelope.kind is Kind.HEARTBEAT:
            beat: Heartbeat = unpack(Kind.HEARTBEAT, envelope.body)
            if beat.prekey:
                self._sealer.prekey(envelope.src, *beat.prekey)
        elif envelope.kind is Kind.ROSTER:
            self._offered(envelope.src, envelope.body)

    def _offered(self, src: str, body: bytes) -> None:
        try:
            offered = msgspec.msgpack.decode(body, type=Roster)
            if offered.version <= self._roster().version and offered == self._roster():
                return
            check_successor(self._roster(), offered)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refusal("garbage", src) from None
        except FleetError as error:
            if error.code not in _OLD_NEWS:
                finding = Finding(
                    error.code, error.title, Severity.CRITICAL, error.detail, subject=src, next_step=error.next_step
                )
                self._post(Found(finding))
            return
        self._post(RosterOffered(offered, src))

    def _refuse(self, refusal: Refusal, via: Channel) -> None:
        self._post(Rejected(refusal.code, via, refusal.src))


# A roster older than ours is what a peer that slept still holds; it hears ours by return.
_OLD_NEWS = frozenset({"trust.rollback"})
