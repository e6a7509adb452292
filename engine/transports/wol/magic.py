"""The magic packet: what a sleeping card listens for, and how often one machine may be sent it.

Six bytes of 0xFF, then the card's hardware address sixteen times (AMD, "Magic Packet Technology", 1995). It is not
signed and needs no secret; all it can do is to switch a machine on.
"""

from ipaddress import IPv4Address

from engine.model.moment import MINUTE_S

# The smallest network with a broadcast has two bits for its machines, all set in that address.
_HOST_BITS = 0b11
_SYNC, _REPEATS, _MAC_SIZE = b"\xff" * 6, 16, 6


def packet(mac: str) -> bytes:
    """The packet for one card, 102 bytes. Raises `ValueError` for what is no hardware address."""
    try:
        address = bytes.fromhex(mac.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != _MAC_SIZE:
        raise ValueError(mac)
    return _SYNC + address * _REPEATS


def is_broadcast(host: str) -> bool:
    """Whether packets may go to this address because a peer says that its network's broadcast is there: an IPv4 address
    of a private network that ends as broadcasts do. A name or a machine of the internet would be somebody else, and
    anybody in the fleet could have us send to him."""
    try:
        address = IPv4Address(host)
    except ValueError:
        return False
    return address.is_private and not address.is_loopback and int(address) & _HOST_BITS == _HOST_BITS


def wait_s(bursts: tuple[float, ...], now: float, a_minute: int) -> float:
    """Seconds until another burst may leave, after those at these moments; 0: it may now."""
    recent = [at for at in bursts if now - at < MINUTE_S]
    return 0.0 if len(recent) < a_minute else recent[-a_minute] + MINUTE_S - now
