"""The node's process: the engine on its thread, the control room on the main one (edge).

    claim the home -> listen -> start the engine -> ready
    main thread:       wait for a loan -> run the app on it -> tell the stub how it ended -> wait again
    reception thread:  a second loan ends the first; SIGTERM ends the app, and then the node

A screen may hang or crash: its terminal is given back by the reception thread, its traceback is saved, the next loan
gets a new app, and the engine never hears of it. Descriptors 0 to 2 are never a lent terminal; nothing here prints.
"""

import _thread
import faulthandler
import fcntl
import logging
import os
import signal
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Protocol

from engine import descriptors
from engine.daemon import lock, stopped
from engine.daemon.rundir import make_run_dir
from engine.errors import Fault, FleetError
from fleet_tui import interpreter
from fleet_tui.crash import log_dir, save_crash
from fleet_tui.journal import journal
from fleet_tui.lending import End
from fleet_tui.reception import Loan, Reception, told

if TYPE_CHECKING:
    from textual.app import App

    from fleet_tui.terminal import Terminal

log = logging.getLogger(__name__)

STOP = "stop"  # `app.exit(STOP)` ends the node with the app
SHOW_WITHIN_S = 5.0  # how long a screen that was taken over may need to end before the next terminal is refused
STOP_WITHIN_S = 5.0  # how long a screen may delay the end of the node


class EngineHandle(Protocol):
    """The engine as this process holds it: it brings its own thread and loop."""

    @property
    def fleet(self) -> Any:
        """The frozen value, to be read from any thread."""
        ...

    def start(self) -> None:
        """Return when the engine is ready. Raises `FleetError`."""
        ...

    def stop(self) -> None:
        """Drain and end; returns when the thread is gone. From any thread."""
        ...


MakeEngine = Callable[[Path], EngineHandle]
MakeApp = Callable[[Any, "Terminal | None"], "App[Any]"]


def run(
    home: Path,
    *,
    foreground: bool,
    make_engine: MakeEngine,
    make_app: MakeApp,
    ready: Callable[[], None] = lambda: None,
    warm: Callable[[], object] = lambda: None,
    shown_on: Callable[[str], None] = lambda name: None,
) -> int:
    """Be `home`'s node until asked to stop; returns the exit status. From the main thread.

    `ready` is called once the engine is. `warm` runs meanwhile: what the first screen needs can be imported there.
    `shown_on` is told the name of each terminal that is lent, and an empty one when it is given back. Anything in the
    process may ask it to stop by SIGTERM. Raises `FleetError`: `home.taken`, or what the engine could not do.
    """
    with lock.claim(home) as ours:
        node = Node(home, make_app, shown_on, foreground=foreground)
    try:
        with journal(home, also_stderr=foreground) as faults, node.listening(faults):
            node.serve(make_engine, ready, warm)
    finally:
        ours.release()
    return 0


def run_here(home: Path, *, make_engine: MakeEngine, make_app: MakeApp) -> int:
    """`--no-detach`: the same engine and app in this process on its own terminal; both end together.

    SIGTERM ends the app. SIGHUP drains the engine and ends the process from another thread, because Textual's own
    driver blocks the main one for ever once its terminal is gone. Raises `FleetError` as `run` does.
    """
    with lock.claim(home) as ours:
        reception = Reception(
            make_run_dir(home), lambda loan: loan.end(End.REFUSED, error=told(_not_lent(home))), _nothing
        )
    try:
        with journal(home, also_stderr=False):
            reception.start()
            engine = _started(home, make_engine, lambda: None)
            try:
                return _shown_here(make_app(engine, None), engine)
            finally:
                engine.stop()
    finally:
        reception.close()
        ours.release()


