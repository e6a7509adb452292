"""The seal: envelope to frame and back, so that only the two ends can read it and only the sender can have made it.

Two nodes share secrets nobody else has: X25519 of their sealing keys, spread by HKDF-SHA256 over the fleet's and both
nodes' ids, one key for each direction and purpose. Each frame carries an HMAC-SHA256 over everything before it, checked
in constant time before anything is decrypted; its body is ChaCha20-Poly1305 with prefix and header as associated data.
A frame is sealed anew for each try, with a fresh nonce, so its tag is unique: an equal tag is a replay, a new tag on a
known number an honest resend.

Where the recipient has announced a rotating pre-key, the body is sealed to it and `key_epoch` names it, else to the
long-term key (0). This protects what was recorded from whoever steals the recipient's files after the pre-key is gone;
it does not protect it from whoever steals the sender's, because the sender's half is its long-term key. Nonces are 96
random bits: after 2^32 frames under one key (two days at 20,000 a second) two are equal with probability 2^-33.

The sealer never keeps a replay window and never judges a clock: what it returns goes to `mail`, which does.
"""

import hashlib
import hmac
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import Fault, FleetError
from engine.model.envelope import BODY_LIMIT, Envelope, Kind
from engine.model.mail import AckLine, Parcel
from engine.model.roster import Member, Roster
from engine.security.identity import Identity
from engine.security.role import may_send
from engine.wire import TAG_SIZE, VERSION, Header, Refusal, dissect, head, oversized

NONCE_SIZE = 12
# Receipts ride along as far as they fit; they are cumulative, so what is left out rides with the next frame.
ACKS_LIMIT = 64
# What nonce, Poly1305's tag and our own tag add to a body.
_AROUND = NONCE_SIZE + 16 + TAG_SIZE
# These carry a whole frame, so their bodies may be as large as a frame is.
_CARRIERS = frozenset({Kind.FORWARD, Kind.PASS})
_KINDS = {str(kind): kind for kind in Kind}


class _Inside(msgspec.Struct, frozen=True, array_like=True):
    acks: tuple[AckLine, ...]
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Inside).decode


class _Peer:
    """What is believed of one present member, and the keys shared with it, made when first needed."""

    __slots__ = ("mac_in", "mac_out", "member", "opens", "prekey", "public", "seals")

    def __init__(self, member: Member, mac_in: "hmac.HMAC", mac_out: "hmac.HMAC", public: X25519PublicKey):
        self.member, self.public = member, public
        self.mac_in, self.mac_out = mac_in, mac_out
        self.prekey: tuple[int, bytes] = (0, member.bundle.sealing)
        self.seals: ChaCha20Poly1305 | None = None
        self.opens: dict[int, ChaCha20Poly1305] = {}


