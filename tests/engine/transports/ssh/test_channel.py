"""P5 against a real sshd: whose host key, whose keys, how many sessions, and what is left when it goes."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.model.channel import Cause, Outcome, Verdict
from engine.model.roster import Address
from engine.transports.seed.channel import Seed
from engine.transports.ssh import lines, slot
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.lines import SshLines
from engine.transports.ssh.start import UNPROVED
from tests.engine.transports.ssh.test_proofs import answer
from tests.nodes import LOOPBACK, Inbox, Target, vouched
from tests.sshd import Sshd, keygen

pytestmark = [pytest.mark.slow, pytest.mark.needs("sshd")]

FOREVER_S = 30.0
# Nobody listens there on that port.
NOWHERE = Address("127.0.0.9")


class Two:
    """One that calls and one that is called, on the machine of one sshd."""

    def __init__(self, home: Path, **how: Any):
        self.sshd = Sshd(**how).start()
        self.home = home
        self.inbox = Inbox()
        self.receiver = Ssh(SshLines(self.sshd.config), home / slot.NAME)
        self.call()

    def call(self, **config: Any) -> None:
        """Another caller, of this configuration."""
        self.lines = SshLines(msgspec.structs.replace(self.sshd.config, **config))
        self.sender = Ssh(self.lines, self.home / "none")
        self.seeds = Seed(self.lines, self.home / "none", lambda signal: None)

    def target(self, *hosts: str, **more: Any) -> Target:
        """The called one, as it tells of itself now."""
        way = self.sshd.way(**{"socket": str(self.home / slot.NAME), "seeds": str(self.home / "seeds"), **more})
        return vouched("peer", hosts or (self.sshd.host,), way)

    async def try_it(self, target: Target | None = None, budget_s: float = FOREVER_S) -> Outcome:
        """One delivery."""
        return await self.sender.deliver(b"x", target or self.target(), budget_s)

    def proved(self, **more: Any) -> Target:
        """The same, and its node has answered from there."""
        there = self.target(**more)
        assert there.ways.ssh is not None
        self.lines.proofs.heard(there, there.ways.ssh, answer("peer"))
        return there

    async def close(self) -> None:
        self.sshd.thaw()
        await self.seeds.close()
        await self.sender.close()
        await self.lines.close()
        await self.receiver.close()
        self.sshd.end()


Meet = Callable[..., Awaitable[Two]]


@pytest.fixture
async def meet(home: Path) -> AsyncIterator[Meet]:
    """`meet(**sshd)`: two that can talk."""
    made: list[Two] = []

    async def begun(**how: Any) -> Two:
        made.append(Two(home, **how))
        await made[0].receiver.listen(made[0].inbox)
        return made[0]

    yield begun
    for one in made:
        await one.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
async def test_another_host_key_is_an_alarm_until_it_is_announced(meet: Meet, kind: str) -> None:
    """Of whatever type the new key is, nothing is sent past it; the peer's own word makes it right."""
    two = await meet()
    before = two.target()
    assert (await two.try_it(before)).verdict is Verdict.CONFIRMED
    await two.inbox.came.get()
    two.sshd.stop()
    two.sshd.rekey(kind)
    two.sshd.start()
    outcome = await two.try_it(before)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.LOST, True, True)
    assert "host key" in outcome.note
    assert two.inbox.came.empty()
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_ourselves_met_on_loopback_are_no_impostor(meet: Meet) -> None:
    """A peer elsewhere tells its loopback address too, where our own sshd shows a key of its own."""
    two = await meet()
    two.sshd.stop()
    told = two.target(LOOPBACK, NOWHERE.host)
    two.sshd.rekey()
    two.sshd.start()
    outcome = await two.try_it(told)
    assert (outcome.verdict, outcome.hard, outcome.pin) == (Verdict.LOST, True, False)


async def test_refused_keys_are_not_tried_again_unless_a_person_asks(meet: Meet) -> None:
    """One knock; then the reason is given without any, by both channels of the connection, until somebody insists."""
    two = await meet()
    two.sshd.refuse()
    outcome = await two.try_it()
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)
    assert (
        two.sender.ready(two.target()) == two.seeds.ready(two.target()) == outcome.note == "its sshd refuses our keys"
    )
    assert (await two.try_it()).verdict is Verdict.BARRED
    assert (await two.seeds.deliver(b"x", two.target(), FOREVER_S)).verdict is Verdict.BARRED
    assert two.sshd.said().count("Failed publickey") == 1
    two.sshd.refuse(False)
    two.sender.forgive("peer")
    assert two.sender.ready(two.target()) is None
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_another_announcement_is_another_chance(meet: Meet) -> None:
    """Whoever refused us as one user may take us as another."""
    two = await meet()
    assert (await two.try_it(two.target(user="nobody-of-that-name"))).note == "its sshd refuses our keys"
    assert two.sender.ready(two.target()) is None
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_a_key_with_a_passphrase_asks_nobody(meet: Meet, home: Path) -> None:
    """A configured key that cannot be opened, is not there, or is no file is named; nothing is asked of anybody."""
    two = await meet()
    keygen(home / "locked", passphrase="secret")
    os.mkfifo(home / "pipe")
    for name in ("locked", "missing", "pipe"):
        two.call(keys=(str(home / name),))
        outcome = await two.try_it()
        assert (outcome.verdict, outcome.hard) == (Verdict.BARRED, True)
        assert outcome.note.startswith("our ssh key cannot be read")
    assert "password" not in two.sshd.said()


