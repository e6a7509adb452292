"""What comes through the door: authenticated parcels, each once, whatever is wrapped around them."""

from itertools import count

import msgspec
import pytest
from msgspec.structs import replace

from engine import door as module
from engine.door import Door
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind, Urgency
from engine.model.packets import PACKETS, Forward, pack
from engine.model.roster import Member
from engine.security.identity import Identity
from engine.security.roster import admit, found
from engine.security.seal import Sealer
from engine.signals import Arrived, Rejected, Signal, Transited

A, B = Identity(b"a" * 32), Identity(b"b" * 32)
NOW = 1_800_000_000_000
_numbers = count(1)


def entropy(size: int) -> bytes:
    return next(_numbers).to_bytes(size)


ROSTER = admit(found(A, "a", "home", NOW, entropy), A, Member(B.id, "b", B.bundle), NOW)


def sealer(identity: Identity) -> Sealer:
    made = Sealer(identity, ROSTER.fleet_id, entropy)
    made.trust(ROSTER)
    return made


def letter(kind: Kind, body: bytes, seq: int) -> Envelope:
    return Envelope(A.id, 3, seq, B.id, f"m{seq}", kind, Urgency.NORMAL, "", NOW, 60, body=body)


def wrapped(times: int) -> bytes:
    """A letter of A's to B in so many forwards of A's to B."""
    seals = sealer(A)
    frame = seals.seal(letter(Kind.CONTEXT, b"hello", 1))
    for number in range(times):
        frame = seals.seal(letter(Kind.FORWARD, pack(Forward(B.id, 1, frame)), number + 2))
    return frame


def heard(data: bytes) -> list[Signal]:
    posted: list[Signal] = []
    door = Door(B.id, sealer(B), posted.append, lambda: False, lambda: ROSTER, lambda: NOW)
    assert door.arrived(data, Channel.HTTP, None)
    return posted


def test_two_relays_are_unwrapped() -> None:
    """Each wrapper is a parcel with a number of its own, and so is what was in the last one."""
    (arrived,) = heard(wrapped(2))
    assert isinstance(arrived, Arrived)
    kinds = [(one.envelope.kind, one.relay) for one in arrived.parcels]
    assert kinds == [(Kind.FORWARD, ""), (Kind.FORWARD, A.id), (Kind.CONTEXT, A.id)]


def test_a_nest_of_wrappers_is_not_opened_to_its_end() -> None:
    """A member that wraps a frame in a thousand others costs three openings, and is refused."""
    rejected, arrived = heard(wrapped(1_000))
    assert rejected == Rejected("misaddressed", Channel.RELAY, A.id)
    assert isinstance(arrived, Arrived)
    assert len(arrived.parcels) == 3


# ----------------------------------------------------------------------------------------- once, and only from members


class Hall:
    """B's door, and what it posted and replied. `busy`: whether the node takes no more."""

    def __init__(self) -> None:
        self.posted: list[Signal] = []
        self.replies: list[bytes] = []
        self.busy = False
        self.door = Door(B.id, sealer(B), self.posted.append, lambda: self.busy, lambda: ROSTER, lambda: NOW)

    def bring(self, *frames: bytes, via: Channel = Channel.NATS) -> list[Signal]:
        """What the door makes of one delivery."""
        self.posted.clear()
        assert self.door.arrived(b"".join(frames), via, self.replies.append)
        return list(self.posted)

    def whys(self, *frames: bytes) -> list[str]:
        """Why frames were refused."""
        return [signal.why for signal in self.bring(*frames) if isinstance(signal, Rejected)]


def fresh(seq: int = 1, kind: Kind = Kind.CONTEXT, body: bytes = b"hello") -> bytes:
    return sealer(A).seal(letter(kind, body, seq))


