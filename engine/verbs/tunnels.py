"""Tunnels: kept ways to peers that only ssh reaches (edge).

    opening -> up -> (the connection dropped, the peer moved its ports) -> opening
       '-> retrying, in 1, 2, 4 ... 30 s, with the reason  -> opening

A tunnel is two ports on our loopback that end at the peer's own port and its broker's, so that P1 and P2 work as if it
stood beside us. While it is up the peer is called there first (`engine.membership.detour`); nothing is trusted by it.
A broker that already has a route to that peer finds a second to be one too many, and never calls there again: so while
P1 is broken the tunnel's is taken from its routes and put back.
One that cannot be opened is a finding about its peer until it stands.
Which tunnels there are is kept in the home and begun anew with the node; ports are the system's choice each time.
"""

import asyncio
import logging
from importlib import import_module
from pathlib import Path
from random import random
from time import time
from typing import Any

import msgspec

from engine.config import SshConfig
from engine.errors import Fault, FleetError
from engine.home import TUNNELS, write_private
from engine.loop import Loop
from engine.model.channel import Channel, ChannelState
from engine.model.finding import Finding, Severity
from engine.model.roster import Address
from engine.model.suggestion import callable_host
from engine.model.wayside import TunnelLine
from engine.signals import Detoured, Found
from engine.state import Fleet
from engine.target import target
from engine.transports.ssh.lines import SshLines
from engine.transports.staggered import Place
from engine.verbs.desk import recipients

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
RETRY_S, RETRY_MAX_S = 1.0, 30.0
# A dead route is still held for three seconds, so the first time may be too early; OUT_S is long enough for a reload.
CALL_S, CALL_MAX_S, OUT_S = 2.0, 60.0, 0.3
# A sign-in through a jump host in another country, and its keys, fit into this.
OPEN_S = 30.0

OPENING, UP, RETRYING = "opening", "up", "retrying"


class Wanted(msgspec.Struct, frozen=True):
    """A tunnel as it is kept on disk: the peer's id, and the ssh host a person named for it."""

    peer: str
    ssh: str = ""