async def test_one_session_a_connection(meet: Meet, home: Path) -> None:
    """Where MaxSessions is 1 a second session has a connection of its own, for as long as it lasts."""
    two = await meet(options=["MaxSessions 1"])
    assert (await two.seeds.deliver(b"x", two.target(), FOREVER_S)).verdict is Verdict.LANDED
    there = two.proved(start=("true",), socket=str(home / "nobody"))
    assert await two.sender.start_node(there, FOREVER_S) == Outcome(Verdict.CONFIRMED, "it was started")
    assert not two.lines._extra
    assert (await two.seeds.deliver(b"y", two.target(), FOREVER_S)).verdict is Verdict.LANDED
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_no_session_at_all(meet: Meet) -> None:
    """Where MaxSessions is 0 nothing can be proved and no file left, which is said; once it was proved, the letter slot
    needs no session."""
    two = await meet(options=["MaxSessions 0"])
    for sender in (two.seeds, two.sender):
        outcome = await sender.deliver(b"x", two.target(), FOREVER_S)
        assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)
        assert "MaxSessions" in outcome.note
        assert not two.lines._extra
    there = two.target()
    assert there.ways.ssh is not None
    two.lines.proofs.vouch(there, there.ways.ssh)
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_forwarding_that_is_forbidden_is_said(meet: Meet) -> None:
    """An sshd that forwards no Unix sockets cannot carry P5, and that is no silence; P4 is well."""
    two = await meet(options=["AllowStreamLocalForwarding no"])
    outcome = await two.try_it()
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)
    assert "its sshd forwards none" in outcome.note
    assert (await two.seeds.deliver(b"x", two.target(), FOREVER_S)).verdict is Verdict.LANDED


async def test_an_sshd_that_dies_and_comes_back(meet: Meet) -> None:
    """What is under way is told at once; while it is away nobody answers; back, it costs one call."""
    two = await meet()
    assert (await two.try_it()).verdict is Verdict.CONFIRMED
    await two.inbox.came.get()
    two.inbox.answer = None
    flying = asyncio.create_task(two.try_it())
    await two.inbox.came.get()
    two.sshd.stop()
    assert (await flying).hard
    outcome = await two.try_it()
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, True, "connection refused")
    two.inbox.answer = bytes
    two.sshd.start()
    assert (await two.try_it()).verdict is Verdict.CONFIRMED


async def test_a_silent_connection_is_noticed(meet: Meet) -> None:
    """An sshd that stopped answering without a word ends what waits for it, long before its budget; whoever asks next
    finds out whether it is back."""
    two = await meet()
    two.call(keepalive_s=0.9)
    assert (await two.try_it()).verdict is Verdict.CONFIRMED
    line = await two.lines.line(two.target())
    await two.inbox.came.get()
    two.inbox.answer = None
    flying = asyncio.create_task(two.try_it(budget_s=2 * FOREVER_S))
    await two.inbox.came.get()
    two.sshd.freeze()
    async with asyncio.timeout(FOREVER_S):
        await line.closed()
    two.inbox.answer = bytes
    two.sshd.thaw()
    assert (await flying).verdict is Verdict.CONFIRMED


async def test_a_node_that_is_away_is_told_from_a_machine_that_is(meet: Meet) -> None:
    """Nobody at its socket: hard, with a note that says so; back, its slot is reached over the same connection."""
    two = await meet()
    assert (await two.try_it()).verdict is Verdict.CONFIRMED
    line = await two.lines.line(two.target())
    await two.receiver.close()
    outcome = await two.try_it()
    while not outcome.hard:
        outcome = await two.try_it()
    assert "its node is away" in outcome.note
    assert outcome.cause is Cause.NOBODY_IN
    await two.receiver.listen(two.inbox)
    assert (await two.try_it()).verdict is Verdict.CONFIRMED
    assert await two.lines.line(two.target()) is line


