"""A git hub of a test's own, members that use it, and what a stranger with the right to push could do there."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from immutables import Map
from msgspec.structs import replace

from engine.config import Config, GitConfig
from engine.model.channel import Channel, ChannelHealth, ChannelState
from engine.model.roster import Member, Roster
from engine.security.identity import Identity
from engine.signals import Reachable, Rejected, Signal, Tried
from engine.state import Fleet, Me
from engine.transports.git.channel import Git
from engine.transports.git.refs import INBOX, ref
from tests.nodes import Inbox, Target

SPELLS = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@x", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@x"}


class Hub:
    """A bare repository in a folder that goes with it. `url`: as members are told."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        self.path = self.folder / "hub.git"
        self.url = str(self.path)
        subprocess.run(["git", "init", "-q", "--bare", str(self.path)], check=True)

    def git(self, *words: str, stdin: bytes = b"") -> str:
        """`git …` in the hub itself, as its owner would."""
        command = ["git", f"--git-dir={self.path}", *words]
        ran = subprocess.run(command, input=stdin, capture_output=True, check=True, env={**os.environ, **SPELLS})
        return ran.stdout.decode().strip()

    def refs(self, under: str = INBOX) -> dict[str, str]:
        """{ref: what it points at}."""
        rows = self.git("for-each-ref", "--format=%(refname) %(objectname)", under).splitlines()
        return dict(row.split() for row in rows)

    def blob(self, data: bytes) -> str:
        """An object's name."""
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def tree(self, *lines: str) -> str:
        """Of lines as `mktree` takes them."""
        return self.git("mktree", stdin="".join(f"{line}\n" for line in lines).encode())

    def commit(self, tree: str, *parents: str) -> str:
        """A commit of this tree."""
        return self.git("commit-tree", tree, "-m", "x", *(word for one in parents for word in ("-p", one)))

    def force(self, to: str, frm: str, what: str) -> None:
        """Point a ref of the inbox at anything."""
        self.git("update-ref", ref(to, frm), what)

    def hang(self) -> None:
        """From now on it takes pushes and says nothing."""
        hook = self.path / "hooks" / "pre-receive"
        hook.write_text(f"#!/bin/sh\n: >{self._hung}\nexec sleep 1000\n")
        hook.chmod(0o755)

    def let_go(self) -> None:
        """It works again."""
        (self.path / "hooks" / "pre-receive").unlink()
        self._hung.unlink(missing_ok=True)

    @property
    def hung(self) -> bool:
        """Whether a push hangs there."""
        return self._hung.exists()

    def away(self) -> None:
        """Nothing is there any more."""
        self.path.rename(self.folder / "away")

    def back(self) -> None:
        """It is where it was."""
        (self.folder / "away").rename(self.path)

    def end(self) -> None:
        """Nothing is left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _hung(self) -> Path:
        return self.folder / "hung"


class Fellow:
    """One member and its git channel. `refused`: what it turned away, as (why, from whom); `tried`: what its looks say
    of the way to a peer."""

    def __init__(self, number: int, url: str, *, eager_s: float = 0.05, fellows: "list[Fellow] | None" = None) -> None:
        self.identity = Identity(bytes([number]) * 32)
        self.id = self.identity.id
        self.member = Member(self.id, f"n{number}", self.identity.bundle)
        self.home = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        self.inbox = Inbox()
        self.refused: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.tried: asyncio.Queue[Tried] = asyncio.Queue()
        self.told = asyncio.Event()
        self.fleet = Fleet(Me(self.id, f"n{number}", 1, "0"), Config(), Roster("f", "f", 1, 0, (self.member,)), Map())
        self.config = GitConfig(hub=url, poll_s=eager_s, eager_s=eager_s)
        self.git = self._made()

    def _made(self) -> Git:
        return Git(self.id, self.home / "git", self.config, lambda: True, lambda: self.fleet, self._heard)

    def trusts(self, peer: str, state: ChannelState = ChannelState.HEALTHY) -> None:
        """The hub counts as a way to this peer, as good as that."""
        channels = self.fleet.channels.set((peer, Channel.GIT), ChannelHealth(state))
        self.fleet = replace(self.fleet, channels=channels)

    def knows(self, *members: Member) -> None:
        """These are in its fleet."""
        roster = replace(self.fleet.roster, members=(self.member, *members))
        self.fleet = replace(self.fleet, roster=roster)

    @property
    def target(self) -> Target:
        """This one, for a transport."""
        return Target(self.id, (), b"", self.fleet.me.ways)

    async def listen(self) -> None:
        """Returns once it has told that the hub is a way to it."""
        await self.git.listen(self.inbox)
        await self.told.wait()

    def begin(self) -> None:
        """Be able to send, without listening."""
        for one in (self.git._out, self.git._in):
            one.begin()

    async def restart(self) -> None:
        """The same home, and nothing remembered but what is there. It does not listen."""
        await self.git.close()
        self.git = self._made()
        self.begin()

    async def close(self) -> None:
        """Nothing is left."""
        await self.git.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _heard(self, signal: Signal) -> None:
        if isinstance(signal, Reachable):
            self.fleet = replace(self.fleet, me=replace(self.fleet.me, ways=signal.ways))
            self.told.set()
        elif isinstance(signal, Rejected):
            self.refused.put_nowait((signal.why, signal.src))
        elif isinstance(signal, Tried):
            self.tried.put_nowait(signal)


def acquainted(*fellows: Fellow) -> None:
    """All of them are one fleet."""
    for one in fellows:
        one.knows(*(other.member for other in fellows if other is not one))
