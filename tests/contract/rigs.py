"""One rig a channel, in one table; `ALSO`: other ways in which a channel of the table is used."""

import asyncio
import os
import signal

from engine.config import WakeConfig
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.roster import Address
from engine.model.ways import Nic, Seat, Ways
from engine.transports.http.channel import Http
from engine.transports.nats import Nats
from engine.transports.relay import Relay
from engine.transports.text.channel import Text
from engine.transports.wol.channel import Wake
from tests.contract.rig import Rig, Way
from tests.contract.rigs_cloud import CloudRig
from tests.contract.rigs_git import GitRig, GitSshRig
from tests.contract.rigs_ssh import SeedRig, SshRig
from tests.lan import Lan
from tests.nodes import LOOPBACK, Inbox, Target, cluster


class NatsRig(Rig):
    """Two brokers, one network."""

    async def open(self) -> None:
        here, there, _ = self.nodes
        await cluster(here, there)
        await here.nats.listen(Inbox())
        await there.nats.listen(self.inbox)
        self.sender, self.target = here.nats, there.target()
        while (await self.sender.deliver(b"hello", self.target, 2.0)).verdict is not Verdict.CONFIRMED:
            pass
        while not self.inbox.came.empty():
            self.inbox.came.get_nowait()

    async def vanish(self) -> None:
        await self.nodes[1].nats.close()

    async def swallow(self) -> None:
        os.kill(self.nodes[1].broker.pid, signal.SIGSTOP)

    async def impersonate(self) -> Inbox:
        here, there, stranger = self.nodes
        kept = Inbox()
        await there.nats.close()
        await there.broker.stop()
        await stranger.broker.start()
        # It even takes the name, the port and the peer's certificate authority; it has not got the key.
        members = [here.member(), stranger.member()]
        await stranger.broker.apply(stranger.spec(members))
        impostor = Nats(there.id, "testfleet", stranger.identity.nkey_seed.decode())
        impostor.aim(stranger.broker.url)
        await impostor.listen(kept)
        at = Address(LOOPBACK, nats=stranger.broker.ports.cluster)
        await here.broker.apply(here.spec([here.member(), there.member(at)]))
        return kept

    def unknown(self) -> Target:
        return self.nodes[2].target()

    async def close(self) -> None:
        if pid := self.nodes[1].broker.pid:
            os.kill(pid, signal.SIGCONT)
        await super().close()


class HttpRig(Rig):
    """Two peer ports."""

    pins = True

    async def open(self) -> None:
        here, there, _ = self.nodes
        self.sender = Http(here.port())
        self.receiver = Http(there.port())
        await self.receiver.listen(self.inbox)
        self.target = there.target(Address(LOOPBACK, http=self._where(self.receiver)))

    async def vanish(self) -> None:
        await self.receiver.close()

    async def swallow(self) -> None:
        port = self._where(self.receiver)
        await self.receiver.close()
        self.hole = await asyncio.start_server(_silence, LOOPBACK, port)

    async def impersonate(self) -> Inbox:
        port, kept = self._where(self.receiver), Inbox()
        await self.receiver.close()
        stranger = self.nodes[2].port()
        stranger._wanted = port
        self.receiver = Http(stranger)
        await self.receiver.listen(kept)
        return kept

    def unknown(self) -> Target:
        return self.nodes[2].target()

    async def close(self) -> None:
        await self.sender.close()
        await self.receiver.close()
        if hole := getattr(self, "hole", None):
            hole.close()
        await super().close()

    @staticmethod
    def _where(channel: Http) -> int:
        return channel._port.port


class RelayRig(HttpRig):
    """Three peer ports: what the first gives to the second, the second passes on to the third."""

    best = Verdict.LANDED
    answers = False
    word = b"relay has it"
    pins = False

    async def open(self) -> None:
        here, _, there = self.nodes
        self.end = Http(there.port())
        await self.end.listen(self.inbox)
        last = there.target(Address(LOOPBACK, http=self._where(self.end)))
        onward = Http(here.port())
        passing: set[asyncio.Task[Outcome]] = set()

        def forward(data: bytes) -> bytes:
            task = asyncio.create_task(onward.deliver(data, last, 2.0))
            passing.add(task)
            task.add_done_callback(passing.discard)
            return b"relay has it"

        self.onward, self.passing = onward, passing
        inbox, self.inbox = self.inbox, Inbox(forward)
        await super().open()
        self.gate, self.inbox = self.inbox, inbox
        direct, relay = self.sender, self.target
        self.direct = direct

        async def carry(over: str, to: str, data: bytes, budget_s: float) -> Outcome:
            return await direct.deliver(data, relay, budget_s)

        self.sender = Relay(lambda target: [relay.id] if target.id == last.id else [], carry)
        self.target = last

    def unknown(self) -> Target:
        return self.nodes[0].target()

    async def close(self) -> None:
        await asyncio.gather(*self.passing, return_exceptions=True)
        await self.onward.close()
        await self.end.close()
        await self.direct.close()
        await super().close()


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass
    writer.close()


class WakeWay(Way):
    """A machine on a wire of its own with us, and a real ear on it where its card would be."""

    best = Verdict.LANDED
    system = ("ip",)
    wire = "10.77.1"

    async def open(self) -> None:
        self.lan = Lan({self.wire: "ab"})
        self.lan.__enter__()
        mac = self.lan.mac("b", self.wire)
        nic = Nic(mac, self.lan.host("b", self.wire), f"{self.wire}.255")
        self.sender = Wake(WakeConfig(a_minute=1_000), lambda node: (), self.lan.runner("a"))
        self.target = Target("b", (), b"", Ways(nics=(nic,)))

    def unknown(self) -> Target:
        return Target("c", (), b"")

    async def close(self) -> None:
        self.lan.__exit__()


class TextWay(Way):
    """A session in a real tmux pane, opted in. Its machine alone types into it, so for another machine the way ends
    before it begins; what P8 does on that machine is held by `test_last_hop`."""

    best = Verdict.BARRED
    hard = True

    async def open(self) -> None:
        self.sender = Text()
        self.target = Target("b", (), b"", Ways(seats=(Seat("work", "idle"),)))

    def unknown(self) -> Target:
        return Target("c", (), b"")

    async def close(self) -> None:
        await self.sender.close()


RIGS: dict[Channel, type[Way]] = {
    Channel.NATS: NatsRig,
    Channel.HTTP: HttpRig,
    Channel.RELAY: RelayRig,
    Channel.SEED: SeedRig,
    Channel.SSH: SshRig,
    Channel.WOL: WakeWay,
    Channel.GIT: GitRig,
    Channel.TEXT: TextWay,
    Channel.CLOUD: CloudRig,
}
ALSO: tuple[type[Way], ...] = (GitSshRig,)
