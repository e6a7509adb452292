"""The magic packet: what a sleeping card listens for, and how often one machine may be sent it.

Six bytes of 0xFF, then the card's hardware address sixteen times (AMD, "Magic Packet Technology", 1995). It is not
signed and needs no secret; all it can do is to switch a machine on.
"""

MINUTE_S = 60.0
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


def wait_s(bursts: tuple[float, ...], now: float, a_minute: int) -> float:
    """Seconds until another burst may leave, after those at these moments; 0: it may now."""
    recent = [at for at in bursts if now - at < MINUTE_S]
    return 0.0 if len(recent) < a_minute else recent[-a_minute] + MINUTE_S - now
