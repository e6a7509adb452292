"""The magic packet to the byte, and how often it may be sent."""

import pytest

from engine.transports.wol.magic import is_broadcast, packet, wait_s


def test_the_packet_to_the_byte() -> None:
    """Six times FF and the address sixteen times, in the order in which it is written."""
    assert packet("02:00:5e:10:00:ff") == bytes.fromhex("ffffffffffff" + "02005e1000ff" * 16)
    for wrong in ("", "02:00:5e:10:00", "02:00:5e:10:00:ff:01", "no:ta:ma:ca:dd:rs"):
        with pytest.raises(ValueError, match="^" + wrong + "$"):
            packet(wrong)


@pytest.mark.parametrize(
    ("bursts", "expected"),
    [
        ((), 0.0),
        ((99.0, 99.5), 0.0),
        ((90.0, 95.0, 99.0), 50.0),
        ((10.0, 95.0, 99.0), 0.0),
        ((40.0, 95.0, 99.0), 0.0),
        ((40.1, 95.0, 99.0), pytest.approx(0.1)),
        ((50.0, 60.0, 70.0, 80.0, 90.0), 30.0),
    ],
)
def test_how_long_until_the_next(bursts: tuple[float, ...], expected: float) -> None:
    """Of three in a minute the oldest has to be a minute ago."""
    assert wait_s(bursts, 100.0, 3) == expected


@pytest.mark.parametrize(
    ("host", "may"),
    [
        *((host, True) for host in ("10.77.1.255", "192.168.1.255", "172.16.255.255", "10.0.0.127", "169.254.255.255")),
        *((host, False) for host in ("8.8.8.255", "192.168.1.1", "127.255.255.255", "evil.example", "", "::1", "10.1")),
    ],
)
def test_what_a_peer_may_call_its_broadcast(host: str, may: bool) -> None:
    """An address of a private network that ends as broadcasts do: no name, nobody on the internet, not ourselves."""
    assert is_broadcast(host) is may
