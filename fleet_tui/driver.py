"""Textual's driver for a lent terminal (edge).

`LinuxDriver` knows what to say to a terminal and how to read its answers; that is kept. What assumes a terminal of
one's own is replaced: descriptors 0 to 2, the output thread that blocks or dies, the input thread that spins on a
closed terminal, the signal handlers, suspending. Every private name of Textual used here is held by a contract test.

ctrl+z detaches, whatever has the focus and however busy the app is: it is taken out in the input thread.
"""

import asyncio
import io
import signal
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

from rich.console import Console
from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from fleet_tui.lending import End
from fleet_tui.terminal import Terminal

DETACH_KEY = "ctrl+z"
# A stock driver installs handlers for these, two of which stop the whole process.
DRIVER_SIGNALS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGTTOU, signal.SIGTTIN, signal.SIGWINCH)


class LentDriver(LinuxDriver):
    """Runs one app on one `Terminal`, from the main thread, and leaves nothing behind."""

    def __init__(
        self,
        app: App[Any],
        *,
        terminal: Terminal,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        with _signals_kept():
            super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.terminal = terminal
        self._file: Any = terminal  # what the stock output thread would write to
        self.fileno = terminal.fd
        self.input_tty = True
        self.exit_event = _Waking(terminal)

    @property
    def can_suspend(self) -> bool:
        """Never: the process is the node."""
        return False

    def write(self, data: str) -> None:
        """Straight to the terminal, which never blocks; the stock way is a thread with a queue of 30 that does."""
        self.terminal.write(data)

    def start_application_mode(self) -> None:
        """Enter the alternate screen and start reading, unless the terminal has ended meanwhile."""
        with _signals_kept(), self.terminal.entering() as welcome:
            if welcome:
                super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._key_thread is None:
            self.terminal.end(End.LOST)
        self.terminal.watch(self._ask_to_leave, self._resized)

    def disable_input(self) -> None:
        """Stop reading; returns when the input thread is gone."""
        self.exit_event.set()
        if self._key_thread is not None:
            self._key_thread.join()
            self._key_thread = None

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was found."""
        self.terminal.unwatch()
        self.disable_input()
        self.terminal.give_back()

    def run_input_thread(self) -> None:
        """Turn what is typed into events, until told to stop or the terminal ends."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        try:
            for data in self.terminal.incoming(self.exit_event, lambda: constants.ESCAPE_DELAY):
                # An empty text would tell the parser that the input has ended.
                for event in parser.feed(text) if (text := decode(data)) else ():
                    self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        except Exception as error:  # noqa: BLE001 - whatever it was, the node must save it and go on
            self.terminal.end(End.CRASHED, error)

    def process_message(self, message: Message) -> None:
        """Pass an event on to the app, except the one that leaves it."""
        if isinstance(message, events.Key) and message.key == DETACH_KEY:
            self.terminal.end(End.DETACHED)
        else:
            super().process_message(message)

    def _get_terminal_size(self) -> tuple[int, int]:
        return self.terminal.size

    def _resized(self) -> None:
        """The stub saw another size. A terminal that tells it in-band has told the app already, to the pixel."""
        if not self._in_band_window_resize:
            size = Size(*self.terminal.size)
            self.send_message(events.Resize(size, size))

    def _ask_to_leave(self, _reason: End) -> None:
        with suppress(RuntimeError):  # its loop is closed: it has left
            self._loop.call_soon_threadsafe(self._app.exit)


def run_app(app: App[Any], terminal: Terminal) -> tuple[Any, BaseException | None]:
    """Run `app` on `terminal` until either ends: what `app.exit` was given, and what the app died of.

    The terminal has been given back. The loop is the app's own, because Textual leaves its eager task factory on it.
    """
    app.driver_class = lambda *args, **kwargs: LentDriver(*args, terminal=terminal, **kwargs)  # type: ignore[assignment]
    # Textual prints a crash with all local variables, bodies among them, to what may be a service's journal.
    app.error_console = Console(file=io.StringIO())
    try:
        with asyncio.Runner() as runner:
            result = runner.run(app.run_async(size=terminal.size))
    finally:
        terminal.give_back()
    return result, app._exception or terminal.error


class _Waking(Event):
    """An event whose setting also wakes the input thread, which waits for the terminal and not for events."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def set(self) -> None:
        super().set()
        self._terminal.nudge()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back the signal handlers that were there before."""
    before = {number: signal.getsignal(number) for number in DRIVER_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