STARTS = [
    (("true",), Verdict.CONFIRMED, "it was started"),
    (("sh", "-c", "exit 4"), Verdict.REFUSED, "it was stopped on purpose"),
    (("sh", "-c", "echo one; echo no room >&2; exit 1"), Verdict.LOST, "its start command ended with 1: no room"),
    # As its node announced it, and nothing that a shell would make of it.
    (("test", "a b;$(exit 1)", "=", "a b;$(exit 1)"), Verdict.CONFIRMED, "it was started"),
    ((), Verdict.BARRED, "it announced no start command"),
]


@pytest.mark.parametrize(("start", "verdict", "note"), STARTS)
async def test_starting_a_node(meet: Meet, start: tuple[str, ...], verdict: Verdict, note: str) -> None:
    """What the peer's own start command came to, in words."""
    two = await meet()
    there = two.proved(start=start, socket=str(two.home / "nobody"))
    outcome = await two.sender.start_node(there, FOREVER_S)
    assert (outcome.verdict, outcome.note) == (verdict, note)


async def test_a_node_that_runs_is_not_started(meet: Meet) -> None:
    """Somebody is at its socket: nothing is executed."""
    two = await meet()
    mark = two.home / "mark"
    there = two.proved(start=("touch", str(mark)))
    assert await two.sender.start_node(there, FOREVER_S) == Outcome(Verdict.CONFIRMED, "it runs already")
    assert not mark.exists()


async def test_nothing_is_run_where_the_peer_never_was(meet: Meet) -> None:
    """Whoever announces another's sshd has nothing run there; where the peer itself answered, its command is."""
    two = await meet()
    mark = two.home / "mark"
    there = two.target(start=("touch", str(mark)))
    two.inbox.answer = lambda data: answer("other")
    assert (await two.try_it(there)).verdict is Verdict.CONFIRMED
    await two.receiver.close()
    outcome = await two.sender.start_node(there, FOREVER_S)
    assert (outcome.verdict, outcome.note) == (Verdict.BARRED, UNPROVED)
    two.inbox.answer = lambda data: answer("peer")
    await two.receiver.listen(two.inbox)
    # Any user of that machine could have put a socket into such a folder.
    two.home.chmod(0o777)
    while (await two.try_it(there)).verdict is not Verdict.CONFIRMED:
        pass
    await two.receiver.close()
    assert (await two.sender.start_node(there, FOREVER_S)).note == UNPROVED
    assert not mark.exists()
    two.home.chmod(0o700)
    await two.receiver.listen(two.inbox)
    while (await two.try_it(there)).verdict is not Verdict.CONFIRMED:
        pass
    await two.receiver.close()
    assert await two.sender.start_node(there, FOREVER_S) == Outcome(Verdict.CONFIRMED, "it was started")
    assert mark.exists()


async def test_nothing_is_said_to_a_socket_that_is_not_proved(meet: Meet) -> None:
    """A member that announces another's sshd and a socket there has nobody speak to it."""
    two = await meet()
    victim = two.target()
    another = msgspec.structs.replace(victim, id="liar")
    outcome = await two.try_it(another)
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, True, lines.UNPROVED)
    assert not two.inbox.asked.is_set()
    assert (await two.try_it(victim)).verdict is Verdict.CONFIRMED


async def test_a_socket_is_as_good_as_its_owner(meet: Meet) -> None:
    """Somebody else's, one that others may use, and one in whose place others could put theirs, are told from its
    user's own; a sticky folder above is no harm."""
    two = await meet()
    inner = two.home / "inner"
    inner.mkdir(mode=0o700)

    files = await (await two.lines.line(two.target())).files()

    async def guarded(path: Path) -> bool:
        return await files.guards(str(path))

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(inner / "s"))
        (inner / "s").chmod(0o600)
        assert await guarded(inner / "s")
        (two.home / "link").symlink_to(inner)
        assert await guarded(two.home / "link" / "s")
        for path, mode, good in [(inner / "s", 0o666, 0o600), (inner, 0o770, 0o700), (two.home, 0o777, 0o700)]:
            path.chmod(mode)
            assert not await guarded(inner / "s"), path
            assert not await guarded(two.home / "link" / "s"), path
            path.chmod(good)
        if os.geteuid() == 0:
            for path in (inner / "s", inner, two.home):
                os.chown(path, 12_345, -1)
                assert not await guarded(inner / "s"), path
                os.chown(path, 0, -1)
        assert await guarded(inner / "s")
        assert not await guarded(inner / "missing")


async def test_its_log_is_its_own(meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that asyncssh has to say reaches the node's log, however it ends."""
    caplog.set_level(logging.DEBUG)
    two = await meet()
    await two.try_it()
    two.sshd.restart()
    await two.try_it()
    assert not [one for one in caplog.records if one.name.startswith("asyncssh")]


def test_asyncssh_is_left_alone_until_somebody_is_called() -> None:
    """A node whose peers have no sshd does not pay for it."""
    asked = "import sys, engine.transports.catalogue, engine.doors; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
