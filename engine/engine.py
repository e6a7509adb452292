"""The engine: one node, put together, started and stopped (edge).

    keys -> store -> first value -> core -> doors -> Started           stop: drain -> doors -> loop -> store

It decides nothing about mail or health: rooms do. It owns the order of starting and stopping, the deeds that need its
parts, and the node's own pulse: how long the loop was away. The verbs are those of `engine.verbs`, a module a subject;
here they have one address.
"""

import asyncio
import logging
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.config import Resolved
from engine.core import Core
from engine.deeds.mending import Mender, start_peer
from engine.deeds.notice import Desktop
from engine.deeds.seeker import Seeker
from engine.door import SEEN_LIMIT
from engine.doors import Doors
from engine.effects import ApplyRoster, Dismiss, Look, Notify, SendDatagram, SendMagic, StartPeer, Undertake
from engine.errors import Fault, FleetError
from engine.evidence.ledger import link
from engine.first import first
from engine.home import TOKEN
from engine.membership.look import Looker
from engine.model.moment import DAY_MS
from engine.model.records import PutMeta, PutRoster
from engine.model.roster import Roster
from engine.model.story import Left
from engine.ports import remembered
from engine.security import keyfile, prekeys
from engine.security.identity import Identity
from engine.security.roster import found, name_from, verify
from engine.security.seal import Sealer
from engine.signals import LoopLagged, Refreshed, Signal, Started, StoreFilled, StoreFreed, TerminalChanged
from engine.state import Fleet, Me
from engine.store.read import Reader
from engine.store.store import Alarms, Store
from engine.verbs.admission import Admission
from engine.verbs.archive import Archive
from engine.verbs.clinic import Clinic
from engine.verbs.desk import Desk
from engine.verbs.lasthop import LastHop
from engine.verbs.onboarding import Onboarding
from engine.verbs.rouser import Rouser
from engine.verbs.scout import Scout
from engine.verbs.switchboard import Switchboard
from engine.verbs.tunnels import Tunnels
from engine.verbs.workbench import Workbench

log = logging.getLogger(__name__)

PREKEYS = "prekeys"
# The loop is asked once a second whether it still runs; an answer this much late is a stall worth telling.
PULSE_S, STALL_S = 1.0, 0.5
DRAIN_S = 5.0
PRUNE_EVERY_S = 3_600.0


