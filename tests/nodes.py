"""Nodes without an engine: keys, files, a broker, a peer port. What the tests of brokers and channels stand on."""

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from engine.broker.config import Ports, Spec
from engine.broker.supervise import Broker, files_in
from engine.model.channel import Channel
from engine.model.roster import Address, Member
from engine.model.ways import NO_WAYS, SshWay, Ways
from engine.security.identity import Identity
from engine.signals import BrokerChanged
from engine.transports.http.peerport import PeerPort
from engine.transports.nats import Nats
from engine.transports.ssh import voucher

LOOPBACK = "127.0.0.1"
FLEET = "testfleet"
# The system's choice, so that suites may run side by side.
ANY = Ports(0, 0, 0)


class Target(msgspec.Struct, frozen=True):
    """A peer as transports see it."""

    id: str
    addresses: tuple[Address, ...]
    tls_cert: bytes
    ways: Ways = NO_WAYS
    signing: bytes = b""
    brokerless: bool = False


SIGNER = Identity(b"s" * 32)


def vouched(peer: str, hosts: Iterable[str], way: SshWay) -> Target:
    """A peer as it tells of its sshd, its voucher for it in its seed folder."""
    folder = Path(way.seeds)
    folder.mkdir(mode=0o700, exist_ok=True)
    voucher.leave(folder, voucher.made(SIGNER.sign, peer, way))
    return Target(peer, tuple(map(Address, hosts)), b"", Ways(ssh=way), SIGNER.bundle.signing)


class Node:
    """One node's identity and its files, in a short home that goes with it."""

    def __init__(self, number: int):
        self.identity = Identity(bytes([number]) * 32)
        self.id = self.identity.id
        self._home = tempfile.TemporaryDirectory(prefix="fl", dir="/tmp", ignore_cleanup_errors=True)
        self.home = Path(self._home.name)
        self.cert, self.key = self.home / "cert.pem", self.home / "key.pem"
        self.cert.write_bytes(self.identity.tls_cert_pem)
        self.key.write_bytes(self.identity.tls_key_pem)
        self.changes: asyncio.Queue[BrokerChanged] = asyncio.Queue()
        self.nats = Nats(self.id, FLEET, self.identity.nkey_seed.decode())
        self.broker = Broker(self.home / "broker", self.spec([self.member()]), self._changed)

    def member(self, *addresses: Address) -> Member:
        """This node in a roster; without addresses, where its broker listens."""
        return Member(self.id, self.id[:4], self.identity.bundle, addresses or self._own_addresses())

    def target(self, *addresses: Address) -> Target:
        """This node for a transport."""
        return Target(self.id, addresses, self.identity.bundle.tls_cert)

    def spec(self, members: Iterable[Member], mesh_limit: int = 5, hubs: int = 3) -> Spec:
        """What this node's broker is to be among `members`."""
        files = files_in(self.home / "broker", self.cert, self.key)
        nkey = self.identity.bundle.nkey
        return Spec(self.id, FLEET, nkey, tuple(members), files, ANY, mesh_limit=mesh_limit, hubs=hubs)

    def port(self) -> PeerPort:
        """A peer port of this node's, not yet open, on a port of the system's choice."""
        return PeerPort(self.id, "0.1", self.cert, self.key, 0)

    async def reached(self, state: str) -> BrokerChanged:
        """The next change of the broker to `state`."""
        while (change := await self.changes.get()).state != state:
            pass
        return change

    async def close(self) -> None:
        """Nothing is left."""
        await self.nats.close()
        await self.broker.stop()
        self._home.cleanup()

    def _own_addresses(self) -> tuple[Address, ...]:
        broker = getattr(self, "broker", None)
        return (Address(LOOPBACK, nats=broker.ports.cluster, leaf=broker.ports.leaf),) if broker else ()

    def _changed(self, change: BrokerChanged) -> None:
        self.nats.aim(change.url)
        self.changes.put_nowait(change)


async def cluster(*nodes: Node, mesh_limit: int = 5, hubs: int = 3) -> None:
    """Start the brokers of these nodes and make them one network."""
    for node in nodes:
        await node.broker.start()
    members = [node.member() for node in nodes]
    for node in nodes:
        await node.broker.apply(node.spec(members, mesh_limit, hubs))


class Inbox:
    """Arrivals that are kept. `answer`: what is replied, None for silence; `busy`: nothing is taken. `asked`: somebody
    has come."""

    def __init__(self, answer: Callable[[bytes], bytes] | None = lambda data: b"got " + data[:32]):
        self.answer, self.busy = answer, False
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.asked = asyncio.Event()

    def __call__(self, data: bytes, via: Channel, reply: Callable[[bytes], None] | None) -> bool:
        self.asked.set()
        if self.busy:
            return False
        self.came.put_nowait(data)
        if self.answer is not None and reply is not None:
            reply(self.answer(data))
        return True
