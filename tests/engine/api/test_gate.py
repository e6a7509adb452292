"""Who may use the API over loopback TCP."""

import pytest

from engine.api.gate import refusal

GOOD = [(b"host", b"127.0.0.1:8855"), (b"authorization", b"Bearer right")]


@pytest.mark.parametrize("host", [b"127.0.0.1:8855", b"localhost:8855", b"[::1]:8855"])
def test_loopback_with_the_token_is_let_in(host: bytes) -> None:
    """A Host that names loopback and this port, and the token."""
    assert refusal([(b"host", host), (b"authorization", b"Bearer right")], 8855, "right") is None


def test_the_scheme_has_no_case() -> None:
    """As RFC 9110 has it; the token has."""
    assert refusal([GOOD[0], (b"authorization", b"bearer right")], 8855, "right") is None


REFUSED = {
    "no token": ([GOOD[0]], "auth.token"),
    "a wrong token": ([GOOD[0], (b"authorization", b"Bearer wrong")], "auth.token"),
    "two tokens": ([*GOOD, (b"authorization", b"Bearer right")], "auth.token"),
    "no bearer": ([GOOD[0], (b"authorization", b"right")], "auth.token"),
    "a rebound name": ([(b"host", b"evil.example:8855"), GOOD[1]], "refused.host"),
    "another port": ([(b"host", b"127.0.0.1:80"), GOOD[1]], "refused.host"),
    "no host": ([GOOD[1]], "refused.host"),
    "two hosts": ([*GOOD, (b"host", b"127.0.0.1:8855")], "refused.host"),
    "a web page": ([*GOOD, (b"origin", b"https://evil.example")], "refused.origin"),
    "a page without origin": ([*GOOD, (b"origin", b"null")], "refused.origin"),
}


@pytest.mark.parametrize(("headers", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_anything_else_is_refused(headers: list[tuple[bytes, bytes]], code: str) -> None:
    """Each of these stays outside, and is told why."""
    found = refusal(headers, 8855, "right")
    assert found is not None
    assert found.code == code


def test_our_own_origin_is_let_in() -> None:
    """A page served from this very port may ask."""
    assert refusal([*GOOD, (b"origin", b"http://127.0.0.1:8855")], 8855, "right") is None