class Sealer:
    """Seals and opens for one node. `entropy(n)` gives n unpredictable bytes; everything else it is told."""

    def __init__(self, identity: Identity, fleet_id: str, entropy: Callable[[int], bytes]):
        self._identity = identity
        self._fleet_id = fleet_id
        self._entropy = entropy
        self._members: dict[str, Member] = {}
        self._peers: dict[str, _Peer] = {}
        self._own: dict[int, X25519PrivateKey] = {0: identity.sealing}

    def trust(self, roster: Roster) -> None:
        """Believe this roster and no other: keys of whoever is gone, or whose bundle is another now, are dropped."""
        if roster.fleet_id != self._fleet_id:
            self._fleet_id = roster.fleet_id
            self._peers.clear()
        self._members = {member.id: member for member in roster.members}
        for node_id, peer in list(self._peers.items()):
            member = self._members.get(node_id)
            if member is None or not member.present or member.bundle != peer.member.bundle:
                del self._peers[node_id]
            else:
                peer.member = member

    def prekey(self, peer_id: str, key_epoch: int, public: bytes) -> None:
        """Seal to this pre-key of a peer from now on (`key_epoch` 0: to its long-term key again). The last word counts,
        even a lower epoch: a peer that lost its store begins anew. A key that cannot be used is ignored."""
        try:
            peer = self._peer(peer_id)
            prekey = (key_epoch, public) if key_epoch else (0, peer.member.bundle.sealing)
            if prekey == peer.prekey:
                return
            self._identity.sealing.exchange(X25519PublicKey.from_public_bytes(prekey[1]))
        except (Refusal, ValueError):
            return
        peer.prekey, peer.seals = prekey, None

    def own_prekeys(self, keys: dict[int, bytes]) -> None:
        """The private halves that frames to us may be sealed to, by epoch; any other epoch is refused from now on."""
        own = {epoch: X25519PrivateKey.from_private_bytes(key) for epoch, key in keys.items()}
        self._own = {**own, 0: self._identity.sealing}
        for peer in self._peers.values():
            peer.opens.clear()

    def seal(self, envelope: Envelope, acks: tuple[AckLine, ...] = ()) -> bytes:
        """A fresh frame for the envelope's `dst`, whose `key_epoch` is chosen here.

        Raises `FleetError`: `trust.not_member` when the roster does not hold the recipient any more, `usage.oversized`.
        """
        peer = self._recipient(envelope)
        if len(envelope.body) > BODY_LIMIT and envelope.kind not in _CARRIERS:
            raise oversized(f"a body of {len(envelope.body)} bytes")
        epoch, public = peer.prekey
        if peer.seals is None:
            shared = self._identity.sealing.exchange(X25519PublicKey.from_public_bytes(public))
            peer.seals = ChaCha20Poly1305(self._key(shared, "seal", self._identity.id, envelope.dst, epoch))
        inside = _encode((acks[:ACKS_LIMIT], envelope.body))
        start = head(envelope, epoch, len(inside) + _AROUND)
        nonce = self._entropy(NONCE_SIZE)
        covered = start + nonce + peer.seals.encrypt(nonce, inside, start)
        mac = peer.mac_out.copy()
        mac.update(covered)
        return covered + mac.digest()

    def open(self, frame: bytes, now_ms: int) -> Parcel:
        """The parcel in one frame. `now_ms`: wall time, for memberships that expire.

        Raises `Refusal`, in this order: shape, address, sender, tag; only then is anything decrypted, and its kind and
        size held against the sender's role and the limits.
        """
        header, start = dissect(frame)
        if header.dst != self._identity.id:
            raise Refusal("misaddressed", header.src)
        peer = self._sender(header.src, now_ms)
        mac = peer.mac_in.copy()
        mac.update(frame[:-TAG_SIZE])
        tag = frame[-TAG_SIZE:]
        if not hmac.compare_digest(mac.digest(), tag):
            raise Refusal("tampered", header.src)
        inside = self._opened(frame, header, start, peer)
        envelope = _envelope(header, inside.body)
        if not may_send(peer.member.role, envelope.kind):
            raise Refusal("role", header.src, f"{peer.member.role} sent {envelope.kind}.")
        return Parcel(envelope, tag, "", inside.acks)

    def _opened(self, frame: bytes, header: Header, start: int, peer: _Peer) -> _Inside:
        cipher = peer.opens.get(header.key_epoch) or self._opener(peer, header)
        ends = start + NONCE_SIZE
        try:
            return _decode(cipher.decrypt(frame[start:ends], frame[ends:-TAG_SIZE], frame[:start]))
        except InvalidTag:
            # The sender's tag holds, so the sender sealed it: to a key of ours that is another one now.
            raise Refusal("stale_key", header.src, f"Key epoch {header.key_epoch}.") from None
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise Refusal("garbage", header.src, "What was sealed in it cannot be read.") from None

    def _opener(self, peer: _Peer, header: Header) -> ChaCha20Poly1305:
        private = self._own.get(header.key_epoch)
        if private is None:
            raise Refusal("stale_key", header.src, f"Key epoch {header.key_epoch}.")
        key = self._key(private.exchange(peer.public), "seal", header.src, header.dst, header.key_epoch)
        peer.opens[header.key_epoch] = cipher = ChaCha20Poly1305(key)
        return cipher

    def _recipient(self, envelope: Envelope) -> _Peer:
        if envelope.src != self._identity.id:
            raise FleetError("trust.not_ours", "The message is not ours to seal", envelope.msg_id, fault=Fault.OURS)
        try:
            return self._peer(envelope.dst)
        except Refusal as refusal:
            raise FleetError(
                "trust.not_member",
                "The recipient is not a member",
                f"{envelope.dst}: {refusal.code}",
                "see `fleet peers`; a machine that was revoked needs a new home and a new invite",
            ) from None

    def _sender(self, src: str, now_ms: int) -> _Peer:
        peer = self._peer(src)
        if 0 < peer.member.expires_ms <= now_ms:
            raise Refusal("expired_member", src)
        return peer

    def _peer(self, node_id: str) -> _Peer:
        peer = self._peers.get(node_id)
        if peer is not None:
            return peer
        member = self._members.get(node_id)
        if member is None:
            raise Refusal("unknown", node_id)
        if not member.present:
            raise Refusal("revoked" if member.revoked_ms else "left", node_id)
        return self._met(member)

    def _met(self, member: Member) -> _Peer:
        try:
            public = X25519PublicKey.from_public_bytes(member.bundle.sealing)
            shared = self._identity.sealing.exchange(public)
        except ValueError:
            # A key of small order shares nothing: whatever it signs could have been made by anybody.
            raise Refusal("tampered", member.id, "Its sealing key is worthless.") from None
        me, peer = self._identity.id, member.id
        mac_in, mac_out = (self._key(shared, "mac", *way, 0) for way in ((peer, me), (me, peer)))
        made = _Peer(member, hmac.new(mac_in, digestmod="sha256"), hmac.new(mac_out, digestmod="sha256"), public)
        self._peers[member.id] = made
        return made

    def _key(self, shared: bytes, purpose: str, src: str, dst: str, epoch: int) -> bytes:
        salt = hashlib.sha256("\0".join((self._fleet_id, *sorted((src, dst)))).encode()).digest()
        info = f"fleet frame {VERSION} {purpose} {src} {dst} {epoch}".encode()
        return HKDF(hashes.SHA256(), 32, salt, info).derive(shared)


def _envelope(header: Header, body: bytes) -> Envelope:
    kind = _KINDS.get(header.kind)
    if kind is None:
        raise Refusal("version", header.src, f"Version {VERSION} of this node knows no kind {header.kind!r}.")
    if len(body) > BODY_LIMIT and kind not in _CARRIERS:
        raise Refusal("oversized", header.src, f"A body of {len(body)} bytes.")
    one = header
    return Envelope(
        one.src, one.src_epoch, one.seq, one.dst, one.msg_id, kind, one.urgency, one.thread,
        one.created_ms, one.ttl_s, one.hop, one.key_epoch, body,
    )  # fmt: skip
