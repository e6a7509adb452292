"""What looks like a secret does not reach a log, and what people need to read does."""

import base64
import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.membership.invite import make
from engine.security.identity import Identity
from engine.security.redact import MASK, mask, scrub

A = Identity(b"a" * 32)
SECRET = bytes(range(7, 39))
CODE = make(A, A.id, ("10.0.0.2:8856",), SECRET[:16])

HIDDEN = {
    "an invite": (f"joining with {CODE} now", CODE[7:]),
    "a PEM key": (f"wrote {A.tls_key_pem.decode()}", A.tls_key_pem.decode().splitlines()[1]),
    "a NATS seed": (f"seed {A.nkey_seed.decode()}", A.nkey_seed.decode()),
    "bytes": (f"key={SECRET!r}", repr(SECRET)[2:-1]),
    "bytes in a struct": (f"Roster(keyring=({SECRET!r},))", repr(SECRET)[2:-1]),
    "hex": (f"key {SECRET.hex()}", SECRET.hex()),
    "base64": (f"key {base64.b64encode(SECRET * 2).decode()}", base64.b64encode(SECRET * 2).decode()[:20]),
    "a bearer": ("Authorization: Bearer abcdefgh123", "abcdefgh123"),
    "a token": ('{"token": "hunter2 and more", "to": "mac2"}', "hunter2"),
    "a password": ("password=hunter2, user=a", "hunter2"),
    "an environment": ("FLEET_API_TOKEN=hunter2", "hunter2"),
    "a URL": ("nats://anna:hunter2@10.0.0.2:4222", "hunter2"),
    "a vendor's": ("using sk-ant-api03-abcdefghijkl", "abcdefghijkl"),
    "a forge's": ("remote ghp_abcdefghijklmnop0123", "abcdefghijklmnop0123"),
}

SHOWN = (
    f"peer {A.id} is SUSPECT after 1.5 s",
    "message 01J9ZC3D5N8QWERTYUIOPASDFG is on_host over nats",
    "head 3f786850e387550fdab836ed7e6dc881de23001b on main",
    f"nkey {A.bundle.nkey} may log in",
    "listening on https://10.0.0.2:8856 and nats://127.0.0.1:4222",
    "/home/anna/work/2026/a-rather-long-folder-name/tests/engine/security/test_redact_2.py:12",
    "/Users/Anna/Library/ApplicationSupport/FleetControl/Nodes2/Mac2/store.sqlite3-wal",
    "test_a_name_that_is_very_long_and_has_words_in_it_but_is_no_secret_at_all_v2",
    "a keyboard, tokens: 5, and a secretary",
)


@pytest.mark.parametrize(("line", "secret"), HIDDEN.values(), ids=HIDDEN)
def test_secrets_are_hidden(line: str, secret: str) -> None:
    """The secret goes, a mark stays in its place."""
    assert secret in line
    assert secret not in mask(line)
    assert MASK in mask(line)


@pytest.mark.parametrize("line", SHOWN)
def test_what_people_read_stays(line: str) -> None:
    """Ids, names, hashes, addresses and paths are not secrets."""
    assert mask(line) == line


@given(st.binary(min_size=32, max_size=64))
def test_random_keys_are_hidden_in_every_dress(key: bytes) -> None:
    """32 random bytes and more, as hex, as base32 after the invite's prefix or as Python shows them."""
    for dressed in (key.hex(), "fleet1-" + base64.b32encode(key).decode().rstrip("=").lower(), repr(key)):
        assert mask(dressed) == MASK


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    """It never fails, and masking twice is masking once."""
    assert mask(mask(text)) == mask(text)


def test_a_logger_writes_no_secret() -> None:
    """As a handler's filter it covers arguments and tracebacks, and lets every record pass."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(scrub)
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("code %s for %d s", CODE, 900)
    try:
        raise ValueError(f"no such key: {SECRET.hex()}")
    except ValueError:
        log.exception("failed")
    written = out.getvalue()
    assert f"code {MASK} for 900 s" in written
    assert f"ValueError: no such key: {MASK}" in written
    assert "Traceback" in written
    assert SECRET.hex() not in written