class Node:
    """Which terminal shows what, and until when. `serve` is the main thread; the other verbs are called by others."""

    def __init__(self, home: Path, make_app: MakeApp, shown_on: Callable[[str], None], *, foreground: bool) -> None:
        """Listens at once: made with the gate shut, so that whoever finds the home taken can connect."""
        self._home, self._make_app, self._shown_on = home, make_app, shown_on
        self._stops = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} if foreground else {signal.SIGTERM}
        self._asked: SimpleQueue[Loan | None] = SimpleQueue()  # None: stop
        self._shown: Loan | None = None
        self._stopping = False
        self._screens_known = False
        self._engine: EngineHandle | None = None
        self._reception = Reception(make_run_dir(home), self._lent, self._signalled)
        self._timers: list[threading.Timer] = []

    @contextmanager
    def listening(self, faults: IO[Any]) -> Iterator[None]:
        """Answer stubs and signals inside the `with`; stacks of a hanging screen go to `faults`."""
        self._faults = faults
        _leave_controlling_terminal()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Not SIG_IGN, which every program the engine starts would inherit.
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._reception.wakeup.fileno(), warn_on_full_buffer=False)
        self._reception.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            self._reception.close()

    def serve(self, make_engine: MakeEngine, ready: Callable[[], None], warm: Callable[[], object]) -> None:
        """Start the engine, show it on every terminal that is lent, and stop it."""
        try:
            self._engine = engine = _started(self._home, make_engine, warm)
        except FleetError as error:
            self._refuse(error)
            raise
        try:
            log.info("ready, pid %d", os.getpid())
            ready()
            while (loan := self._next()) is not None:
                self._show(loan)
        finally:
            self._cancel_timers()
            log.info("stopping")
            engine.stop()

    # --- the main thread --------------------------------------------------------------------------------------------

    def _next(self) -> Loan | None:
        """The newest loan; None when the node has to stop. Those it overtook are told."""
        loan = self._asked.get()
        while loan is not None and not self._asked.empty():
            newer = self._asked.get()
            _supersede(loan, newer)
            loan = newer
        return loan

    def _show(self, loan: Loan) -> None:
        """Run one app on one terminal, and tell its stub how that ended."""
        self._shown = loan
        self._cancel_timers()
        if not self._asked.empty():  # it came between `_next` and here, and saw nobody to end
            loan.end(End.STOPPED if self._stopping else End.TAKEN_OVER)
        self._shown_on(loan.terminal.name)
        result, error = self._run(loan.terminal)
        self._shown = None
        self._shown_on("")
        if error is not None:
            path = save_crash(self._home, error)
            log.error("the screen crashed: %s", path)
            loan.end(End.CRASHED, log=str(path))
        elif result == STOP:
            stopped.mark(self._home)
            self._asked.put(None)
            loan.end(End.STOPPED)
        loan.end(End.DETACHED)
        loan.terminal.close()

    def _run(self, terminal: "Terminal") -> tuple[Any, BaseException | None]:
        """What the app returned and what it died of."""
        from fleet_tui.driver import run_app

        if terminal.ended is not None:
            return None, None
        try:
            terminal.assume()
            app = self._make_app(self._engine, terminal)
            self._imported()
            return run_app(app, terminal)
        except Exception as error:  # noqa: BLE001 - whatever a screen does, the node goes on
            return None, error

    def _imported(self) -> None:
        """The first app brought its modules along; what later ones leave behind is for the collector."""
        if not self._screens_known:
            self._screens_known = True
            interpreter.settled()

    # --- the reception thread ---------------------------------------------------------------------------------------

    def _lent(self, loan: Loan) -> None:
        self._later(SHOW_WITHIN_S, self._stuck, loan)
        self._asked.put(loan)
        if (shown := self._shown) is not None:
            _supersede(shown, loan)

    def _signalled(self, number: int) -> None:
        if number not in self._stops or self._stopping:
            return
        log.info("asked to stop by %s", signal.Signals(number).name)
        self._stopping = True
        self._later(STOP_WITHIN_S, self._stop_without_screen)
        self._asked.put(None)
        if (shown := self._shown) is not None:
            _supersede(shown, None)

    # --- when a screen hangs: a timer is set before the main thread is asked, which cancels it when it answers -------

    def _later(self, delay_s: float, act: Callable[..., None], *args: Any) -> None:
        timer = threading.Timer(delay_s, act, args)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _cancel_timers(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _stuck(self, loan: Loan) -> None:
        if self._shown is None or self._shown is loan:
            return
        faulthandler.dump_traceback(self._faults)
        loan.end(End.REFUSED, error=told(_screen_stuck(self._home)))

    def _stop_without_screen(self) -> None:
        if self._engine is None:
            return
        faulthandler.dump_traceback(self._faults)
        log.error("the screen did not end within %d s: the node stops without it", STOP_WITHIN_S)
        _leave_now(self._engine, 1)

    def _refuse(self, error: FleetError) -> None:
        """Tell those who wait for an engine that could not start."""
        while not self._asked.empty():
            loan = self._asked.get()
            if loan is not None:
                loan.end(End.REFUSED, error=told(error))


def _supersede(old: Loan, new: Loan | None) -> None:
    if new is None:
        old.end(End.STOPPED)
    else:
        old.end(End.TAKEN_OVER, by=new.terminal.name)


def _started(home: Path, make_engine: MakeEngine, warm: Callable[[], object]) -> EngineHandle:
    """The engine, ready; `warm` has run beside it."""
    found: list[EngineHandle | Exception] = []
    interpreter.tuned()
    descriptors.raised()

    def start() -> None:
        try:
            engine = make_engine(home)
            engine.start()
            found.append(engine)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            found.append(error)

    starter = threading.Thread(target=start, name="fleet-start")
    starter.start()
    try:
        warm()
    finally:
        starter.join()
    if isinstance(found[0], FleetError):
        raise found[0]
    if isinstance(found[0], Exception):
        raise _start_crashed(save_crash(home, found[0])) from found[0]
    interpreter.settled()
    return found[0]


def _leave_controlling_terminal() -> None:
    """Job control stops a background process that touches its session's terminal, and that may be the one lent.

    A session's leader keeps it: giving it up would hang up on everyone in the session."""
    if os.getsid(0) == os.getpid():
        return
    with suppress(OSError):
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, termios.TIOCNOTTY)
        finally:
            os.close(fd)


