"""T4 and T5: what goes over ssh, against the ssh and sftp of the system through the same sshd.

    T4 ours      a kilobyte over P5 into the hands of a receiver, and its answer back; and the same between two nodes:
                 sealed, opened, taken through the peer's whole loop and acknowledged
       control   `ssh host true` over a ControlMaster that is open already
    T5 ours      a kilobyte over P4: written, fsynced, renamed, seen by the receiver and in its hands
       control   `sftp` over the same master puts a file; a receiver looks once a second

The shell of the control reads none of its user's files.
"""

import asyncio
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

from bench.echo import BODY
from bench.effort import Effort
from bench.figures import Line, p50_at_most, ratio_at_most
from bench.needs import program
from bench.nodes import folder, healthy, pair
from bench.sealed import Pulses
from engine.model.channel import Channel, Verdict
from engine.transports.seed.channel import Seed
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.lines import SshLines
from tests.nodes import Inbox, vouched
from tests.sshd import USER, Sshd, sshd

NUMBERS = ("T4", "T5")
BUDGET_S = 10.0
POLL_S = 1.0
CONTROL = "ssh host true, ControlMaster"


async def measure(effort: Effort) -> Iterable[Line]:
    """Three lines."""
    for name in ("ssh", "sftp", "ssh-keygen"):
        program(name)
    with sshd() as door, folder() as place, _master(door, place) as command:
        return [
            await _carried(effort, door, place, command),
            await _messages(effort, door, command),
            await _seeds(effort, door, place, command),
        ]


async def _carried(effort: Effort, door: Sshd, place: Path, command: list[str]) -> Line:
    line = Line("T4", "P5 per message, 1 KB", "ms", ratio_at_most(0.1), CONTROL)
    lines, inbox = SshLines(door.config), Inbox()
    sender, receiver = Ssh(lines, place / "none"), Ssh(lines, place / "slot")
    way = door.way(socket=str(place / "slot"), seeds=str(place / "vouched"))
    target = vouched("far", (door.host,), way)
    await receiver.listen(inbox)
    await sender.deliver(BODY, target, BUDGET_S)
    for _ in effort.rounds():
        line.raw.append([])
        line.ours.append([])
        for _ in range(effort.of(100, 10)):
            line.raw[-1].append(await _by_hand(door, command))
            began = perf_counter()
            outcome = await sender.deliver(BODY, target, BUDGET_S)
            line.ours[-1].append((perf_counter() - began) * 1000)
            assert outcome.verdict is Verdict.CONFIRMED, outcome
    await sender.close()
    await receiver.close()
    await lines.close()
    return line


async def _messages(effort: Effort, door: Sshd, command: list[str]) -> Line:
    line = Line("T4", "the same, sealed and acknowledged by a node", "ms", ratio_at_most(0.1), CONTROL)
    count = effort.of(100, 10)
    async with pair(**door.environ) as (engine, _, peer):
        await healthy(engine, peer, Channel.SSH)
        pulses = Pulses(engine, peer, Channel.SSH)
        await pulses.one_ms()
        for _ in effort.rounds():
            line.raw.append([])
            line.ours.append([])
            for _ in range(count):
                line.raw[-1].append(await _by_hand(door, command))
                line.ours[-1].append(await pulses.one_ms())
        pulses.close()
        line.note = "; ".join(pulses.lost)
    return line


async def _seeds(effort: Effort, door: Sshd, place: Path, command: list[str]) -> Line:
    line = Line("T5", "P4 written durably to seen, 1 KB", "ms", p50_at_most(40, "ms"), "sftp put + 1 s polling")
    lines, inbox = SshLines(door.config), Inbox()
    sender = Seed(lines, place / "near", lambda signal: None)
    receiver = Seed(lines, place / "far", lambda signal: None)
    way = door.way(seeds=str(place / "far"))
    target = vouched("far", (door.host,), way)
    await receiver.listen(inbox)
    (place / "polled").mkdir()
    await sender.deliver(BODY, target, BUDGET_S)
    await inbox.came.get()
    for _ in effort.rounds():
        line.raw.append([await _polled(door, place, command) for _ in range(effort.of(4, 1))])
        line.ours.append([])
        for _ in range(effort.of(60, 10)):
            began = perf_counter()
            outcome = await sender.deliver(BODY, target, BUDGET_S)
            await inbox.came.get()
            line.ours[-1].append((perf_counter() - began) * 1000)
            assert outcome.verdict is Verdict.LANDED, outcome
    await sender.close()
    await receiver.close()
    await lines.close()
    return line


async def _by_hand(door: Sshd, command: list[str]) -> float:
    began = perf_counter()
    await asyncio.to_thread(_run, ["ssh", *command, door.host, "true"])
    return (perf_counter() - began) * 1000


async def _polled(door: Sshd, place: Path, command: list[str]) -> float:
    """Milliseconds until somebody who looks once a second has what `sftp` put."""
    there, told = place / "polled" / "file", place / "batch"
    there.unlink(missing_ok=True)
    (place / "body").write_bytes(BODY)
    told.write_text(f"put {place / 'body'} {there}\n")

    async def seen() -> float:
        while not there.exists():
            await asyncio.sleep(POLL_S)
        return perf_counter()

    looking = asyncio.create_task(seen())
    # At any moment of the receiver's second: the sender does not know when it looks.
    await asyncio.sleep(POLL_S * (perf_counter() % 1))
    began = perf_counter()
    await asyncio.to_thread(_run, ["sftp", "-q", "-b", str(told), *command, door.host])
    return (await looking - began) * 1000


@contextmanager
def _master(door: Sshd, place: Path) -> Iterator[list[str]]:
    """The options of ssh and sftp that use a connection which is open already."""
    options = {
        "ControlPath": str(place / "master"),
        "IdentityFile": str(door.key),
        "UserKnownHostsFile": str(place / "known"),
        "Port": str(door.port),
        "User": USER,
        "BatchMode": "yes",
    }
    known = "".join(f"[{door.host}]:{door.port} {key}\n" for key in door.announced)
    (place / "known").write_text(known)
    command = ["-F", "none", *(f"-o{name}={value}" for name, value in options.items())]
    master = subprocess.Popen(["ssh", *command, "-N", "-oControlMaster=yes", door.host], stdin=subprocess.DEVNULL)
    try:
        while subprocess.run(["ssh", *command, "-O", "check", door.host], capture_output=True, check=False).returncode:
            assert master.poll() is None, door.said()
        yield command
    finally:
        with suppress(ProcessLookupError):
            master.terminate()
        master.wait()


def _run(command: list[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
