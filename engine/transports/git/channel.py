"""P7: leave sealed frames in a git repository that both sides can push to, and look there for ours (edge).

    deliver --gather what waits for the hub--> one push --> LANDED  it lies there; the receipt comes later, on any way
                                                            LOST    the hub says no (hard), or nothing in time
                                                            BARRED  no hub in common, no git, too large
    every `poll_s` (`eager_s` while no hot channel works): look, fetch what is ours, hand it on, delete it

For a person who has nothing but a git remote that both machines reach. One git runs at a time; deliveries that come
meanwhile leave together with the next push, whoever is first in line pushing for all. Nothing of the hub's is touched
but `refs/fleet/inbox`, and nothing of ours but `<home>/git`. How mail lies there: `refs`.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.config import GitConfig
from engine.model import hub as hubs
from engine.model.channel import Channel, ChannelState, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.signals import Reachable, Rejected, Signal, Tried
from engine.state import Fleet
from engine.transports.base import Arrivals, Target
from engine.transports.git import refs
from engine.transports.git.incoming import Incoming
from engine.transports.git.outgoing import Outgoing
from engine.transports.git.remote import Remote, Trouble, told
from engine.transports.git.repository import Repository

log = logging.getLogger(__name__)

# Deliveries that may wait for a push: more than this and the hub is no way for so much.
WAITING_LIMIT = 1_024
CLOSED = Outcome(Verdict.BARRED, "closed", hard=True)
_WORKS = (ChannelState.HEALTHY, ChannelState.DEGRADED)


class _Letter:
    """One delivery on its way to the hub."""

    __slots__ = ("data", "outcome", "to")

    def __init__(self, to: str, data: bytes):
        self.to, self.data = to, data
        self.outcome: Outcome | None = None


class Git:
    """Channel P7. `folder` is its own. `eager`: whether to look often. `fleet`: the newest value; `post`: where the
    node hears what was refused, and that this hub is a way to it."""

    channel = Channel.GIT

    def __init__(
        self,
        me: str,
        folder: Path,
        config: GitConfig,
        eager: Callable[[], bool],
        fleet: Callable[[], Fleet],
        post: Callable[[Signal], None],
    ):
        self._config, self._eager, self._fleet, self._post = config, eager, fleet, post
        hub = told(config.hub)
        self._unfit = hubs.flaw(hub) or ("" if shutil.which("git") else "git is not installed")
        self._name, self._hub = hubs.name(hub), Remote(hub)
        self._out, self._in = Repository(folder / "out"), Repository(folder / "in")
        self._outgoing = Outgoing(me, self._out, self._hub)
        self._incoming = Incoming(me, self._in, self._hub, lambda why, frm: post(Rejected(why, Channel.GIT, frm)))
        self._turn = asyncio.Lock()
        self._waiting: list[_Letter] = []
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self._note = ""
        self._quiet = 0  # looks in a row that found nothing

    def ready(self, target: Target) -> str | None:
        """Why not: no hub here, or not the same one there."""
        if self._unfit:
            return self._unfit
        return None if self._name in target.ways.git else "no hub in common"

    async def listen(self, arrived: Arrivals) -> None:
        """Look for mail from now on. Without a hub nothing happens; one that is away is looked for all the same."""
        if self._unfit:
            return
        self._closed = False
        try:
            for one in (self._out, self._in):
                one.begin()
                await one.ask_ssh()
        except (OSError, TimeoutError) as error:
            self._unfit = "its folder cannot be written"
            log.warning("the git channel cannot begin: %s", error)
            return
        self._keeper = self._keeper or asyncio.create_task(self._keep(arrived))

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Have it pushed; see the module for what each ending means."""
        reason = self.ready(target)
        if reason is not None or self._closed:
            return Outcome(Verdict.BARRED, reason, hard=True) if reason else CLOSED
        if len(data) > CARRIAGE_LIMIT:
            return Outcome(Verdict.BARRED, f"larger than {CARRIAGE_LIMIT >> 20} MiB", hard=True)
        if len(self._waiting) >= WAITING_LIMIT:
            return Outcome(Verdict.BARRED, "too much waits for the hub", hard=True)
        letter = _Letter(target.id, data)
        self._waiting.append(letter)
        try:
            async with asyncio.timeout(budget_s):
                return await self._pushed(letter)
        except TimeoutError:
            # It may have left with somebody else's push while this one waited for its turn.
            return letter.outcome or Outcome(Verdict.LOST, f"the hub did not answer in {budget_s:.3g} s")
        finally:
            if letter in self._waiting:
                self._waiting.remove(letter)

    async def close(self) -> None:
        """Look no more, and break off what git does."""
        self._closed = True
        for one in (self._out, self._in):
            one.kill()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait((keeper,))

    # -------------------------------------------------------------------------------------------------------- sending

    async def _pushed(self, letter: _Letter) -> Outcome:
        async with self._turn:
            while letter.outcome is None:
                if self._closed:
                    return CLOSED
                await self._push()
            return letter.outcome

    async def _push(self) -> None:
        """What waits, as much as fits, in one push."""
        letters = self._gathered()
        mail: dict[str, list[bytes]] = {}
        for one in letters:
            mail.setdefault(one.to, []).append(one.data)
        try:
            said = await self._outgoing.post(mail)
        except Trouble as trouble:
            said = dict.fromkeys(mail, str(trouble))
        for one in letters:
            why = said[one.to]
            one.outcome = Outcome(Verdict.LOST, why, hard=True) if why else Outcome(Verdict.LANDED)
            # What was left there may be answered there.
            self._quiet = min(self._quiet, refs.PATIENT_LOOKS - 5)
            if one in self._waiting:
                self._waiting.remove(one)

    def _gathered(self) -> list[_Letter]:
        """For each receiver as much as one commit holds, and in all as much as one delivery to four of them."""
        found: list[_Letter] = []
        files, sizes = dict[str, int](), dict[str, int]()
        for one in self._waiting:
            size = sizes.get(one.to, 0) + len(one.data)
            full = size > refs.BYTES or files.get(one.to, 0) >= refs.FILES
            if full or sum(sizes.values()) + len(one.data) > 4 * CARRIAGE_LIMIT:
                continue
            found.append(one)
            files[one.to], sizes[one.to] = files.get(one.to, 0) + 1, size
        return found

    # ------------------------------------------------------------------------------------------------------ receiving

    async def _keep(self, arrived: Arrivals) -> None:
        clock = asyncio.get_running_loop().time
        looked_at, was_eager = float("-inf"), False
        while True:
            eager = self._eager()
            if eager and not was_eager:
                self._quiet = 0
            was_eager = eager
            rest_s = looked_at + refs.rest_s(self._config, eager, self._quiet) - clock()
            if rest_s <= 0:
                self._quiet = 0 if await self._look(arrived) else self._quiet + 1
                looked_at = clock()
            else:
                await asyncio.sleep(min(rest_s, self._config.eager_s))

    async def _look(self, arrived: Arrivals) -> bool:
        try:
            async with self._turn:
                found = await self._looked()
                self._tell()
                self._outgoing.seen(found)
                await self._outgoing.tidy(self._is_present)
                came = await self._incoming.take(found, self._is_present, arrived)
        except Trouble as trouble:
            if str(trouble) != self._note and not self._closed:
                self._note = str(trouble)
                log.warning("the git hub: %s", trouble)
            return False
        self._note = ""
        return came

    async def _looked(self) -> refs.Refs:
        """What lies at the hub. Where it does not answer, that is what a push to anybody would find out, minutes later:
        every pair that counts as working hears of it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await self._hub.look(self._out)
        except Trouble as trouble:
            outcome, took_ms = Outcome(Verdict.LOST, str(trouble), hard=True), (clock() - began) * 1000
            for peer in () if self._closed else self._trusting():
                self._post(Tried(peer, Channel.GIT, (), outcome, took_ms, probe=True, owed=False))
            raise

    def _trusting(self) -> list[str]:
        """The peers to whom this hub counts as a way that works."""
        fleet = self._fleet()
        mine = (peer for (peer, channel) in fleet.channels if channel is Channel.GIT and self._is_present(peer))
        return [peer for peer in mine if fleet.health(peer, Channel.GIT).state in _WORKS]

    def _tell(self) -> None:
        """Our hub is there: peers may use it. Said again where somebody else's word has overtaken it."""
        ways = self._fleet().me.ways
        if ways.git != (self._name,):
            self._post(Reachable(msgspec.structs.replace(ways, git=(self._name,))))

    def _is_present(self, node: str) -> bool:
        member = self._fleet().member(node)
        return member is not None and member.present
