"""P7's rigs: a hub in a folder, and the same over a real sshd."""

import asyncio
import shlex

import pytest

from engine.model.channel import Verdict
from tests.contract.rig import Rig
from tests.e2e.until import LOOK_S
from tests.hubs import Fellow, Hub, acquainted
from tests.nodes import Inbox, Target
from tests.sshd import Sshd


class GitRig(Rig):
    """Two members and a hub that is a path. A path proves nobody."""

    best = Verdict.LANDED
    answers = False
    word = b""
    stores = True
    proves = False
    # A push is several processes and 8 MiB are hashed at both ends.
    budget_s = 20.0

    async def open(self) -> None:
        self.hub = Hub()
        self.here, self.there = Fellow(1, self._url()), Fellow(2, self._url())
        acquainted(self.here, self.there)
        self.here.begin()
        self.there.inbox = self.inbox
        await self.there.listen()
        self.sender, self.target = self.here.git, self.there.target

    async def vanish(self) -> None:
        self.hub.away()

    async def swallow(self) -> None:
        self.hub.hang()

    async def impersonate(self) -> Inbox:
        raise NotImplementedError

    async def clog(self) -> None:
        # The receiver's own looks would be tasks of this loop, too.
        await self.there.git.close()
        self.hub.hang()

    async def under_way(self) -> None:
        while not self.hub.hung:
            await asyncio.sleep(LOOK_S)

    async def free(self) -> None:
        self.hub.let_go()

    def unknown(self) -> Target:
        return self.nodes[2].target()

    async def close(self) -> None:
        await self.here.close()
        await self.there.close()
        self.hub.end()
        await super().close()

    def _url(self) -> str:
        return self.hub.url


class GitSshRig(GitRig):
    """The hub behind an sshd, as most people have it."""

    proves = True

    async def open(self) -> None:
        # A shell that sshd starts reads its user's files, which may take their time; so deep down it does not.
        self.sshd = Sshd(options=("SetEnv SHLVL=7",)).start()
        known = self.sshd.folder / "known"
        known.write_text(f"[{self.sshd.host}]:{self.sshd.port} {self.sshd.announced[0]}\n")
        words = ("ssh", "-F", "none", "-i", str(self.sshd.key), "-o", f"UserKnownHostsFile={known}")
        self._patch = pytest.MonkeyPatch()
        self._patch.setenv("GIT_SSH_COMMAND", shlex.join(words))
        await super().open()

    async def vanish(self) -> None:
        self.sshd.stop()

    async def swallow(self) -> None:
        self.sshd.freeze()

    async def impersonate(self) -> Inbox:
        await self.there.git.close()
        self.sshd.rekey()
        self.sshd.restart()
        return Inbox()

    async def close(self) -> None:
        self.sshd.thaw()
        await super().close()
        self._patch.undo()
        self.sshd.end()

    def _url(self) -> str:
        return f"ssh://{self.sshd.host}:{self.sshd.port}{self.hub.path}"