def test_a_replayed_frame_is_refused_and_counted() -> None:
    """Bit for bit the same, on whatever channel: never heard again. An honest resend is sealed anew and is."""
    hall, frame = Hall(), fresh()
    assert isinstance(hall.bring(frame)[0], Arrived)
    for via in (Channel.NATS, Channel.HTTP):
        assert hall.bring(frame, via=via) == [Rejected("replayed", via, A.id)]
    assert isinstance(hall.bring(fresh())[0], Arrived)


def test_a_replay_from_before_the_restart_is_refused() -> None:
    """The tags of what is in the inbox are remembered across a start."""
    hall, frame = Hall(), fresh()
    hall.door.remember([frame[-32:]])
    assert hall.whys(frame) == ["replayed"]


def test_the_memory_for_tags_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest tag is forgotten first; the number in the frame still stops what it was for."""
    monkeypatch.setattr(module, "SEEN_LIMIT", 3)
    hall, frames = Hall(), [fresh(seq) for seq in range(1, 6)]
    for frame in frames:
        hall.bring(frame)
    assert hall.whys(frames[4]) == hall.whys(frames[2]) == ["replayed"]
    assert hall.whys(frames[0]) == []


def test_one_bad_frame_spoils_no_other() -> None:
    """Of a batch the good ones are heard, and each bad one is refused with its own reason."""
    hall, good = Hall(), fresh(1)
    changed = bytearray(fresh(2))
    changed[-1] ^= 1
    stranger = Sealer(Identity(b"z" * 32), ROSTER.fleet_id, entropy)
    stranger.trust(ROSTER)
    unknown = stranger.seal(replace(letter(Kind.CONTEXT, b"x", 3), src=Identity(b"z" * 32).id))
    signals = hall.bring(bytes(changed), good, unknown, fresh(4))
    assert [one.why for one in signals if isinstance(one, Rejected)] == ["tampered", "unknown"]
    (arrived,) = (one for one in signals if isinstance(one, Arrived))
    assert [parcel.envelope.seq for parcel in arrived.parcels] == [1, 4]


@pytest.mark.parametrize("kind", list(PACKETS))
def test_a_packet_that_cannot_be_read_is_refused(kind: Kind) -> None:
    """Authentic, and still no packet of its kind: refused here, because a step that stumbles takes the node down."""
    for body in (b"", b"\xff", b"\x93\xc0\xc0\xc0", b"\xc1" * 9):
        assert Hall().whys(fresh(1, kind, body)) == ["garbage"]


def test_nothing_good_is_answered_with_nothing() -> None:
    """The sender of a delivery of which nothing was opened is told so at once; of a good one, when it is durable."""
    hall = Hall()
    hall.bring(b"no frame at all")
    assert hall.replies == [b""]
    (arrived,) = hall.bring(fresh())
    assert isinstance(arrived, Arrived)
    assert hall.replies == [b""]
    hall.door.answer(arrived.token, b"receipt")
    hall.door.answer(arrived.token, b"again")
    assert hall.replies == [b"", b"receipt"]


def test_busy_is_said_and_nothing_is_opened() -> None:
    """A node with too much to do takes nothing, which costs it nothing; the frame is as good as new later."""
    hall, frame = Hall(), fresh()
    hall.busy = True
    assert hall.door.arrived(frame, Channel.NATS, hall.replies.append) is False
    assert hall.posted == hall.replies == []
    hall.busy = False
    assert isinstance(hall.bring(frame)[0], Arrived)


def test_open_replies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest is given up: its sender sees a lost answer and sends again."""
    monkeypatch.setattr(module, "OPEN_REPLIES", 2)
    hall = Hall()
    tokens = [signal.token for seq in (1, 2, 3) for signal in hall.bring(fresh(seq)) if isinstance(signal, Arrived)]
    for token in tokens:
        hall.door.answer(token, b"%d" % token)
    assert hall.replies == [b"2", b"3"]


def test_a_way_without_a_way_back_has_no_token() -> None:
    """Where nothing can be answered nothing is kept open."""
    hall = Hall()
    hall.door.arrived(fresh(), Channel.SEED, None)
    (arrived,) = hall.posted
    assert isinstance(arrived, Arrived)
    assert arrived.token == 0


