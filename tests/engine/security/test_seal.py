"""Only the two ends can read a frame, only its sender can have made it, and nothing is decrypted before that holds."""

import hmac
from collections.abc import Iterator
from itertools import count

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.envelope import BODY_LIMIT, Envelope, Kind, Urgency
from engine.model.mail import AckLine
from engine.model.roster import Member, Role, Roster
from engine.security import seal as module
from engine.security.identity import Identity
from engine.security.prekeys import PreKeys, rotate
from engine.security.roster import admit, found, mark_left, revoke, set_role
from engine.security.seal import ACKS_LIMIT, Sealer
from engine.wire import TAG_SIZE, Refusal, frames

A, B, C = (Identity(letter * 32) for letter in (b"a", b"b", b"c"))
NOW = 1_800_000_000_000
ACKS = st.lists(
    st.builds(AckLine, st.integers(0, 2**40), st.integers(0, 2**40), st.binary(max_size=128)), max_size=ACKS_LIMIT
).map(tuple)


def entropy_of(start: int) -> Iterator[int]:
    return count(start)


def sealer(identity: Identity, roster: Roster) -> Sealer:
    """A sealer with its own, reproducible entropy, that believes `roster`."""
    numbers = entropy_of(int.from_bytes(identity.bundle.device[:4]))
    made = Sealer(identity, roster.fleet_id, lambda size: next(numbers).to_bytes(size))
    made.trust(roster)
    return made


def fleet_of(*others: Identity) -> Roster:
    numbers = entropy_of(1)
    roster = found(A, "a", "home", NOW, lambda size: next(numbers).to_bytes(size))
    for number, one in enumerate(others):
        roster = admit(roster, A, Member(one.id, f"n{number}", one.bundle), NOW)
    return roster


def message(src: Identity, dst: Identity, body: bytes = b"hello", kind: Kind = Kind.TASK) -> Envelope:
    return Envelope(src.id, 3, 7, dst.id, "01J9ZC3D5N8Q", kind, Urgency.HIGH, "thread", NOW, 60, body=body)