def _shown_here(app: "App[Any]", engine: EngineHandle) -> int:
    signal.signal(signal.SIGTERM, lambda *_: _ask_to_exit(app))
    signal.signal(signal.SIGHUP, lambda *_: _thread.start_new_thread(_leave_now, (engine, 0)) and None)
    app.run()
    return app.return_code or 0


def _ask_to_exit(app: "App[Any]") -> None:
    if app._loop is not None:
        app._loop.call_soon_threadsafe(app.exit)


def _leave_now(engine: EngineHandle, status: int) -> None:
    """End the process without its main thread, which hangs. What the engine holds is safe first."""
    try:
        engine.stop()
    finally:
        os._exit(status)


def _start_crashed(path: Path) -> FleetError:
    return FleetError(
        "start.crashed",
        "The node could not start",
        "the engine met an error nobody expected",
        f"read {path}, and report it",
        Fault.OURS,
    )


def _nothing(_number: int) -> None:
    """No signal comes this way where the app has the main thread and the handlers."""


def _not_lent(home: Path) -> FleetError:
    return FleetError(
        "home.taken",
        "The control room is open elsewhere",
        f"the node of {home} runs with --no-detach, in its own terminal only",
        "quit it there, then `fleet` starts a node that can be attached to",
        Fault.THEIRS,
    )


def _screen_stuck(home: Path) -> FleetError:
    return FleetError(
        "screen.stuck",
        "The last screen has not ended",
        f"the node goes on, but its screen hangs; the threads' stacks are in {log_dir(home) / 'fault.log'}",
        "`fleet status` works meanwhile; `fleet restart` gives you a new screen",
        Fault.OURS,
    )
