"""What a machine tells of its sshd: only what is there, and again when somebody spoke over it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config import SshConfig
from engine.effects import Effect
from engine.loop import Loop
from engine.model.moment import Moment
from engine.model.ways import SshWay
from engine.signals import Reachable
from engine.state import Fleet
from engine.transports.ssh import voucher
from engine.transports.ssh.hostkeys import filed
from engine.transports.ssh.way import SshHerald
from tests.engine.script import fleet
from tests.nodes import SIGNER, Target
from tests.sshd import sshd

FOREVER_S = 20.0
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx0"


class Machine:
    """A home, a key file, and something that greets as sshd does."""

    def __init__(self, home: Path):
        self.slot, self.seeds, self.key = home / "in.sock", home / "seed-in", home / "host.pub"
        self.key.write_text(f"{KEY} root@here\n")
        self.greeting = b"SSH-2.0-OpenSSH_9.9\r\n"
        self.loop = Loop(fleet("A"), _Nobody(), lambda: Moment(0, 0.0))

    async def open(self) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(self.greeting)
            await reader.read()
            writer.close()

        self.server = await asyncio.start_server(greet, "127.0.0.1", 0)
        self.port = int(self.server.sockets[0].getsockname()[1])

    def herald(self, start: tuple[str, ...] = ("fleet", "up"), **config: Any) -> SshHerald:
        """One that looks at this machine."""
        usual = SshConfig(port=self.port, user="ann", host_keys=(str(self.key),))
        found: Callable[[], Fleet] = lambda: self.loop.fleet  # noqa: E731 - a name for what is handed on
        told = msgspec.structs.replace(usual, **config)
        sign = SIGNER.sign
        return SshHerald(told, self.slot, self.seeds, start, sign, found, self.loop.post, self.loop.until)


class _Nobody:
    def perform(self, effects: list[Effect], fleet: Fleet) -> None:
        """Nothing of it matters here."""


@pytest.fixture
async def machine(home: Path) -> AsyncIterator[Machine]:
    made = Machine(home)
    await made.open()
    yield made
    made.server.close()


async def test_what_is_there_is_told(machine: Machine) -> None:
    """User, port, keys and start command; socket and folder once they are there."""
    way = SshWay("ann", machine.port, (KEY,), start=("fleet", "up"))
    assert await machine.herald().look() == way
    machine.seeds.mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(machine.slot))
        there = {"socket": str(machine.slot), "seeds": str(machine.seeds)}
        assert await machine.herald().look() == msgspec.structs.replace(way, **there)
    assert (await machine.herald(user="").look()).user  # type: ignore[union-attr]


async def test_what_is_not_there_is_not_told(machine: Machine) -> None:
    """Switched off, without keys, with something else on the port, with nothing there: no word of ssh."""
    assert await machine.herald(enabled=False).look() is None
    assert await machine.herald(host_keys=(str(machine.key) + ".missing",)).look() is None
    os.mkfifo(f"{machine.key}.pipe")
    assert await machine.herald(host_keys=(f"{machine.key}.pipe",)).look() is None
    machine.greeting = b"220 smtp ready\r\n"
    assert await machine.herald().look() is None
    machine.server.close()
    assert await machine.herald().look() is None


async def test_a_word_that_peers_would_refuse_is_not_said(machine: Machine) -> None:
    """It would cost us every heartbeat."""
    assert await machine.herald(start=("fleet\nup",)).look() is None
    machine.key.write_text("ssh-ed25519 <script>\n")
    assert await machine.herald().look() is None


async def test_it_is_said_again_when_somebody_spoke_over_it(machine: Machine) -> None:
    """Whoever tells another part of the same word at the same moment may overwrite ours. Our voucher
    lay there before the first word."""
    machine.seeds.mkdir(mode=0o700)
    runner = asyncio.create_task(machine.loop.run())
    herald = asyncio.create_task(machine.herald().run())
    async with asyncio.timeout(FOREVER_S):
        await machine.loop.until(lambda now: now.me.ways.ssh is not None)
        told = machine.loop.fleet.me.ways
        assert told.ssh is not None
        target = Target("A", (), b"", told, SIGNER.bundle.signing)
        assert voucher.holds(target, told.ssh, (machine.seeds / voucher.NAME).read_bytes())
        before = msgspec.structs.replace(machine.loop.fleet.me.ways, ssh=None, git=("hub",))
        machine.loop.post(Reachable(before))
        await machine.loop.until(lambda now: now.me.ways == before)
        await machine.loop.until(lambda now: now.me.ways.ssh is not None)
    assert machine.loop.fleet.me.ways.git == ("hub",)
    for task in (herald, runner):
        task.cancel()
    await asyncio.gather(herald, runner, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_the_key_that_sshd_shows_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those in `/etc/ssh`, which may be another's, and again when it has another; what is configured holds without
    asking. What was shown holds while nobody can ask; if it never was, the files do."""
    with sshd() as made:
        herald = machine.herald(port=made.port, host_keys=())
        assert (await herald.look()).host_keys == made.announced  # type: ignore[union-attr]
        made.rekey("ecdsa")
        made.restart()
        assert (await herald.look()).host_keys == made.announced  # type: ignore[union-attr]
        assert (await machine.herald(port=made.port).look()).host_keys == (KEY,)  # type: ignore[union-attr]
        monkeypatch.setenv("PATH", "")
        assert (await herald.look()).host_keys == made.announced  # type: ignore[union-attr]
        unasked = await machine.herald(port=made.port, host_keys=()).look()
    assert (unasked.host_keys if unasked else ()) == filed(())
