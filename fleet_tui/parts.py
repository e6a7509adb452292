"""The process, put together: the engine and its API on a thread of their own, the control room on the main one (edge).

    in_background     `fleet up`: forked off, no terminal, no screen in memory until one is lent
    behind_a_screen   the same, for a stub that waits: the screens are imported while the engine starts
    in_foreground     `fleet --daemon`, for systemd, launchd or a container
    in_one_process    `fleet --no-detach`: no lending; both end together

It decides nothing. Everything imported here at the top is paid for by every node; the rest when it is needed.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.client import SOCKET
from engine.api.server import Server
from engine.configured import configured
from engine.daemon import stopped
from engine.daemon.rundir import make_run_dir
from engine.descriptors import Complaints
from engine.engine import Engine
from engine.home import SCREENS
from engine.model.channel import Channel
from engine.state import Fleet
from fleet_tui import __version__, node
from fleet_tui.again import become
from fleet_tui.commands.home import check_startable, key_file
from fleet_tui.place import start_command

if TYPE_CHECKING:
    from textual.app import App

    from fleet_tui.terminal import Terminal


class Running:
    """An engine and its API, alive between `start` and `stop`, on a thread and a loop of their own."""

    def __init__(self, home: Path) -> None:
        """Raises `FleetError` `usage.config` for a configuration that does not fit."""
        resolved = configured(home)
        self.home, self.config = home, resolved.config
        self.engine = Engine(home, resolved, __version__, key_file(), start_command(home, "--unless-stopped"))
        api = resolved.config.api
        port = api.tcp_port if api.tcp else None
        origins = self.engine.resolved.origins
        self._api = Server(self.engine, make_run_dir(home) / SOCKET, port, origins, self._asked_to_stop)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="fleet-engine", daemon=True)
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._end = asyncio.Event()
        self._now = False
        self.again = False

    @property
    def fleet(self) -> Fleet:
        """The newest durable value; from any thread."""
        return self.engine.fleet

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The engine's loop."""
        return self._started.result()

    def start(self) -> None:
        """Return when the API answers. Raises `FleetError`: what the engine or the API could not do."""
        stopped.clear(self.home)
        self._thread.start()
        self._started.result()

    def stop(self) -> None:
        """Drain and end; returns when the thread is gone. From any thread; idempotent."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def shown_on(self, name: str) -> None:
        """A terminal was lent, or (empty) given back."""
        self.loop.call_soon_threadsafe(self.engine.terminal, "attached" if name else "detached")

    def plan(self, peer: str) -> tuple[Channel, ...]:
        """The order of the next message's channels, by the newest value. Raises `FleetError` `unknown.recipient`."""
        return next((order for _, order, _ in self.engine.preview(peer)), ())

    def _asked_to_stop(self, now: bool) -> None:
        """Somebody asked over the API: the process ends as if by signal, its screen first. `now`: without draining."""
        self._now = now
        stopped.mark(self.home)
        os.kill(os.getpid(), signal.SIGTERM)

    def asked_to_restart(self, delay_s: float) -> None:
        """The node is to end in order, so soon, and to begin anew in this process. Raises the `FleetError` that would
        keep it from that; then it goes on as it is."""
        check_startable(self.home)
        self.again = True
        self.loop.call_later(delay_s, os.kill, os.getpid(), signal.SIGTERM)

    async def _live(self) -> None:
        asyncio.get_running_loop().set_exception_handler(Complaints())
        try:
            await self.engine.start()
            await self._api.start()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._started.set_exception(error)
            return
        self._started.set_result(asyncio.get_running_loop())
        await self._end.wait()
        await self._api.stop()
        await (self.engine.stop(drain_s=0.0) if self._now else self.engine.stop())


def in_background(home: Path, ready: Callable[[], None]) -> int:
    """Be `home`'s node without a screen; `fleet_tui.launch` has forked already."""
    return _run(home, ready=ready)


def behind_a_screen(home: Path, ready: Callable[[], None]) -> int:
    """Be `home`'s node for a stub that is about to lend its terminal."""
    return _run(home, ready=ready, warm=_first_screen)


def in_foreground(home: Path) -> int:
    """Be `home`'s node here, until SIGTERM, SIGINT or SIGHUP."""
    return _run(home, foreground=True)


def in_one_process(home: Path, options: Mapping[str, str]) -> int:
    """The control room and the node together, on this process's own terminal."""

    def make_app(engine: Running, terminal: "Terminal | None") -> "App[Any]":
        return _app(engine, options)

    return node.run_here(home, make_engine=Running, make_app=make_app)


def _run(
    home: Path,
    *,
    foreground: bool = False,
    ready: Callable[[], None] = lambda: None,
    warm: Callable[[], object] = lambda: None,
) -> int:
    made: list[Running] = []

    def make_engine(home: Path) -> Running:
        made.append(Running(home))
        made[0].engine.on_restart = made[0].asked_to_restart
        return made[0]

    status = node.run(
        home,
        foreground=foreground,
        make_engine=make_engine,
        make_app=lambda engine, terminal: _app(engine, terminal.options if terminal else {}),
        ready=ready,
        warm=warm,
        shown_on=lambda name: made[0].shown_on(name),
    )
    if made[0].again:
        become(home, foreground)
    return status


def _app(engine: Running, options: Mapping[str, str]) -> "App[Any]":
    from fleet_tui.app import FleetApp
    from fleet_tui.bridge import Bridge

    return FleetApp(
        Bridge(engine.engine, engine.loop),
        readonly="readonly" in options,
        ascii="ascii" in options or engine.config.ui.ascii,
        plan=engine.plan,
        memory_file=engine.home / SCREENS,
        theme=engine.config.ui.theme,
    )


def _first_screen() -> None:
    import screens.peers  # noqa: F401
