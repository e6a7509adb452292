"""The doors of a node: peer port, gossip socket, broker, and the channels that use them (edge).

They open on the usual ports or the next free ones, on loopback until there is company, and follow the roster: another
fleet, other peers, other addresses. What comes in goes to `engine.door`; what they are told to do they do. Nobody waits
for P1: it is there as soon as its broker is.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
from immutables import Map

from engine import exposure
from engine.broker.config import Files, Spec, planned
from engine.broker.link import Link
from engine.broker.supervise import Broker, files_in
from engine.core import Core
from engine.daemon.rundir import make_run_dir
from engine.errors import FleetError
from engine.health.cascade import reached
from engine.home import BROKER, PROOFS
from engine.membership import waking
from engine.membership.datagram import Datagrams
from engine.membership.discovery_mdns import Beacon, Telling
from engine.model.broker import NOT_OURS, BrokerState
from engine.model.channel import CHANNELS, Channel
from engine.model.finding import Finding, Severity
from engine.model.roster import Address, Roster
from engine.ports import Ports, keep
from engine.security.gossip import GossipSeal
from engine.security.identity import Identity
from engine.signals import BrokerChanged, Found, Listening, Proved, Reachable, WakeWanted
from engine.state import Fleet
from engine.transports.base import Transport
from engine.transports.catalogue import CATALOGUE, Parts
from engine.transports.http.peerport import Joining, PeerPort
from engine.transports.nats import Nats
from engine.transports.seed.bed import NAME as SEEDS
from engine.transports.ssh.lines import SshLines
from engine.transports.ssh.proofs import Proofs
from engine.transports.ssh.slot import NAME as SLOT
from engine.transports.ssh.way import SshHerald
from engine.transports.wol.cards import cards
from engine.transports.wol.channel import Wake

log = logging.getLogger(__name__)


class Doors:
    """What this node listens on. `spawn` holds a task until it ends; `now_ms` is the wall clock; `start`: the command
    that starts this node, for peers that reach its machine by ssh."""

    def __init__(
        self,
        home: Path,
        identity: Identity,
        files: tuple[Path, Path],
        core: Core,
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
        now_ms: Callable[[], int],
        start: tuple[str, ...] = (),
    ):
        fleet = core.loop.fleet
        self._home = home
        self._identity, self._core, self._spawn, self._now_ms = identity, core, spawn, now_ms
        self._config = fleet.config
        self._files: Files = files_in(home / BROKER, *files)
        self._port = PeerPort(identity.id, fleet.me.version, *files, fleet.config.net.http_port)
        self._datagrams = Datagrams(GossipSeal(fleet.roster.keyring), core.loop.post)
        self._broker = Broker(home / BROKER, self._planned(), self._broker_changed)
        self._nats: Nats | None = None
        self._link = Link(core.loop.post)
        self._lacking: Finding | None = None
        self._trusted = fleet.roster.fleet_id
        self._following = asyncio.Lock()
        self._joining: Joining | None = None
        self._beacon = Beacon()
        self._proofs = Proofs(home / PROOFS, self._tell_proved)
        self._lines = SshLines(self._config.ssh, self._proofs)
        loop, self._slot = core.loop, make_run_dir(home) / SLOT
        self._herald = SshHerald(
            *(self._config.ssh, self._slot, home / SEEDS, start),
            *(identity.sign, lambda: loop.fleet, loop.post, loop.until),
        )

    async def open(self) -> None:
        """Listen. Raises `FleetError` when the peer port or the gossip socket cannot be opened at all."""
        bind, net = self._bind(), self._config.net
        await asyncio.gather(self._port.rebind((bind,)), self._datagrams.bind(bind, net.udp_port), self._open_broker())
        await self._connect()
        self._tell_where(bind)
        self._tell_proved(self._proofs.doors())
        self._spawn(self._herald.run())

    async def close(self) -> None:
        """Stop listening, last of all the broker."""
        dark = asyncio.create_task(self._beacon.tell(None))
        for transport in self._core.hands.transports.values():
            await transport.close()
        await self._lines.close()
        await self._port.close()
        self._datagrams.close()
        await self._broker.stop()
        self._link.stop()
        await dark

    # ---------------------------------------------------------------------------------------------------- broker

    async def _open_broker(self) -> None:
        """Our own broker, or the external one the configuration names. Without one P1 is absent and the rest works;
        one that is wanted and cannot start is down, and peers hear that."""
        if self._config.broker.url:
            self._link.tell(BrokerChanged(BrokerState.EXTERNAL, url=self._config.broker.url))
        elif self._config.broker.enabled:
            await self._start_broker()

    async def _start_broker(self) -> bool:
        """The first life of our broker, which lets this node in; whether it is up."""
        lacked, self._lacking = self._lacking, None
        try:
            await self._broker.start()
        except FleetError as error:
            self._lacking = _finding(error)
            self._link.tell(BrokerChanged(BrokerState.DOWN, note=error.title))
            self._core.loop.post(Found(self._lacking))
            return False
        if lacked is not None and self._nats is not None:
            self._core.loop.post(Found(lacked, present=False))
            self._spawn(self._reach_broker(self._nats))
        return self._broker.state is BrokerState.UP

    def _broker_changed(self, changed: BrokerChanged) -> None:
        self._link.tell(changed)
        if changed.state is BrokerState.UP and self._core.hands.transports:
            self._tell_where(self._bind())  # it may listen elsewhere than before
        if changed.url and self._nats is not None:
            self._nats.aim(changed.url)

    def _planned(self) -> Spec:
        return planned(self._core.loop.fleet, self._files, self._now_ms())

    # --------------------------------------------------------------------------------------------------- repairs

    async def restart_broker(self) -> str:
        """Another life for our broker, which lets this node in. Raises `FleetError`: `refused.broker` where it is not
        ours, `failed.broker`."""
        self._own_broker()
        # What it lacked at the start may be there by now.
        if not await (self._broker.restart() if self._broker.kept else self._start_broker()):
            raise FleetError("failed.broker", "The broker is not up", self._link.said.note or self._broker.state)
        if not await self._link.answers():
            why = f"it runs, pid {self._broker.pid}, and this node's own client gets no answer from it"
            raise FleetError("failed.broker", "The broker does not answer", why)
        return f"its broker is up again, pid {self._broker.pid}"

    async def reload(self) -> str:
        """Broker and listeners as roster and keys say, whatever they hold. Raises `FleetError` as above."""
        if self._link.said.state not in NOT_OURS and not await self._broker.reload():
            raise FleetError("failed.broker", "The broker is not up", self._link.said.note or self._broker.state)
        return f"roster {self._core.loop.fleet.roster.version} and its keys are applied anew"

    async def reopen_port(self) -> str:
        """The peer port on the next free port, and everybody told. Raises `FleetError` `node.listen`."""
        async with self._following:
            await self._port.reopen()
            self._tell_where(self._bind())
        return f"its peer port is {self._port.port} now"

    async def renew_links(self) -> str:
        """What is kept open to others, built anew: the client's link to its broker, streams and watches."""
        renewed = []
        await self._lines.close()
        for channel, transport in self._core.hands.transports.items():
            if channel in (Channel.SEED, Channel.SSH, Channel.GIT):
                await transport.close()
                await transport.listen(self._core.door.arrived)
                renewed.append(str(channel))
        if not renewed:
            raise FleetError("refused.tunnel", "No tunnel here", "it keeps no tunnel and no link of that kind")
        return f"{', '.join(renewed)} built anew"

    def _own_broker(self) -> None:
        state = self._link.said.state
        if state in NOT_OURS:
            raise FleetError("refused.broker", "No broker of ours", f"its broker is {state}, not its own")

    # -------------------------------------------------------------------------------------------------- channels

    async def _connect(self) -> None:
        """The channels of the fleet this node is in now."""
        hands = self._core.hands
        parts = Parts(
            me=self._identity.id,
            fleet_id=self._core.loop.fleet.roster.fleet_id,
            nkey_seed=self._identity.nkey_seed.decode(),
            port=self._port,
            candidates=hands.relays,
            carry=hands.carry,
            on_link=self._link.turned,
            fellow=self._is_fellow,
            home=self._home,
            config=self._config,
            eager=self._is_eager,
            neighbours=self._neighbours,
            lines=self._lines,
            slot=self._slot,
            fleet=lambda: self._core.loop.fleet,
            post=self._core.loop.post,
        )
        hands.transports = {channel: make(parts) for channel, make in CATALOGUE.items()}
        for transport in hands.transports.values():
            if isinstance(transport, Nats):
                self._nats = transport
                if self._config.broker.url or self._broker.kept:
                    self._spawn(self._reach_broker(transport))
            else:
                await self._open_one(transport)

    async def _open_one(self, transport: Transport) -> None:
        """A channel that cannot take mail is a finding; the node has others."""
        try:
            await transport.listen(self._core.door.arrived)
        except FleetError as error:
            self._core.loop.post(Found(_finding(error)))

    def _is_eager(self) -> bool:
        """Whether some peer can be reached by no hot channel now: then mail in cold places is looked for often."""
        fleet = self._core.loop.fleet
        return any(not reached(fleet, peer) for peer in fleet.peers)

    def _neighbours(self, node: str) -> list[str]:
        """Have those on a machine's network wake it too: who is asked, by name."""
        self._core.loop.post(WakeWanted(node))
        fleet = self._core.loop.fleet
        return [fleet.name_of(one) for one in waking.neighbours(fleet, node)]

    def magic(self, node: str) -> None:
        """Wake a machine on our own networks, for somebody who asked."""
        wake, target = self._core.hands.transports.get(Channel.WOL), self._core.hands.target(node)
        if isinstance(wake, Wake) and target is not None:
            self._spawn(wake.shout(target, CHANNELS[Channel.WOL].budget_s))

    def _is_fellow(self, certificate: bytes) -> bool:
        members = self._core.loop.fleet.roster.members
        return any(one.present and one.bundle.tls_cert == certificate for one in members)

    async def _reach_broker(self, channel: Nats) -> None:
        url = self._config.broker.url or self._broker.url
        if url:
            channel.aim(url)
        while channel is self._nats:
            try:
                await channel.listen(self._core.door.arrived)
            except FleetError as error:
                log.warning("%s: %s", error.title, error.detail)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    # -------------------------------------------------------------------------------------------------- following

    def trust(self, roster: Roster) -> None:
        """A roster is in force: gossip by its key at once; brokers, listeners and channels follow."""
        elsewhere = roster.fleet_id != self._trusted
        self._trusted = roster.fleet_id
        self._datagrams.trust(GossipSeal(roster.keyring))
        self._spawn(self._follow(elsewhere))

    async def _follow(self, elsewhere: bool) -> None:
        async with self._following:
            if self._config.broker.enabled and not self._config.broker.url:
                await self._broker.apply(self._planned())
            if elsewhere:
                # All but the peer port, which stays open: somebody may be waiting for an answer.
                for channel, transport in self._core.hands.transports.items():
                    if channel is not Channel.HTTP:
                        await transport.close()
                await self._lines.close()
                await self._connect()
            await self._listen_or_tell()

    async def _listen_or_tell(self) -> None:
        """A door that cannot be opened is a finding, and is tried again: an address may come back."""
        try:
            await self._listen_where_needed()
        except FleetError as error:
            self._core.loop.post(Found(_finding(error)))
            self._spawn(self._again())
        else:
            for code in DOOR_CODES:
                self._core.loop.post(Found(Finding(code, "", Severity.INFO), present=False))

    async def _again(self) -> None:
        await asyncio.sleep(AGAIN_S)
        async with self._following:
            await self._listen_or_tell()

    async def reach(self, joining: Joining | None) -> tuple[str, ...]:
        """Be reachable for joiners, whom `joining` answers, or (None) no longer; `host:port` of the peer port."""
        self._joining = joining
        async with self._following:
            await self._listen_where_needed()
        return tuple(f"{one.host}:{one.http}" for one in self._tell_where(self._bind()))

    async def _listen_where_needed(self) -> None:
        bind = self._bind()
        if (bind,) != self._port.hosts:
            await self._port.rebind((bind,))
            await self._datagrams.bind(bind, self._datagrams.port)
        self._port.join = self._joining
        self._tell_where(bind)

    def look_around(self) -> None:
        """Tell peers where this machine is now: a laptop changes networks. While it has none, the last word stands, for
        whoever reads it meanwhile is on this machine too."""
        hosts = _interfaces()
        if self._core.hands.transports and any(not exposure.useless(host) for host in hosts):
            self._tell_where(self._bind(), hosts)
            self._tell_cards()

    def _tell_proved(self, doors: dict[str, str]) -> None:
        self._core.loop.post(Proved(Map(doors)))

    def _tell_cards(self) -> None:
        ways, nics = self._core.loop.fleet.me.ways, cards(self._config.wake.macs)
        if nics != ways.nics:
            self._core.loop.post(Reachable(msgspec.structs.replace(ways, nics=nics)))

    def _bind(self) -> str:
        fleet: Fleet = self._core.loop.fleet
        return exposure.bind_host(self._config.net, fleet.roster, fleet.me.id, self._joining is not None)

    def _tell_where(self, bind: str, hosts: list[str] | None = None) -> tuple[Address, ...]:
        ports = self._broker.ports
        keep(self._home, Ports(self._port.port, ports.client, ports.cluster, ports.leaf, self._datagrams.port))
        where = exposure.advertised(
            self._config.net,
            bind,
            _interfaces() if hosts is None else hosts,
            http=self._port.port,
            nats=ports.cluster,
            leaf=ports.leaf,
            udp=self._datagrams.port,
        )
        if where != self._core.loop.fleet.me.addresses:
            self._core.loop.post(Listening(where))
        self._tell_nearby(where)
        return where

    def _tell_nearby(self, where: tuple[Address, ...]) -> None:
        """Show ourselves on the networks where we listen, if anybody may look."""
        me, hosts = self._core.loop.fleet.me, tuple(at.host for at in where if exposure.outward(at.host))
        wanted = Telling(me.id, me.name, self._port.port, hosts) if hosts and self._config.discovery.mdns else None
        if wanted != self._beacon.told:
            self._spawn(self._beacon.tell(wanted))

    def send(self, host: str, port: int, packet: bytes) -> None:
        """One gossip packet."""
        self._datagrams.send(host, port, packet)


# A broker that does not let us in is asked again; what it says is in its log and in `fleet status`.
AGAIN_S = 1.0
# What a door that cannot be opened says (`peerport`, `datagram`).
DOOR_CODES = ("node.listen", "node.gossip")


def _interfaces() -> list[str]:
    """This machine's IPv4 addresses of interfaces that are up; first the one it speaks to the world from, for bridges
    of containers may be many."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = ((name, address) for name, addresses in psutil.net_if_addrs().items() for address in addresses)
    hosts = [address.address for name, address in found if name in up and address.family.name == "AF_INET"]
    outward = _outward()
    return sorted(hosts, key=lambda host: host != outward)


def _outward() -> str:
    """The address of the default route; nothing is sent to find it, and where there is none it is empty."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # RFC 5737: nobody's
        return str(asked.getsockname()[0])
    return ""


def _finding(error: FleetError) -> Finding:
    return Finding(error.code, error.title, Severity.HIGH, error.detail, next_step=error.next_step)