def test_what_came_back_for_somebody_else_goes_on() -> None:
    """A frame in a reply that is not for us is a receipt on its way through us; unopened, it is handed to the relay."""
    hall = Hall()
    other = Identity(b"c" * 32)
    roster = admit(ROSTER, A, Member(other.id, "c", other.bundle), NOW)
    seals = Sealer(A, ROSTER.fleet_id, entropy)
    seals.trust(roster)
    frame = seals.seal(replace(letter(Kind.RECEIPT, b"", 1), dst=other.id))
    hall.door.replied(frame, Channel.HTTP, A.id)
    assert hall.posted == [Transited(A.id, other.id, frame)]
    assert hall.whys(frame) == ["misaddressed"], "as a delivery it has the wrong address"


# ----------------------------------------------------------------------------------------------- members that lie


def beat(**said: object) -> bytes:
    """A heartbeat as a member that keeps to no rule writes it."""
    return msgspec.msgpack.encode({"sent_ms": NOW, "version": "1", **said})


DEEP = b"\x91" * 100_000 + b"\xc0"
LIES = {
    "a port below": (Kind.HEARTBEAT, beat(addresses=[{"host": "h", "udp": -1}])),
    "a port beyond": (Kind.HEARTBEAT, beat(addresses=[{"host": "h", "http": 65_536}])),
    "no host": (Kind.HEARTBEAT, beat(addresses=[{"host": "a b\n"}])),
    "an incarnation beyond": (Kind.HEARTBEAT, beat(incarnation=2**62)),
    "a negative floor": (Kind.HEARTBEAT, beat(floor_epoch=-1)),
    "an endless load": (Kind.HEARTBEAT, beat(load=float("inf"))),
    "no text": (Kind.HEARTBEAT, beat(branch="AAAA").replace(b"AAAA", b"\xff" * 4)),
    "a deep nest": (Kind.HEARTBEAT, b"\x83" + beat()[1:] + b"\xa1z" + DEEP),
    "a deep receipt": (Kind.RECEIPT, b"\x93\x90\x90" + DEEP),
    "a watermark below": (Kind.RECEIPT, msgspec.msgpack.encode([[[3, -(2**63), b"\xff"]]])),
    "an endless mask": (Kind.RECEIPT, msgspec.msgpack.encode([[[3, 1, b"\xff" * 2_049]]])),
    "a roster of no text": (Kind.ROSTER, msgspec.msgpack.encode(ROSTER).replace(b"home", b"\xff" * 4)),
    "a deep roster": (Kind.ROSTER, b"\x81\xa1z" + DEEP),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_no_honest_member_says_is_garbage(lie: str) -> None:
    """It is refused and counted at the door, and what came with it is taken: nothing behind it has to bear it."""
    kind, body = LIES[lie]
    seals = sealer(A)
    refused, arrived = heard(seals.seal(letter(kind, body, 1)) + seals.seal(letter(Kind.CONTEXT, b"hello", 2)))
    assert isinstance(refused, Rejected)
    assert refused.why == "garbage"
    assert isinstance(arrived, Arrived)
    assert [one.envelope.body for one in arrived.parcels] == [b"hello"]


def test_a_lie_in_a_wrapper_does_not_stop_the_relay() -> None:
    """A relay cannot see what it carries: its own number stands, or it would send the same for ever."""
    seals = sealer(A)
    inner = seals.seal(letter(*LIES["no text"], 1))
    refused, arrived = heard(seals.seal(letter(Kind.FORWARD, pack(Forward(B.id, 1, inner)), 2)))
    assert isinstance(refused, Rejected)
    assert refused.why == "garbage"
    assert isinstance(arrived, Arrived)
    assert [one.envelope.kind for one in arrived.parcels] == [Kind.FORWARD]