class Engine:
    """One node. Made and run on one asyncio loop; `fleet` may be read from any thread."""

    def __init__(
        self,
        home: Path,
        resolved: Resolved,
        version: str,
        key_file: Path | None = None,
        start_command: tuple[str, ...] = (),
    ):
        self.home, self.resolved, self.version = home, remembered(resolved, home), version
        self.token = ""
        self._config, self._key_file, self._start_command = self.resolved.config, key_file, start_command
        self._clock = SystemClock()
        self._desktop = Desktop(self.heard, time.monotonic, os.environ)
        self._looker = Looker(self._config.node.workdir or os.getcwd())
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._early: list[Signal] = []
        self.stop_asked = asyncio.Event()
        self.on_restart: Callable[[float], None] | None = None

    @property
    def fleet(self) -> Fleet:
        """The newest value that is durable."""
        return self.core.hands.visible

    # ------------------------------------------------------------------------------------------------ start, stop

    async def start(self) -> None:
        """Be a node of the fleet this home belongs to, a new fleet of one in an empty home. Raises `FleetError`."""
        # The store's thread wants the interpreter for microseconds at a time; at Python's 5 ms a busy loop made it wait
        # so long that 16,000 commits' worth of messages a second became 3,600.
        sys.setswitchinterval(0.0005)
        identity = Identity(keyfile.load(self.home, self._key_file))
        files = keyfile.write_tls(self.home, identity)
        self.token = _token(self.home / TOKEN)
        self._store = Store(self.home, link, self._config.store)
        fleet = await self._remembered(identity)
        self.last_hop = LastHop(self.home, self._config.text.limit, self._reader, self._spawn)
        self.core = self._assembled(identity, fleet)
        self._doors = Doors(self.home, identity, files, self.core, self._spawn, self._wall_ms, self._start_command)
        self.tunnels = Tunnels(self.home, self._config.ssh, self.core.loop)
        self._mender = Mender(
            self.home,
            self._config.repair,
            self._doors,
            post=self.heard,
            spawn=self._spawn,
            restart=self.on_restart,
            retrust=lambda: self._retrust(identity),
            tunnels=self.tunnels.restart,
        )
        self._offer_verbs(identity)
        self._runner = asyncio.create_task(self.core.loop.run())
        self._runner.add_done_callback(self._crashed)
        self.core.door.remember(await self._reader.recent_tags(SEEN_LIMIT))
        await self._doors.open()
        self.tunnels.open()
        self.heard(Started())
        await self.last_hop.open(self.core)
        for signal in self._early:
            self.heard(signal)
        self._spawn(self._pulse())
        self._spawn(self._forget())
        self._spawn(Seeker(self.core.loop).run())
        log.info("started as %s, version %s", fleet.me.name, self.version)

    def _offer_verbs(self, identity: Identity) -> None:
        """What a face may ask for, under the one address it knows."""
        loop, hands = self.core.loop, self.core.hands
        self.bus = self.core.bus
        desk = Desk(loop, hands, self._reader, self.bus, self._clock)
        self.send, self.wait, self.story, self.resend = desk.send, desk.wait, desk.story, desk.resend
        self.group, self.why = desk.group, desk.why
        self.messages, self.inbox, self.body, self.preview = desk.messages, desk.inbox, desk.body, desk.preview
        self._admission = members = Admission(loop, hands, identity, self._clock, self._doors.reach)
        self.invite, self.join, self.revoke = members.invite, members.join, members.revoke
        self.set_role, self.invited = members.set_role, members.invited
        board = Switchboard(loop, hands)
        self.probe, self.hold, self.check = board.probe, board.hold, board.check
        bench = Workbench(loop, hands)
        self.repair, self.mend = bench.repair, bench.mend
        self.approve, self.dismiss = bench.approve, bench.dismiss
        self.wake = Rouser(loop, hands).wake
        self.discover = Scout(loop, Path.home() / ".ssh" / "config").discover
        self.clinic = Clinic(
            *(self.home, self.resolved, self.version, loop, hands),
            now_ms=self._wall_ms,
            mend=bench.mend,
            prune=lambda before_ms: self._store.prune(before_ms),
        )
        self.examine, self.fix, self.report = self.clinic.examine, self.clinic.fix, self.clinic.report
        guide = Onboarding(loop, hands, self.bus, desk, self.clinic.scene)
        self.onboard, self.onboarded = guide.onboard, guide.onboarded
        archive = Archive(self._reader)
        self.ledger, self.verify_ledger = archive.ledger, archive.verify_ledger

    async def leave(self) -> Left:
        """Say goodbye, and be a fleet of one again: how that went."""
        return await self._admission.leave(self._founded(self._identity))

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Give what is under way `drain_s` seconds, then close everything; what was accepted stays in the store."""
        await self.drain(drain_s)
        self._stopping = True
        self._admission.stop()
        self.core.closing()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.last_hop.close()
        await self.tunnels.close()
        await self._doors.close()
        self._runner.cancel()
        await self.core.hands.flush()
        self.core.hands.stop()
        await self._reader.close()
        await asyncio.to_thread(self._store.close)

    async def drain(self, limit_s: float = DRAIN_S) -> None:
        """Return when nothing of ours is on its way to a peer that is there, or after `limit_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.core.loop.until(_at_rest)

    def request_stop(self) -> None:
        """Ask whoever runs this node to stop it."""
        self.stop_asked.set()

    # --------------------------------------------------------------------------------------------------- together

    async def _remembered(self, identity: Identity) -> Fleet:
        """The store opened, and the value it gives; the first roster is founded and durable before anything else."""
        now, loop = self._clock.now(), asyncio.get_running_loop()
        restored = await asyncio.to_thread(self._store.open, now.wall_ms)
        if restored.roster and not restored.roster.member(identity.id):
            self._store.close()
            raise keyfile.foreign(self.home, self._key_file)
        self._store.start(
            Alarms(
                on_full=lambda free_mb: _from_thread(loop, self._alarmed, StoreFilled(free_mb)),
                on_freed=lambda: _from_thread(loop, self._alarmed, StoreFreed()),
                on_fatal=_end_at_once,
            )
        )
        self._reader = await Reader.open(self._store.path)
        roster = restored.roster or self._founded(identity)
        verify(roster)
        if restored.roster is None:
            await self._store.submit([PutRoster(roster)])
        mine = roster.member(identity.id)
        self._prekeys = prekeys.from_bytes(restored.meta.get(PREKEYS, b""))
        me = Me(
            id=identity.id,
            name=mine.name if mine else self._wanted_name(),
            epoch=restored.birth.epoch,
            version=self.version,
            pid=os.getpid(),
            started_ms=now.wall_ms,
            started_mono=now.mono,
            prekey=self._prekeys.announced,
            program=(sys.executable, "-m", "fleet_tui", "--home", str(self.home)),
        )
        return first(restored, roster, me, self._config, now)

    def _wall_ms(self) -> int:
        return self._clock.now().wall_ms

    def _founded(self, identity: Identity) -> Roster:
        return found(identity, self._wanted_name(), self._config.node.fleet or "home", self._wall_ms(), os.urandom)

    def _wanted_name(self) -> str:
        return name_from(self._config.node.name or socket.gethostname().partition(".")[0])

    def _assembled(self, identity: Identity, fleet: Fleet) -> Core:
        self._identity = identity
        self._sealer = Sealer(identity, fleet.roster.fleet_id, os.urandom)
        self._sealer.trust(fleet.roster)
        self._sealer.own_prekeys(self._prekeys.private)
        for peer in fleet.peers.values():
            if peer.beat and peer.beat.prekey:
                self._sealer.prekey(peer.id, *peer.beat.prekey)
        deeds: dict[type, Callable[[Any], None]] = {
            ApplyRoster: lambda effect: self._trust(effect.roster),
            Dismiss: lambda effect: self._spawn(self._admission.dismiss(effect.node)),
            Look: lambda effect: self._spawn(self._look()),
            Undertake: lambda effect: self._mender.undertake(effect),
            Notify: lambda effect: self._spawn(self._desktop.tell(effect)),
            StartPeer: lambda effect: self._spawn(self._start_peer(effect)),
            **self.last_hop.deeds,
            SendDatagram: lambda effect: self._doors.send(effect.host, effect.port, effect.packet),
            SendMagic: lambda effect: self._doors.magic(effect.node),
        }
        return Core(fleet, store=self._store, reader=self._reader, sealer=self._sealer, clock=self._clock, deeds=deeds)

    # ------------------------------------------------------------------------------------------------------ deeds

    def _trust(self, roster: Roster) -> None:
        self._sealer.trust(roster)
        self._doors.trust(roster)

    def _retrust(self, identity: Identity) -> None:
        """Keys on the disk and in memory as they should be, for a peer that was shown others."""
        keyfile.write_tls(self.home, identity)
        self._trust(self.fleet.roster)

    async def _start_peer(self, effect: StartPeer) -> None:
        self.heard(await start_peer(self.core.hands, effect))

    async def _look(self) -> None:
        self.clinic.gauge()
        self._spawn(self.clinic.follow())
        self.heard(await self._looker.look())
        self._doors.look_around()
        if prekeys.due(self._prekeys, self._clock.now().wall_ms):
            self._rotate()

    def _rotate(self) -> None:
        """A new sealing key, announced once it is durable: mail sealed to a key that was lost could never be opened."""
        self._prekeys = prekeys.rotate(self._prekeys, os.urandom(32), self._clock.now().wall_ms)
        self._sealer.own_prekeys(self._prekeys.private)
        self._spawn(self._announce(self._prekeys))

    async def _announce(self, keys: prekeys.PreKeys) -> None:
        await self._store.submit([PutMeta(PREKEYS, prekeys.to_bytes(keys))])
        if keys.announced:
            self.heard(Refreshed(*keys.announced))

    async def _forget(self) -> None:
        """Settled mail older than the configuration keeps is forgotten, in small steps."""
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            await self._store.prune(self._clock.now().wall_ms - self._config.store.keep_days * DAY_MS)

    async def _pulse(self) -> None:
        """Tell the loop when it was away: a stall, or a machine that slept."""
        clock, slept = asyncio.get_running_loop().time, _asleep_s()
        while True:
            began = clock()
            await asyncio.sleep(PULSE_S)
            away_s = clock() - began - PULSE_S + _asleep_s() - slept
            slept = _asleep_s()
            if away_s > STALL_S:
                self.heard(LoopLagged(away_s))

    def terminal(self, state: str, size: tuple[int, int] = (0, 0)) -> None:
        """A terminal was lent or given back."""
        self.heard(TerminalChanged(state, size))

    def heard(self, signal: Signal) -> None:
        """Let the loop hear something; on the engine's own thread."""
        self.core.loop.post(signal)

    def _alarmed(self, signal: Signal) -> None:
        """The store speaks as soon as it runs, which is before there is a loop to hear it."""
        if hasattr(self, "core"):
            self.heard(signal)
        else:
            self._early.append(signal)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        if self._stopping:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            what = {"message": "a task of the engine failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)

    def _crashed(self, runner: "asyncio.Task[None]") -> None:
        """Without its loop a node would only look alive: it ends, and what was accepted is in the store."""
        if not runner.cancelled() and (error := runner.exception()) is not None:
            log.critical("the engine's loop failed", exc_info=error)
            _end_at_once(FleetError("engine.crashed", "The engine failed", repr(error), "", Fault.OURS))


def _from_thread(loop: asyncio.AbstractEventLoop, heard: Callable[[Signal], None], signal: Signal) -> None:
    loop.call_soon_threadsafe(heard, signal)


def _at_rest(fleet: Fleet) -> bool:
    """Whether nothing of ours is on its way."""
    return not any(waiting.flying for lane in fleet.mail.lanes.values() for waiting in lane.open.values())


# sysexits.h, EX_IOERR: a supervisor sees that it was the disk or a bug, not a request.
EXIT_FATAL = 74


def _end_at_once(error: FleetError) -> None:
    """Nothing may be acknowledged any more, so nothing may run any more."""
    log.critical("%s: %s", error.title, error.detail)
    logging.shutdown()
    os._exit(EXIT_FATAL)


def _asleep_s() -> float:
    """Seconds this machine has slept since it booted; 0 where the system does not say (macOS counts sleep already)."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) - time.monotonic() if boottime is not None else 0.0


# What `token_urlsafe(32)` makes; half of one would be half as hard to guess.
_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)


def _token(path: Path) -> str:
    """The bearer token of the loopback API, made at the first start; readable by this user alone."""
    with suppress(FileNotFoundError, UnicodeDecodeError, IsADirectoryError):
        # Anything else than a whole token: a start that was cut off, no room, or a damaged file.
        if _TOKEN.fullmatch(kept := path.read_text().strip()):
            return kept
    token = secrets.token_urlsafe(32)
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        step = f"move {path} away: another is made at the next start"
        why = f"{path}: {error.strerror or error}"
        raise FleetError("node.token", "The token of the API cannot be kept", why, step, Fault.WORLD) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token
