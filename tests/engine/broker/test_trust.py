"""Between brokers: pinned keys in both directions, and never plain text."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from engine.model.roster import Address, Member
from tests.nodes import LOOPBACK, Node, cluster

pytestmark = pytest.mark.slow

Pair = tuple[Path, Path]


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    made = [Node(number) for number in (1, 2, 3)]
    yield made
    for node in made:
        await node.close()


def issued_by(member: Node, folder: Path) -> Pair:
    """A certificate for a new key, signed with a member's own: right chain, wrong key."""
    key, issuer = Ed25519PrivateKey.generate(), x509.load_pem_x509_certificate(member.cert.read_bytes())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "friend")])
    begin, end = issuer.not_valid_before_utc, issuer.not_valid_after_utc
    cert = x509.CertificateBuilder(issuer.subject, name, key.public_key(), 7, begin, end).sign(
        load_pem_private_key(member.key.read_bytes(), None),  # type: ignore[arg-type]
        None,
    )
    files = folder / "friend.pem", folder / "friend.key"
    files[0].write_bytes(cert.public_bytes(Encoding.PEM) + member.cert.read_bytes())
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def stranger(nodes: list[Node], folder: Path) -> Pair:
    return nodes[2].cert, nodes[2].key


def friend_of_a_member(nodes: list[Node], folder: Path) -> Pair:
    return issued_by(nodes[1], folder)


def anonymous(nodes: list[Node], folder: Path) -> None:
    return None


async def heard(port: int, shown: Pair | None) -> bytes:
    """What a broker says to a caller who shows this certificate and speaks first, until it hangs up."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if shown:
        context.load_cert_chain(*shown)
    said = b""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=context)
        writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
        while data := await reader.read(65_536):
            said += data
        writer.close()
    except OSError:
        pass
    return said


@pytest.mark.parametrize("caller", [stranger, friend_of_a_member, anonymous])
@pytest.mark.parametrize("door", ["cluster", "leaf"])
async def test_a_stranger_who_calls_is_told_nothing(nodes: list[Node], tmp_path: Path, door: str, caller) -> None:
    """Another key, another's signature or no certificate: the connection ends without a word of NATS."""
    await cluster(nodes[0], nodes[1], mesh_limit=2 if door == "cluster" else 1, hubs=2)
    assert await heard(getattr(nodes[0].broker.ports, door), caller(nodes, tmp_path)) == b""


async def test_a_member_who_calls_is_answered(nodes: list[Node]) -> None:
    """The same call with a member's own key gets through: the refusals above are about the key."""
    await cluster(nodes[0], nodes[1])
    call = asyncio.create_task(heard_first(nodes[0].broker.ports.cluster, (nodes[1].cert, nodes[1].key)))
    assert (await call).startswith(b"INFO")


async def heard_first(port: int, shown: Pair) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*shown)
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=context)
    said = await reader.readline()
    writer.close()
    return said


@pytest.mark.parametrize("door", ["cluster", "leaf"])
async def test_a_caller_in_plain_text_is_told_nothing(nodes: list[Node], door: str) -> None:
    """There is no plain mode to fall back to."""
    await cluster(nodes[0], nodes[1], mesh_limit=2 if door == "cluster" else 1, hubs=2)
    reader, writer = await asyncio.open_connection(LOOPBACK, getattr(nodes[0].broker.ports, door))
    writer.write(b'CONNECT {"verbose":false,"user":"leaf","pass":"testfleet"}\r\nPING\r\n')
    try:
        said = await reader.read()
    except ConnectionError:
        said = b""
    writer.close()
    assert b"INFO" not in said
    assert b"PONG" not in said


class Impostor:
    """A server at a member's address. `secrets` is what it was told in the clear of its own connection."""

    def __init__(self, shown: Pair | None):
        self._shown = shown
        self.calls: asyncio.Queue[bytes] = asyncio.Queue()

    async def open(self) -> int:
        context = None
        if self._shown:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._shown)
        self._server = await asyncio.start_server(self._meet, LOOPBACK, 0, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b""
        try:
            if not self._shown:
                writer.write(b'INFO {"server_id":"N","version":"2.15.1","proto":1,"max_payload":1048576}\r\n')
            while data := await reader.read(65_536):
                said += data
        except OSError:
            pass
        writer.close()
        self.calls.put_nowait(said)

    def close(self) -> None:
        self._server.close()


@pytest.mark.parametrize("door", ["cluster", "leaf"])
@pytest.mark.parametrize("kind", ["stranger", "friend", "plain"])
async def test_an_impostor_who_is_called_is_told_nothing(
    nodes: list[Node], tmp_path: Path, kind: str, door: str
) -> None:
    """Our broker calls a member's address and meets someone else: it hangs up without sending a byte of its own."""
    shown = {"stranger": stranger, "friend": friend_of_a_member, "plain": anonymous}[kind](nodes, tmp_path)
    impostor = Impostor(shown)
    port = await impostor.open()
    try:
        # With one hub and two nodes the one that sorts second is the leaf, and calls.
        hub, caller = sorted(nodes[:2], key=lambda one: one.id)
        at = Address(LOOPBACK, nats=port, leaf=port)
        members = [Member(hub.id, "hub", hub.identity.bundle, (at,)), caller.member()]
        await caller.broker.start()
        await caller.broker.apply(caller.spec(members, mesh_limit=2 if door == "cluster" else 1, hubs=1))
        told = [await impostor.calls.get() for _ in range(2)]
    finally:
        impostor.close()
    for said in told:
        assert b"CONNECT" not in said
        assert b"INFO" not in said
        assert not said or not shown, "a byte was sent after the handshake"


async def test_a_stranger_on_loopback_cannot_log_in(nodes: list[Node]) -> None:
    """Only this node's own key opens its broker, even to its neighbours on the machine."""
    await nodes[0].broker.start()
    nodes[2].nats.aim(nodes[0].broker.url)
    reader, writer = await asyncio.open_connection(LOOPBACK, nodes[0].broker.ports.client)
    writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
    said = await reader.read()
    while b"-ERR" not in said and (data := await reader.read()):
        said += data
    writer.close()
    assert b"Authorization Violation" in said
    assert b"PONG" not in said
