"""Who a node is follows from its seed alone, and nobody can put together a bundle that is not theirs."""

import asyncio
import contextlib
import json
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nats.errors
import nkeys
import pytest
import watchfiles
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.roster import Bundle
from engine.security.identity import (
    Identity,
    derive,
    fingerprint,
    node_id,
    tls_pin,
    verify_bundle,
    verify_signature,
)
from engine.security.keyfile import write_tls

A, B = Identity(b"a" * 32), Identity(b"b" * 32)
PURPOSES = ("device", "sealing", "signing", "nkey", "tls")


def test_same_seed_same_node() -> None:
    """A node is a function of its seed: id, bundle and certificate are the same bit for bit."""
    again = Identity(b"a" * 32)
    assert (again.id, again.bundle, again.nkey_seed) == (A.id, A.bundle, A.nkey_seed)
    assert (again.tls_cert_pem, again.tls_key_pem) == (A.tls_cert_pem, A.tls_key_pem)


def test_the_keys_never_change() -> None:
    """A release that derived other keys would make every node a stranger to its fleet."""
    assert A.id == "klroie7ialxybaq6"
    assert fingerprint(A.bundle) == "SHA256:UuLkE+gC74CCHvZ8IyTJor5toBe3NniUrNu6MQM8RrU"
    assert tls_pin(A.bundle.tls_cert).hex() == "e47220c3af96c47ba085511b726622fb8554556b70b9efe5e88e9705fd3e874f"
    assert A.bundle.nkey == "UCH2YVSZPM3XPQOR5UJNGYUGEO5M5HOCF4ILD4DQYVH7TBM67QTBW2X2"


@given(st.binary(min_size=32, max_size=32))
def test_every_purpose_has_its_own_secret(seed: bytes) -> None:
    """No two sub-keys are equal, and none is the seed."""
    assert len({seed, *(derive(seed, purpose) for purpose in PURPOSES)}) == len(PURPOSES) + 1


def test_id_is_the_hash_of_the_device_key() -> None:
    """An id is 16 characters of lowercase base32 and cannot be chosen."""
    assert verify_bundle(A.bundle) == A.id == node_id(A.bundle.device)
    assert len(A.id) == 16
    assert set(A.id) <= set("abcdefghijklmnopqrstuvwxyz234567")


@pytest.mark.parametrize("field", Bundle.__struct_fields__)
def test_no_part_of_a_bundle_can_be_swapped(field: str) -> None:
    """Each part of another's bundle, put into this one, is refused."""
    with pytest.raises(FleetError) as caught:
        verify_bundle(replace(A.bundle, **{field: getattr(B.bundle, field)}))
    assert caught.value.code == "trust.bundle"


@pytest.mark.parametrize("field", Bundle.__struct_fields__)
def test_no_part_of_a_bundle_can_be_missing(field: str) -> None:
    """An empty key is not a key."""
    with pytest.raises(FleetError):
        verify_bundle(replace(A.bundle, **{field: "" if field == "nkey" else b""}))


def test_a_signature_serves_one_purpose() -> None:
    """What was signed in one context, or by another, does not verify."""
    signature = A.sign(b"fleet roster 1", b"data")
    assert verify_signature(A.bundle, b"fleet roster 1", b"data", signature)
    assert not verify_signature(A.bundle, b"fleet checkpoint 1", b"data", signature)
    assert not verify_signature(A.bundle, b"fleet roster 1", b"date", signature)
    assert not verify_signature(B.bundle, b"fleet roster 1", b"data", signature)
    assert not verify_signature(A.bundle, b"fleet roster 1", b"data", b"")


def test_a_wrong_seed_is_refused() -> None:
    """A seed has 32 bytes."""
    with pytest.raises(FleetError) as caught:
        Identity(b"short")
    assert caught.value.code == "trust.seed"


def test_an_identity_says_nothing_secret() -> None:
    """What lands in a log when an identity is printed is its id."""
    assert repr(A) == f"Identity({A.id})"


def test_the_broker_login_is_a_user_key() -> None:
    """The nkey signs a nonce that its public half in the bundle verifies."""
    pair = nkeys.from_seed(A.nkey_seed)
    assert A.bundle.nkey.startswith("U")
    assert pair.public_key.decode() == A.bundle.nkey
    assert pair.verify(b"nonce", pair.sign(b"nonce"))


def test_the_certificate_is_its_own_anchor() -> None:
    """Subject and issuer are the node, the name is `<id>.fleet`, it never ends, and its key is the one in the file."""
    cert = x509.load_der_x509_certificate(A.bundle.tls_cert)
    cert.verify_directly_issued_by(cert)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{A.id}.fleet"]
    assert cert.subject.rfc4514_string() == f"CN={A.id}"
    assert cert.not_valid_before_utc.year == 2000
    assert cert.not_valid_after_utc.year == 9999
    public = cert.public_key()
    assert isinstance(public, Ed25519PublicKey)
    assert public == load_pem_private_key(A.tls_key_pem, None).public_key()