def refused(code: str, opener: Sealer, frame: bytes, now_ms: int = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        opener.open(frame, now_ms)
    assert caught.value.code == code
    return caught.value


ROSTER = fleet_of(B, C)


@pytest.fixture
def a() -> Sealer:
    return sealer(A, ROSTER)


@pytest.fixture
def b() -> Sealer:
    return sealer(B, ROSTER)


@pytest.fixture
def no_decryption(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cipher that fails the test when anything is decrypted."""

    class Watched:
        def __init__(self, key: bytes):
            self._real = ChaCha20Poly1305(key)

        def encrypt(self, *given: bytes) -> bytes:
            return self._real.encrypt(*given)

        def decrypt(self, *_: bytes) -> bytes:
            raise AssertionError("something was decrypted that nobody had vouched for")

    monkeypatch.setattr(module, "ChaCha20Poly1305", Watched)


@given(st.binary(max_size=5_000), ACKS, st.sampled_from(list(Kind)))
def test_what_is_sealed_is_opened(body: bytes, acks: tuple[AckLine, ...], kind: Kind) -> None:
    """An envelope and its receipts come out as they went in, in both directions."""
    near, far = sealer(A, ROSTER), sealer(B, ROSTER)
    for seals, opens, src, dst in ((near, far, A, B), (far, near, B, A)):
        envelope = message(src, dst, body, kind)
        frame = seals.seal(envelope, acks)
        parcel = opens.open(frame, NOW)
        assert (parcel.envelope, parcel.acks, parcel.tag) == (envelope, acks, frame[-TAG_SIZE:])


@given(st.binary(min_size=16, max_size=200))
def test_a_frame_shows_nothing_of_its_body(body: bytes) -> None:
    """The body's bytes are not in the frame."""
    assert body not in sealer(A, ROSTER).seal(message(A, B, body))


@pytest.mark.usefixtures("no_decryption")
def test_every_byte_counts(a: Sealer, b: Sealer) -> None:
    """Any byte of a frame changed in any of three ways: refused, and nothing is decrypted."""
    frame = a.seal(message(A, B), (AckLine(1, 2, b"\x05"),))
    with pytest.raises(AssertionError):
        b.open(frame, NOW)
    seen = set()
    for at in range(len(frame)):
        for mask in (0x01, 0x80, 0xFF):
            with pytest.raises(Refusal) as caught:
                b.open(frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :], NOW)
            seen.add(caught.value.code)
    assert seen <= {"garbage", "oversized", "version", "misaddressed", "unknown", "tampered"}
    assert "tampered" in seen


@pytest.mark.usefixtures("no_decryption")
def test_every_cut_counts(a: Sealer, b: Sealer) -> None:
    """A frame cut short anywhere, even with its length put right, is refused."""
    frame = a.seal(message(A, B))
    for end in range(len(frame)):
        for cut in (frame[:end], frame[:8] + end.to_bytes(4) + frame[12:end]):
            with pytest.raises(Refusal):
                b.open(cut, NOW)


@pytest.mark.usefixtures("no_decryption")
@given(data=st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    """Whatever arrives, the answer is a refusal and never another exception."""
    with pytest.raises(Refusal):
        sealer(B, ROSTER).open(data, NOW)


@pytest.mark.usefixtures("no_decryption")
def test_the_fleet_key_alone_forges_nobody(b: Sealer) -> None:
    """A member that knows everything the fleet shares, C, cannot speak as A: the key is the pair's."""
    forged = Sealer(C, ROSTER.fleet_id, lambda size: bytes(size))
    forged.trust(ROSTER)
    frame = forged.seal(message(C, B))
    claimed = frame.replace(C.id.encode(), A.id.encode())
    refused("tampered", b, claimed)
    for key in (*ROSTER.keyring, bytes(32)):
        refused("tampered", b, claimed[:-TAG_SIZE] + hmac.digest(key, claimed[:-TAG_SIZE], "sha256"))


@pytest.mark.usefixtures("no_decryption")
def test_an_unsigned_frame_is_refused(a: Sealer, b: Sealer) -> None:
    """There is no mode in which it is taken."""
    frame = a.seal(message(A, B))
    refused("unsigned", b, frame[:-TAG_SIZE] + bytes(TAG_SIZE))
    assert refused("unsigned", b, b'{"type":"task"}').src == ""


@pytest.mark.usefixtures("no_decryption")
def test_a_frame_for_another_is_refused(a: Sealer, b: Sealer) -> None:
    """A captured frame played to another node, or back to its sender, does nothing; nor with its address changed."""
    frame = a.seal(message(A, C))
    refused("misaddressed", b, frame)
    refused("tampered", b, frame.replace(C.id.encode(), B.id.encode()))
    refused("misaddressed", a, frame)
    turned = frame.replace(C.id.encode(), b"#" * 16).replace(A.id.encode(), C.id.encode())
    refused("tampered", a, turned.replace(b"#" * 16, A.id.encode()))


@pytest.mark.usefixtures("no_decryption")
def test_a_stranger_is_unknown(b: Sealer) -> None:
    """Whoever is not in the roster is refused, however well it seals."""
    stranger = Identity(b"s" * 32)
    roster = fleet_of(B, C, stranger)
    frame = sealer(stranger, roster).seal(message(stranger, B))
    assert refused("unknown", b, frame).src == stranger.id


@pytest.mark.usefixtures("no_decryption")
def test_another_fleet_with_the_same_nodes_is_another_world(b: Sealer) -> None:
    """Keys are bound to the fleet, so a frame of one fleet means nothing in another."""
    other = replace(ROSTER, fleet_id="another")
    refused("tampered", b, sealer(A, other).seal(message(A, B)))


def test_a_revoked_member_is_out_at_once(a: Sealer, b: Sealer) -> None:
    """From the moment the roster arrives its frames are refused and nothing is sealed to it any more."""
    before = b.seal(message(B, A))
    assert a.open(before, NOW).envelope.src == B.id
    a.trust(revoke(ROSTER, A, "n0", NOW, b"k" * 32))
    refused("revoked", a, before)
    refused("revoked", a, b.seal(message(B, A)))
    with pytest.raises(FleetError) as caught:
        a.seal(message(A, B))
    assert caught.value.code == "trust.not_member"
    assert "revoked" in caught.value.detail


def test_who_left_is_out_and_may_come_back(a: Sealer, b: Sealer) -> None:
    """Leaving is said as leaving; being admitted again restores trust."""
    gone = mark_left(ROSTER, A, B.id, NOW)
    frame = b.seal(message(B, A))
    a.trust(gone)
    refused("left", a, frame)
    a.trust(admit(gone, A, Member(B.id, "n0", B.bundle), NOW))
    assert a.open(frame, NOW).envelope.body == b"hello"


def test_a_membership_ends_at_its_hour(a: Sealer, b: Sealer) -> None:
    """`expires_ms` is the first moment at which a member is no longer heard; 0 never comes."""
    members = tuple(replace(one, expires_ms=NOW) if one.id == B.id else one for one in ROSTER.members)
    a.trust(replace(ROSTER, members=members))
    frame = b.seal(message(B, A))
    assert a.open(frame, NOW - 1).envelope.src == B.id
    refused("expired_member", a, frame, NOW)


def test_an_observer_commands_nobody(a: Sealer, b: Sealer) -> None:
    """The tag is right and the role is not: a task is refused, a reply is heard."""
    a.trust(set_role(ROSTER, A, "n0", Role.OBSERVER, NOW))
    assert "observer sent task" in str(refused("role", a, b.seal(message(B, A))))
    assert a.open(b.seal(message(B, A, kind=Kind.REPLY)), NOW).envelope.kind is Kind.REPLY


def test_trust_follows_the_bundle(a: Sealer) -> None:
    """When a roster holds another bundle for an id, the keys shared with the old one are forgotten."""
    old = a.seal(message(A, B))
    members = tuple(replace(one, bundle=C.bundle) if one.id == B.id else one for one in ROSTER.members)
    a.trust(replace(ROSTER, members=members))
    fresh = sealer(B, ROSTER)
    assert fresh.open(old, NOW)
    refused("tampered", fresh, a.seal(message(A, B)))


def test_each_try_has_its_own_tag(a: Sealer, b: Sealer) -> None:
    """An honest resend differs from the frame before it, a replay does not: the tag tells them apart."""
    first, second = a.seal(message(A, B)), a.seal(message(A, B))
    opened = [b.open(frame, NOW) for frame in (first, second, first)]
    assert opened[0].envelope == opened[1].envelope
    assert opened[0].tag != opened[1].tag
    assert opened[0].tag == opened[2].tag


def test_a_prekey_is_used_and_named(a: Sealer, b: Sealer) -> None:
    """What a peer announced is sealed to from then on; without it the long-term key serves, epoch 0."""
    keys = rotate(PreKeys(), b"p" * 32, NOW)
    epoch, public = keys.announced or (0, b"")
    assert b.open(a.seal(message(A, B)), NOW).envelope.key_epoch == 0
    b.own_prekeys(keys.private)
    a.prekey(B.id, epoch, public)
    assert b.open(a.seal(message(A, B)), NOW).envelope.key_epoch == epoch == NOW // 1_000
    a.prekey(B.id, 0, b"")
    assert b.open(a.seal(message(A, B)), NOW).envelope.key_epoch == 0


def test_rotation_loses_nothing_and_ends(a: Sealer, b: Sealer) -> None:
    """Frames sealed before a rotation are opened after it; two rotations later the key is gone."""
    keys = rotate(PreKeys(), b"p" * 32, NOW)
    b.own_prekeys(keys.private)
    a.prekey(B.id, *(keys.announced or (0, b"")))
    frame = a.seal(message(A, B))
    for private, outcome in ((b"q" * 32, None), (b"r" * 32, "stale_key")):
        keys = rotate(keys, private, NOW)
        b.own_prekeys(keys.private)
        if outcome:
            refused(outcome, b, frame)
        else:
            assert b.open(frame, NOW).envelope.body == b"hello"


def test_a_key_that_became_another_is_stale(a: Sealer, b: Sealer) -> None:
    """An epoch whose key was lost and made anew cannot be opened, and the refusal says it is the key's fault."""
    first, second = rotate(PreKeys(), b"p" * 32, NOW), rotate(PreKeys(), b"q" * 32, NOW)
    a.prekey(B.id, *(first.announced or (0, b"")))
    b.own_prekeys(second.private)
    refused("stale_key", b, a.seal(message(A, B)))


@pytest.mark.parametrize("public", [b"", b"x" * 31, bytes(32)], ids=["empty", "short", "small order"])
def test_a_useless_prekey_is_ignored(a: Sealer, b: Sealer, public: bytes) -> None:
    """A peer that announces nonsense is still sealed to, under its long-term key."""
    a.prekey(B.id, 9, public)
    a.prekey("nobody", 9, B.bundle.sealing)
    assert b.open(a.seal(message(A, B)), NOW).envelope.key_epoch == 0


def test_a_worthless_sealing_key_shares_nothing(a: Sealer) -> None:
    """A member whose key would give everybody the same secret is neither heard nor written to."""
    weak = replace(B.bundle, sealing=bytes(32))
    a.trust(replace(ROSTER, members=tuple(replace(m, bundle=weak) if m.id == B.id else m for m in ROSTER.members)))
    with pytest.raises(FleetError):
        a.seal(message(A, B))
    refused("tampered", a, sealer(B, ROSTER).seal(message(B, A)))


def test_a_body_has_a_limit(a: Sealer, b: Sealer) -> None:
    """One MiB exactly is carried; one byte more is an error for the sender, unless it is another frame on its way."""
    assert len(b.open(a.seal(message(A, B, bytes(BODY_LIMIT))), NOW).envelope.body) == BODY_LIMIT
    with pytest.raises(FleetError) as caught:
        a.seal(message(A, B, bytes(BODY_LIMIT + 1)))
    assert caught.value.code == "usage.oversized"


def test_the_largest_frame_passes_two_relays(a: Sealer, b: Sealer) -> None:
    """The largest body with all its receipts can be carried inside a frame inside a frame."""
    acks = (AckLine(2**40, 2**40, bytes(128)),) * ACKS_LIMIT
    c = sealer(C, ROSTER)
    frame = a.seal(message(A, B, bytes(BODY_LIMIT)), acks)
    once = a.seal(message(A, C, frame, Kind.FORWARD), acks)
    twice = a.seal(message(A, C, once, Kind.PASS), acks)
    (whole,) = frames(twice)
    inner = c.open(c.open(whole, NOW).envelope.body, NOW).envelope.body
    assert b.open(inner, NOW).acks == acks


def test_a_body_over_the_limit_is_refused_by_the_receiver_too(
    a: Sealer, b: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that does not keep the limit is refused by one that does."""
    monkeypatch.setattr(module, "BODY_LIMIT", BODY_LIMIT + 1)
    frame = a.seal(message(A, B, bytes(BODY_LIMIT + 1)))
    monkeypatch.undo()
    refused("oversized", b, frame)


def test_receipts_beyond_the_limit_wait(a: Sealer, b: Sealer) -> None:
    """They are cumulative, so what does not fit rides with the next frame."""
    acks = tuple(AckLine(epoch, 1) for epoch in range(ACKS_LIMIT + 5))
    assert b.open(a.seal(message(A, B), acks), NOW).acks == acks[:ACKS_LIMIT]


@pytest.mark.parametrize(
    ("inside", "code"),
    [(b"", "garbage"), (b"\x91" * 50_000, "garbage"), (b"\x93\x90\xc4\x00" + b"\x91" * 50_000 + b"\x00", "garbage")],
    ids=["nothing", "deep", "deep where nobody looks"],
)
def test_a_member_cannot_bomb_another(
    a: Sealer, b: Sealer, inside: bytes, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sealed is parsed within limits: nonsense from a real member is a refusal and not a crash."""
    monkeypatch.setattr(module, "_encode", lambda _: inside)
    frame = a.seal(message(A, B))
    refused(code, b, frame)


def test_a_kind_of_tomorrow_is_refused_by_version(a: Sealer, b: Sealer) -> None:
    """A newer member's new kind is authenticated, not understood, and refused with the kind's name."""
    envelope = message(A, B)
    unknown = replace(envelope, kind="dream")  # type: ignore[arg-type]
    assert "dream" in str(refused("version", b, a.seal(unknown)))


def test_only_our_own_messages_are_sealed(a: Sealer) -> None:
    """Sealing in another's name is a mistake of ours."""
    with pytest.raises(FleetError) as caught:
        a.seal(message(B, C))
    assert caught.value.code == "trust.not_ours"


def test_a_node_can_write_to_itself(a: Sealer) -> None:
    """The way to oneself is a pair like any other."""
    assert a.open(a.seal(message(A, A)), NOW).envelope.body == b"hello"
