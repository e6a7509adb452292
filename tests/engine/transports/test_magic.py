"""The magic packet to the byte, and how often it may be sent."""

import pytest

from engine.transports.magic import MINUTE_S, packet, wait_s


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
    assert MINUTE_S == 60.0
    assert wait_s(bursts, 100.0, 3) == expected
