"""The nats-server beside this node, kept alive (edge).

    starting --ready--> up --died--> down --pause--> starting
                         |  roster changed: SIGHUP, or a planned restart where that is not enough

The server's own log, read from its standard error, is the clock of all this: "ready" and "reloaded" are lines of it,
and its end is the death of the process; nothing is polled. After a kill it is back at once, after several with growing
pauses (`patience`). It never outlives the node: the kernel kills it with us, and what a crashed node left is found by
its pid file and its command line.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.broker import machine
from engine.broker.config import (
    LOOPBACK,
    Change,
    Files,
    Place,
    Ports,
    Spec,
    authorities,
    change,
    listening,
    place,
    render,
)
from engine.broker.patience import WINDOW_S, pause_s, recent
from engine.errors import FleetError
from engine.home import Shape, aside, misplaced, write_private
from engine.model.broker import BrokerState
from engine.signals import BrokerChanged

log = logging.getLogger(__name__)

# Two processors are plenty for one node's mail, and fewer make fewer heaps. Go gives memory back before this limit.
_ENVIRONMENT = {"GOMAXPROCS": "2", "GOGC": "50", "GOMEMLIMIT": "48MiB"}
# A start takes 10 ms and a reload 30; a server that needs longer is stopped or strangled, and waited for in vain.
_READY_S = 5.0
_RELOAD_S = 2.0
_STOP_S = 2.0
_LINE_LIMIT = 1 << 20
# Lines that it said last, for the log of the node.
_LAST_WORDS = 5

# Clients are let in before routes are: a broker of the mesh is up when it can hear both.
READY = {
    Place.ALONE: "Server is ready",
    Place.LEAF: "Server is ready",
    Place.MESH: "Listening for route connections",
    Place.HUB: "Listening for route connections",
}
RELOADED = "Reloaded server configuration"
NOT_RELOADED = "Failed to reload"


class Broker:
    """Our own nats-server. `on_change` hears every `BrokerChanged` on the loop that started it; `url` is where this
    node's client connects, empty while it is not up."""

    def __init__(self, folder: Path, spec: Spec, on_change: Callable[[BrokerChanged], None]):
        self._folder, self._spec, self._on_change = folder, spec, on_change
        self._config, self._pid_file = folder / "server.json", folder / "pid"
        self._tail: deque[str] = deque(maxlen=50)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._settled, self._hurry = asyncio.Event(), asyncio.Event()
        self._reload: asyncio.Future[bool] | None = None
        self._deaths: tuple[float, ...] = ()
        self._planned = False
        self._reserved: list[socket.socket] = []
        self.state = BrokerState.ABSENT

    @property
    def url(self) -> str:
        """`nats://127.0.0.1:PORT` while the server is up, else nothing."""
        return f"nats://{LOOPBACK}:{self.ports.client}" if self.state is BrokerState.UP else ""

    @property
    def ports(self) -> Ports:
        """The ports in use, which differ from those wanted where these were taken."""
        return self._spec.ports

    @property
    def pid(self) -> int:
        """The server's process id; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def kept(self) -> bool:
        """Whether it is watched over: it is up, or is started again."""
        return self._keeper is not None

    def log(self) -> tuple[str, ...]:
        """The server's last lines, oldest first."""
        return tuple(self._tail)

    async def start(self) -> None:
        """Start it; returns once it is ready, or has failed and is being tried again. Raises `FleetError` `node.broker`
        when there is no nats-server, `node.home` when its files cannot be written."""
        self._program, self._bind = machine.program(), machine.dies_with_us()
        with _writable(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write()
        await asyncio.to_thread(machine.end_orphan, self._pid_file, self._config)
        self._settled.clear()
        self._keeper = asyncio.create_task(self._keep())
        await self._settle()

    async def apply(self, spec: Spec) -> None:
        """Take a new roster: nothing, a reload or a planned restart, as `config.change` says. Returns once it holds."""
        async with self._turn:
            fresh = msgspec.structs.replace(spec, ports=self.ports)
            what, self._spec = change(self._spec, fresh), fresh
            if what is Change.NOTHING or self._keeper is None:
                return
            with _writable(self._folder):
                self._write()
            if what is Change.RESTART or not await self._reloaded():
                await self._restart()

    async def restart(self) -> bool:
        """Give it another life, on the same ports; whether it is up then. A server that hears nothing any more is ended
        all the same."""
        async with self._turn:
            if self._keeper is None:
                return False
            await self._restart()
            return self.state is BrokerState.UP

    async def reload(self) -> bool:
        """Write its files anew and have them read, by a restart where need be; whether it is up then."""
        async with self._turn:
            if self._keeper is None:
                return False
            with _writable(self._folder):
                self._write()
            if not await self._reloaded():
                await self._restart()
            return self.state is BrokerState.UP

    async def stop(self) -> None:
        """End the server and the watch over it; idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            self._release()
            self._pid_file.unlink(missing_ok=True)
            self._say(BrokerState.ABSENT)

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            note = await self._live()
            if self._planned:
                self._planned = False
                continue
            self._deaths = recent((*self._deaths, clock()), clock())
            wait = pause_s(len(self._deaths))
            said = _told(note, len(self._deaths), wait)
            log.warning(
                "the nats-server is down: %s; its last words: %s", said, " | ".join([*self._tail][-_LAST_WORDS:])
            )
            self._say(BrokerState.DOWN, said, dying=wait > 0)
            self._settled.set()
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), wait)

    async def _live(self) -> str:
        """One life of the server, from start to death; returns its last words."""
        try:
            self._take_ports()
            self._write()
            self._say(BrokerState.STARTING)
            self._process = await self._spawn()
        except (OSError, FleetError) as error:
            return str(error)
        try:
            with contextlib.suppress(OSError):
                write_private(self._pid_file, str(self._process.pid).encode())
            assert self._process.stderr is not None
            async for line in self._process.stderr:
                self._hear(line.decode(errors="replace").strip())
            await self._process.wait()
            early = self.state is BrokerState.STARTING
            return self._tail[-1] if self._tail and early else f"exit {self._process.returncode}"
        finally:
            await _end(self._process)
            self._process = None

    def _take_ports(self) -> None:
        """Settle the ports of this life. Those for a part we may play later are reserved: peers know them already."""
        self._release()
        self._spec = msgspec.structs.replace(self._spec, ports=machine.free_ports(self.ports, self._spec))
        silent = [port for port in (self.ports.cluster, self.ports.leaf) if port not in listening(self._spec)]
        self._reserved = [held for port in silent if (held := machine.reserve(self._spec.listen, port))]

    def _release(self) -> None:
        for held in self._reserved:
            held.close()
        self._reserved = []

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._program,
            "--config",
            str(self._config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd=self._folder,
            # Its own session: a terminal's interrupt is for the node, which then ends it in order.
            start_new_session=True,
            preexec_fn=self._bind,
            limit=_LINE_LIMIT,
        )

    def _hear(self, line: str) -> None:
        if line:
            self._tail.append(line)
        if READY[place(self._spec)] in line:
            self._say(BrokerState.UP)
            self._settled.set()
        elif self._reload and not self._reload.done() and (RELOADED in line or NOT_RELOADED in line):
            self._reload.set_result(RELOADED in line)

    async def _reloaded(self) -> bool:
        if self._process is None or self.state is not BrokerState.UP:
            return False
        self._reload = asyncio.get_running_loop().create_future()
        self._process.send_signal(signal.SIGHUP)
        try:
            return await asyncio.wait_for(self._reload, _RELOAD_S)
        except TimeoutError:
            return False
        finally:
            self._reload = None

    async def _restart(self) -> None:
        self._settled.clear()
        self._hurry.set()
        if self._process is not None:
            self._planned = True
            await _end(self._process)
        await self._settle()

    async def _settle(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), _READY_S)

    def _write(self) -> None:
        write_private(Path(self._spec.files.authorities), authorities(self._spec).encode())
        write_private(self._config, render(self._spec).encode())

    def _say(self, state: BrokerState, note: str = "", *, dying: bool = False) -> None:
        self.state = state
        self._on_change(BrokerChanged(state, self.pid, self.url, note, dying))


def files_in(folder: Path, cert: Path, key: Path) -> Files:
    """The paths of a broker whose folder is `folder`."""
    return Files(str(cert), str(key), str(folder / "authorities.pem"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, and insist after two seconds: a stopped process hears only the second."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _told(note: str, deaths: int, wait: float) -> str:
    if deaths == 1:
        return note
    return f"{note}; died {deaths} times in {WINDOW_S:.0f} s" + (f", next start in {wait:g} s" if wait else "")


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        step = aside(folder) if misplaced(folder, Shape.FOLDER) else f"check the owner of {folder}"
        raise FleetError("node.home", "The broker's files cannot be written", f"{folder}: {error}", step) from None