def test_a_damaged_certificate_has_no_pin() -> None:
    """What cannot be read is an error and not a pin that fits something else."""
    with pytest.raises(FleetError) as caught:
        tls_pin(A.bundle.tls_cert[:-9])
    assert caught.value.code == "trust.certificate"


def shake(server: Identity, client: Identity, server_trusts: Identity, client_trusts: Identity, home: Path) -> None:
    """One handshake in which each side trusts one certificate and names are checked."""
    near, far = socket.socketpair()
    sides = []
    for identity, trusted, purpose in (
        (server, server_trusts, ssl.PROTOCOL_TLS_SERVER),
        (client, client_trusts, ssl.PROTOCOL_TLS_CLIENT),
    ):
        (home / identity.id).mkdir(mode=0o700, exist_ok=True)
        context = ssl.SSLContext(purpose)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(*write_tls(home / identity.id, identity))
        context.load_verify_locations(cadata=trusted.tls_cert_pem.decode())
        sides.append(context)
    failed: list[Exception] = []

    def serve() -> None:
        try:
            with sides[0].wrap_socket(far, server_side=True) as secured:
                secured.sendall(secured.recv(4))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with sides[1].wrap_socket(near, server_hostname=f"{server.id}.fleet") as secured:
            secured.sendall(b"ping")
            assert secured.recv(4) == b"ping"
    finally:
        near.close()
        thread.join()
        far.close()


def test_openssl_takes_it_at_both_ends(home: Path) -> None:
    """Two nodes that pin each other's certificate shake hands, names checked, under OpenSSL's strict rules."""
    shake(A, B, server_trusts=B, client_trusts=A, home=home)


@pytest.mark.parametrize(("server_trusts", "client_trusts"), [(B, B), (A, A)], ids=["false server", "false client"])
def test_openssl_refuses_another_key(home: Path, server_trusts: Identity, client_trusts: Identity) -> None:
    """A certificate that is not the pinned one ends the handshake, whichever end shows it."""
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        shake(A, B, server_trusts, client_trusts, home)


@pytest.mark.slow
@pytest.mark.parametrize("client", [B, A], ids=["pinned", "a stranger"])
async def test_go_takes_it_at_both_ends(home: Path, client: Identity) -> None:
    """A real nats-server shows the certificate, demands the client's, and lets in only the pinned one, by its nkey."""
    cert, key = write_tls(home, A)
    (home / "client").mkdir(mode=0o700)
    (home / "ca.pem").write_bytes(B.tls_cert_pem)
    tls = {"cert_file": str(cert), "key_file": str(key), "ca_file": str(home / "ca.pem"), "verify": True}
    users = {"users": [{"nkey": client.bundle.nkey}]}
    config = {"host": "127.0.0.1", "port": -1, "ports_file_dir": str(home), "tls": tls, "authorization": users}
    (home / "nats.conf").write_text(json.dumps(config))
    context = ssl.create_default_context(cadata=A.tls_cert_pem.decode())
    context.load_cert_chain(*write_tls(home / "client", client))
    async with nats_server(home) as port:
        connecting = nats.connect(
            f"tls://127.0.0.1:{port}",
            tls=context,
            tls_hostname=f"{A.id}.fleet",
            nkeys_seed_str=client.nkey_seed.decode(),
            allow_reconnect=False,
            error_cb=quiet,
        )
        if client is B:
            connection = await connecting
            await connection.flush()
            await connection.close()
        else:
            with pytest.raises((nats.errors.Error, OSError)):
                await connecting


async def quiet(_: Exception) -> None:
    """nats-py prints errors unless someone takes them."""


@asynccontextmanager
async def nats_server(home: Path) -> AsyncIterator[int]:
    """A broker with the configuration in `home`; gives the port it chose, which it writes into a file when ready."""
    program = str(Path(sys.executable).parent / "nats-server")
    server = await asyncio.create_subprocess_exec(program, "-c", str(home / "nats.conf"), "-l", str(home / "log"))
    try:
        yield await asyncio.wait_for(_port(home), 20)
    finally:
        server.kill()
        await server.wait()


async def _port(home: Path) -> int:
    async for _ in watchfiles.awatch(home, debounce=50, step=10, yield_on_timeout=True, rust_timeout=200):
        for found in home.glob("*.ports"):
            with contextlib.suppress(json.JSONDecodeError, LookupError):
                return int(json.loads(found.read_text())["nats"][0].rpartition(":")[2])
    raise AssertionError("the broker never said where it listens")
