"""What comes through the door: authenticated parcels, each once, whatever is wrapped around them."""

from itertools import count

from engine.door import Door
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind, Urgency
from engine.model.packets import Forward, pack
from engine.model.roster import Member
from engine.security.identity import Identity
from engine.security.roster import admit, found
from engine.security.seal import Sealer
from engine.signals import Arrived, Rejected, Signal

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
