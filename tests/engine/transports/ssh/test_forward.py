"""Forwarded ports through a real sshd: announced, or named as a person's own ssh configuration has it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.config import SshConfig
from engine.model.roster import Address
from engine.model.ways import Ways
from engine.transports.ssh.forward import opened
from engine.transports.ssh.lines import SshLines
from tests.nodes import LOOPBACK, Target
from tests.sshd import USER, Sshd, sshd

pytestmark = [pytest.mark.slow, pytest.mark.needs("sshd")]


@pytest.fixture
def server() -> Iterator[Sshd]:
    with sshd() as made:
        yield made


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A port that says everything back, in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(1_000):
            writer.write(said.upper())
        writer.close()

    listening = await asyncio.start_server(answer, LOOPBACK, 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


def there(server: Sshd) -> Target:
    """A peer that told of its sshd."""
    return Target("B", (Address(LOOPBACK, 1),), b"", Ways(ssh=server.way()))


async def asked(port: int, said: bytes = b"hello") -> bytes:
    """What comes back from a port of ours."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(said)
    heard = await reader.readexactly(len(said))
    writer.close()
    return heard


async def test_two_ports_lead_to_the_far_ones(server: Sshd, echo: int) -> None:
    """As the peer told: each near port leads to its far one, on loopback alone; when the sshd goes, that is heard."""
    lines = SshLines(server.config)
    forward = await opened(lines, server.config, there(server), "", [(LOOPBACK, echo), ("localhost", echo)])
    assert len(set(forward.near)) == 2
    for near in forward.near:
        assert await asked(near) == b"HELLO"
    server.stop()
    async with asyncio.timeout(30):
        await forward.ended()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, forward.near[0])
    await lines.close()


async def test_hung_up_it_is_gone(server: Sshd, echo: int) -> None:
    """Nothing of it stays open."""
    lines = SshLines(server.config)
    forward = await opened(lines, server.config, there(server), "", [(LOOPBACK, echo)])
    forward.hang_up()
    async with asyncio.timeout(30):
        await forward.ended()
    again = await opened(lines, server.config, there(server), "", [(LOOPBACK, echo)])
    assert await asked(again.near[0]) == b"HELLO"
    again.hang_up()
    await lines.close()


def known(server: Sshd, folder: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool = True) -> None:
    """A person's own ~/.ssh, with a host `shelf` in it."""
    ssh = folder / ".ssh"
    ssh.mkdir(mode=0o700)
    hosts = ssh / "hosts"
    hosts.write_text(f"[{LOOPBACK}]:{server.port} {server.announced[0]}\n" if trusted else "")
    lines = ("Host shelf", f"HostName {LOOPBACK}", f"Port {server.port}", f"User {USER}", f"IdentityFile {server.key}")
    (ssh / "config").write_text("\n".join((*lines, f"UserKnownHostsFile {hosts}")) + "\n")
    monkeypatch.setenv("HOME", str(folder))


async def test_a_host_of_the_persons_own(
    server: Sshd, echo: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/.ssh/config` and its known hosts decide; the peer need not have told anything."""
    known(server, tmp_path, monkeypatch)
    stranger = Target("B", (), b"")
    for host in ("shelf", f"{USER}@shelf"):
        forward = await opened(SshLines(SshConfig()), SshConfig(), stranger, host, [(LOOPBACK, echo)])
        assert await asked(forward.near[0]) == b"HELLO"
        forward.hang_up()


async def test_why_there_is_none(server: Sshd, echo: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host key nobody knows, keys that are refused, nobody there, an sshd that forwards nothing: each says so."""
    known(server, tmp_path, monkeypatch, trusted=False)
    own, far = server.config, [(LOOPBACK, echo)]
    with pytest.raises(ConnectionError, match="its host key is not in known_hosts: run `ssh shelf` once"):
        await opened(SshLines(own), own, there(server), "shelf", far)
    with pytest.raises(ConnectionError, match="it told of no sshd"):
        await opened(SshLines(own), own, Target("B", (), b""), "", far)
    off = msgspec.structs.replace(own, enabled=False)
    with pytest.raises(ConnectionError, match="ssh is switched off here"):
        await opened(SshLines(off), off, there(server), "", far)
    server.refuse()
    with pytest.raises(ConnectionError, match="refuses our keys"):
        await opened(SshLines(own), own, there(server), "", far)
    server.refuse(False)
    server.stop()
    with pytest.raises(ConnectionError, match="refused"):
        await opened(SshLines(own), own, there(server), "", far)
