"""The tag on a gossip datagram: whoever holds a key of the fleet may speak, nobody else is heard.

    version 1 | tag 16 | packet

Gossip is about liveness and is worth little, so it has the fleet's own key instead of one per pair: a member could lie
about another, and only the other refutes it. What counts (mail, rosters) is sealed pair by pair. The keyring holds up
to three keys, the first is used and all are accepted, so that a key is replaced without an outage: install it, use it,
remove the old one (after memberlist's keyring).
"""

import hmac

from engine.errors import Fault, FleetError

# More than a packet may hold is dropped before it is hashed: a flood costs us as little as possible.
DATAGRAM_LIMIT = 2_048
_VERSION = b"\x01"
_TAG_SIZE = 16
_START = len(_VERSION) + _TAG_SIZE
_CONTEXT = b"fleet gossip 1\0"


class GossipSeal:
    """Wraps and unwraps datagrams under a roster's `keyring`. A node without a keyring hears nobody."""

    __slots__ = ("_macs",)

    def __init__(self, keyring: tuple[bytes, ...]):
        self._macs = [hmac.new(key, _CONTEXT, "sha256") for key in keyring]

    def wrap(self, packet: bytes) -> bytes:
        """The datagram for a packet. Raises `FleetError` `trust.gossip` without a key, or when it is too large."""
        if not self._macs or len(packet) > DATAGRAM_LIMIT - _START:
            why = f"{len(packet)} bytes, {len(self._macs)} keys"
            raise FleetError("trust.gossip", "A gossip packet cannot be sent", why, fault=Fault.OURS)
        return _VERSION + _tag(self._macs[0], packet) + packet

    def unwrap(self, datagram: bytes) -> bytes | None:
        """The packet in a datagram, or None when no key of the fleet made its tag."""
        if not _START < len(datagram) <= DATAGRAM_LIMIT or datagram[:1] != _VERSION:
            return None
        tag, packet = datagram[1:_START], datagram[_START:]
        if any(hmac.compare_digest(_tag(mac, packet), tag) for mac in self._macs):
            return packet
        return None


def _tag(base: "hmac.HMAC", packet: bytes) -> bytes:
    mac = base.copy()
    mac.update(packet)
    return mac.digest()[:_TAG_SIZE]