class Tunnels:
    """The verbs `tunnel add`, `list` and `remove` of one node."""

    def __init__(self, home: Path, config: SshConfig, loop: Loop):
        self._path, self._config, self._loop = home / TUNNELS, config, loop
        self._lines = SshLines(config)
        self._wanted: dict[str, Wanted] = {}
        self._state: dict[str, TunnelLine] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Begin those of the last start."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=list[Wanted])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._loop.post(Found(_unreadable(self._path, error)))
            return
        for one in kept:
            self._begin(one)

    async def close(self) -> None:
        """End them all; they are begun again with the node."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        self._keepers.clear()
        await self._lines.close()

    async def add(self, peer: str, ssh: str = "") -> TunnelLine:
        """Keep a tunnel to a peer from now on; how it is shows in `lines`, and at once where nothing tells how to open
        it. Raises `FleetError`: `unknown.recipient`, `usage.host`, `tunnel.kept`."""
        member = recipients(self._loop.fleet, peer)[0]
        if ssh and not callable_host(ssh):
            step = "name it as you would to ssh: HOST or USER@HOST"
            raise FleetError("usage.host", "That is no host for ssh", repr(ssh), step, Fault.THEIRS)
        self._keep({**self._wanted, member.id: Wanted(member.id, ssh)})
        await self._end(member.id)
        self._begin(Wanted(member.id, ssh))
        return self._line(member.id)

    async def remove(self, peer: str) -> None:
        """Keep no tunnel to a peer. Raises `FleetError` `unknown.tunnel`."""
        node = self._known(peer)
        self._keep({key: one for key, one in self._wanted.items() if key != node})
        await self._end(node)
        del self._wanted[node]
        self._state.pop(node, None)
        self._loop.post(Found(_shut(node), present=False))

    def lines(self) -> list[TunnelLine]:
        """Every tunnel and how it is, by the peer's name."""
        return sorted((self._line(node) for node in self._wanted), key=lambda line: line.peer)

    async def restart(self) -> str:
        """Hang up and open all of them anew; what was done, in words."""
        for one in list(self._wanted.values()):
            await self._end(one.peer)
            self._begin(one)
        names = ", ".join(line.peer for line in self.lines())
        return f"tunnels opened anew: {names}" if names else "no tunnel is kept"

    def _known(self, peer: str) -> str:
        member = self._loop.fleet.roster.named(peer)
        node = member.id if member else peer
        if node not in self._wanted:
            step = "`fleet tunnel list` shows them"
            raise FleetError("unknown.tunnel", "No such tunnel", f"none to {peer} is kept", step, Fault.THEIRS)
        return node

    # ---------------------------------------------------------------------------------------------------- keeping

    def _begin(self, one: Wanted) -> None:
        self._wanted[one.peer] = one
        why = self._why_not(one)
        self._turned(one.peer, RETRYING if why else OPENING, why)
        self._keepers[one.peer] = asyncio.get_running_loop().create_task(self._kept(one))

    def _why_not(self, one: Wanted) -> str:
        """Why it cannot be opened now, as far as that is known without trying."""
        there = target(self._loop.fleet, one.peer)
        return "" if one.ssh or there is None else self._lines.why_not(there) or ""

    async def _end(self, node: str) -> None:
        keeper = self._keepers.pop(node, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _kept(self, one: Wanted) -> None:
        """One tunnel, for ever; a peer that is no member any more needs none."""
        rest_s = RETRY_S
        while (far := _far(self._loop.fleet, one.peer)) is not None:
            try:
                await self._held_open(one, far)
                rest_s, why = RETRY_S, "the connection ended"
            except (OSError, TimeoutError) as error:
                why = str(error) or f"no answer in {OPEN_S:g} s"
            except Exception:
                log.exception("a tunnel failed")
                why = "it failed: `fleet log` has it"
            self._turned(one.peer, RETRYING, why)
            await asyncio.sleep(rest_s * (0.5 + random() / 2))
            rest_s = min(2 * rest_s, RETRY_MAX_S)
        self._turned(one.peer, RETRYING, "it is not a member any more")

    async def _held_open(self, one: Wanted, far: list[Place]) -> None:
        """Open it, and return when it has ended or the peer listens elsewhere."""
        there = target(self._loop.fleet, one.peer)
        if there is None or not far:
            raise ConnectionError("it is not known where it listens")
        # asyncssh takes a third of a second to import: not on the loop.
        ssh: Any = await asyncio.to_thread(import_module, "engine.transports.ssh.forward")
        async with asyncio.timeout(OPEN_S):
            # Through the tunnel itself nothing can be opened: the peer's own addresses.
            own = msgspec.structs.replace(there, addresses=self._loop.fleet.addresses_of(one.peer))
            forward = await ssh.opened(self._lines, self._config, own, one.ssh, far)
        near = dict(zip((port for _, port in far), forward.near, strict=True))
        address = _near(self._loop.fleet, one.peer, near)
        self._turned(one.peer, UP, near=address)
        ends = [
            asyncio.get_running_loop().create_task(forward.ended()),
            asyncio.get_running_loop().create_task(self._loop.until(lambda fleet: _far(fleet, one.peer) != far)),
            asyncio.get_running_loop().create_task(self._called_again(one.peer, address)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            forward.hang_up()
            self._loop.post(Detoured(one.peer, None))

    async def _called_again(self, node: str, near: Address) -> None:
        """Have the broker call through the tunnel anew while P1 is broken, less and less often, for as long as it
        stands."""
        rest_s = CALL_S
        while True:
            await self._loop.until(lambda fleet: _unrouted(fleet, node))
            self._loop.post(Detoured(node, msgspec.structs.replace(near, nats=0)))
            await asyncio.sleep(OUT_S)
            self._loop.post(Detoured(node, near))
            mended = self._loop.until(lambda fleet: not _unrouted(fleet, node))
            try:
                await asyncio.wait_for(mended, rest_s)
                rest_s = CALL_S
            except TimeoutError:
                rest_s = min(2 * rest_s, CALL_MAX_S)

    def _turned(self, node: str, state: str, reason: str = "", near: Address | None = None) -> None:
        known = self._state.get(node)
        since_ms = known.since_ms if known and known.state == state else int(time() * 1000)
        ssh = self._wanted[node].ssh
        ports = (near.http, near.nats) if near else (0, 0)
        self._state[node] = TunnelLine(node, ssh, state, since_ms, reason, *ports)
        if near:
            self._loop.post(Detoured(node, near))
        if state != OPENING and (known is None or (known.state, known.reason) != (state, reason)):
            self._loop.post(Found(_shut(node, reason), present=state != UP))

    def _line(self, node: str) -> TunnelLine:
        return msgspec.structs.replace(self._state[node], peer=self._loop.fleet.name_of(node))

    def _keep(self, wanted: dict[str, Wanted]) -> None:
        """Write them down before anything is begun. Raises `FleetError` `tunnel.kept`."""
        try:
            write_private(self._path, msgspec.json.encode(list(wanted.values())))
        except OSError as error:
            why = f"{self._path}: {error.strerror or error}"
            step = "free some space, or mend the home's permissions (`fleet doctor`)"
            raise FleetError("tunnel.kept", "The tunnel cannot be kept", why, step, Fault.WORLD) from None


def _far(fleet: Fleet, node: str) -> list[Place] | None:
    """The peer's own ports as its machine calls them: on its loopback where it listens there too."""
    member = fleet.member(node)
    if member is None or not member.present:
        return None
    told = fleet.addresses_of(node)
    here = next((at for at in told if at.host == LOOPBACK), told[0] if told else None)
    return [(here.host, port) for port in (here.http, here.nats) if port] if here else []


def _unrouted(fleet: Fleet, node: str) -> bool:
    """Whether P1 is broken where a route may be missing: a leaf calls all its hub's addresses in turn, and would have
    to start again for another list of them."""
    meshed = sum(one.present for one in fleet.roster.members) <= fleet.config.broker.mesh_limit
    return meshed and fleet.health(node, Channel.NATS).state is ChannelState.BROKEN


def _near(fleet: Fleet, node: str, near: dict[int, int]) -> Address:
    told = fleet.addresses_of(node)
    http, nats = (next((port for at in told if (port := getattr(at, name))), 0) for name in ("http", "nats"))
    return Address(LOOPBACK, http=near.get(http, 0), nats=near.get(nats, 0))


def _shut(node: str, why: str = "") -> Finding:
    return Finding(
        "tunnels.shut",
        "The tunnel to it cannot be opened",
        Severity.LOW,
        f"{why}; it is tried again and again",
        subject=node,
        next_step="`fleet tunnel list` tells how it is; `fleet tunnel add PEER --ssh HOST` names another way",
    )


def _unreadable(path: Path, error: Exception) -> Finding:
    return Finding(
        "tunnels.unreadable",
        "The list of tunnels cannot be read",
        Severity.MEDIUM,
        f"{path}: {getattr(error, 'strerror', None) or error}",
        next_step="move it away and add the tunnels again: `fleet tunnel add PEER`",
    )
