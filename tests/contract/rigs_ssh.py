"""P4's and P5's rigs: two members, and a real sshd between them."""

import asyncio
from contextlib import suppress

from engine.model.channel import Verdict
from engine.model.roster import Address
from engine.signals import Signal
from engine.transports.seed.channel import Seed
from engine.transports.ssh import slot
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.lines import SshLines
from tests.contract.rig import Rig
from tests.e2e.until import LOOK_S
from tests.nodes import Inbox, Target, vouched
from tests.sshd import Sshd


class SshRig(Rig):
    """The first calls the second's sshd, and reaches its letter slot."""

    budget_s = 10.0
    system = ("sshd",)
    pins = True

    async def open(self) -> None:
        here, there, _ = self.nodes
        self.sshd = Sshd().start()
        self.lines = SshLines(self.sshd.config)
        self.sender = Ssh(self.lines, here.home / slot.NAME)
        self.receiver = Ssh(SshLines(self.sshd.config), there.home / slot.NAME)
        await self.receiver.listen(self.inbox)
        self.target = self.announced()
        await self.sender.deliver(b"hello", self.target, self.budget_s)
        await self.inbox.came.get()

    def announced(self) -> Target:
        """The second as it tells of itself now."""
        there = self.nodes[1]
        way = self.sshd.way(socket=str(there.home / slot.NAME), seeds=str(there.home / "seed-in"))
        return vouched(there.id, (self.sshd.host,), way)

    async def vanish(self) -> None:
        await self.receiver.close()

    async def swallow(self) -> None:
        await self.receiver.close()
        path = str(self.nodes[1].home / slot.NAME)
        self.hole = await asyncio.start_unix_server(_silence, path)

    async def impersonate(self) -> Inbox:
        self.sshd.stop()
        self.sshd.rekey()
        self.sshd.start()
        return self.inbox

    def unknown(self) -> Target:
        return self.nodes[2].target(Address(self.sshd.host))

    async def close(self) -> None:
        self.sshd.thaw()
        await self.sender.close()
        await self.lines.close()
        await self.receiver.close()
        if hole := getattr(self, "hole", None):
            hole.close()
        self.sshd.end()
        await super().close()


class SeedRig(SshRig):
    """The first leaves files on the second's machine."""

    best = Verdict.LANDED
    answers = False
    word = b""
    stores = True

    async def open(self) -> None:
        here, there, _ = self.nodes
        self.told: list[Signal] = []
        self.sshd = Sshd().start()
        self.lines = SshLines(self.sshd.config)
        self.sender = Seed(self.lines, here.home / "seed-in", self.told.append)
        self.receiver = Seed(SshLines(self.sshd.config), there.home / "seed-in", self.told.append)
        await self.receiver.listen(self.inbox)
        self.target = self.announced()
        await self.sender.deliver(b"hello", self.target, self.budget_s)
        await self.inbox.came.get()
        self.inbox.asked.clear()

    async def vanish(self) -> None:
        """Its node may come and go: what is absent is its machine."""
        self.sshd.stop()

    async def swallow(self) -> None:
        self.sshd.freeze()

    async def clog(self) -> None:
        self.sshd.freeze()

    async def under_way(self) -> None:
        """The bytes have left for a machine that is silent."""
        while not any(session.busy for session in self.sender._sessions.values()):
            await asyncio.sleep(LOOK_S)

    async def free(self) -> None:
        self.sshd.thaw()


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
    writer.close()
