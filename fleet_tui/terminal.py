"""A terminal that was lent to this process (edge).

    lent -> entered -> given back          by `give_back` (the app is done) or `end(reason)` (anyone's wish)

The node keeps its own copy of the terminal, re-opened and non-blocking: a reader that stalls is noticed, the shell's
own descriptor is never changed, and the node's descriptors 0 to 2 stay what they were. One thread, the app's input
thread, waits in `incoming` for keys and for room to write; any thread may `write`, `resize` or `end`.

Nothing here raises for what a terminal does. A closed terminal (EOF, EIO) and one that takes no byte for `STALL_S` are
`End.LOST`. Once it is given back nothing is written or read, whatever the app still tries: the shell owns it.
"""

import importlib
import os
import selectors
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from engine.errors import Fault, FleetError
from fleet_tui.lending import DISPLAY, LEAVE, End

Size = tuple[int, int]
Modes = list[Any]  # what termios.tcgetattr returns

STALL_S = 2.0  # a terminal that takes nothing for so long is let go; shorter would drop a busy ssh
HIGH_WATER = 65536  # unsent bytes (about three full frames) beyond which the app waits instead of painting stale frames
LEAVE_S = 0.5  # how long giving back may wait for room; a stalled terminal is restored by its stub instead
READ_BYTES = 4096
WRITE_BYTES = 16384


class Terminal:
    """One lent terminal: its descriptor, size (columns, rows), environment, and the app's options from the stub."""

    def __init__(self, lent: int, size: Size, env: Mapping[str, str], options: Mapping[str, str]) -> None:
        """Re-opens the terminal behind `lent`, which stays open. Raises `FleetError` `terminal.closed`."""
        self.fd, self.name, self._modes = reopen(lent)
        self.size, self.env, self.options = size, env, options
        self.lender: Callable[[End], None] = _nothing  # called first when the terminal ends, from any thread
        self.ended: End | None = None
        self.error: BaseException | None = None
        self.restored = False
        self._state = threading.Condition()
        self._unsent = bytearray()
        self._moved = 0.0  # monotonic time of the last byte taken, or of the first one refused
        self._entered = self._given_back = False
        self._reader: int | None = None
        self._on_end: Callable[[End], None] = _nothing
        self._on_size: Callable[[], None] = _nothing
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)

    # --- the app's side ---------------------------------------------------------------------------------------------

    def assume(self) -> None:
        """Lay this terminal's environment over the process's, for the app about to be built."""
        for name in (*DISPLAY, "COLUMNS", "LINES"):
            if name in self.env:
                os.environ[name] = self.env[name]
            else:
                os.environ.pop(name, None)
        if "iTerm" in self.env.get("LC_TERMINAL", "") + self.env.get("TERM_PROGRAM", ""):
            # Textual's own guard against iTerm's in-band resizes was read at import, from another terminal.
            os.environ["TEXTUAL_SMOOTH_SCROLL"] = "0"
        from textual import constants  # a node nobody looks at does without Textual: 12 MB and a fifth of its start

        importlib.reload(constants)

    @contextmanager
    def entering(self) -> Iterator[bool]:
        """Around the driver's set-up: nobody can end the terminal half-way. False when it has ended already."""
        with self._state:
            self._entered = not self._given_back
            yield self._entered

    def watch(self, on_end: Callable[[End], None], on_size: Callable[[], None]) -> None:
        """Call these, from any thread, when the terminal ends (at once if it has) and when its size changes."""
        with self._state:
            self._on_end, self._on_size = on_end, on_size
            ended = self.ended
        if ended is not None:
            on_end(ended)

    def unwatch(self) -> None:
        """The app is going by itself."""
        self.watch(_nothing, _nothing)

    def write(self, text: str) -> None:
        """Send `text`, or keep it until there is room. Waits only while the terminal is slow, never once it is lost."""
        with self._state:
            if self._given_back:
                return
            if not self._unsent:
                self._moved = time.monotonic()
            self._unsent += text.encode("utf-8", "replace")
            self._push()
            if self._unsent:
                self.nudge()
            while len(self._unsent) > HIGH_WATER and self._reader not in (None, threading.get_ident()):
                self._state.wait()

    def flush(self) -> None:
        """Nothing is held back that could be sent: a file has to have this."""

    def incoming(self, stop: threading.Event, quiet_s: Callable[[], float]) -> Iterator[bytes]:
        """What is typed, until `stop` is set (and `nudge` called) or the terminal ends. One empty chunk says that
        nothing followed for `quiet_s()`, which is how an escape key differs from an escape sequence."""
        tick: float | None = None
        with self._listening() as selector:
            while not stop.is_set() and not self._given_back:
                ready = self._wait(selector, tick)
                if self.fd in ready and ready[self.fd] & selectors.EVENT_READ:
                    data = self._read()
                    if data:
                        yield data
                        tick = time.monotonic() + quiet_s()  # from now: its reader began to count while we stood here
                elif tick is not None and time.monotonic() >= tick:
                    tick = None
                    yield b""

    def nudge(self) -> None:
        """Make the input thread look around."""
        with suppress(BlockingIOError):  # it has been nudged often enough
            os.write(self._wake_w, b".")

    # --- the lender's side ------------------------------------------------------------------------------------------

    def resize(self, size: Size) -> None:
        """The window has another size now."""
        with self._state:
            self.size = size
            tell = self._on_size
        tell()

    def end(self, reason: End, error: BaseException | None = None) -> bool:
        """Give the terminal back and tell the app to go. False when it had ended already, for another reason."""
        with self._state:
            if self.ended is not None:
                return False
            self.ended, self.error = reason, error
            self.give_back(patience_s=0.0 if reason is End.LOST else LEAVE_S)
            tell = self._on_end
        self.lender(reason)
        tell(reason)
        return True

    def give_back(self, patience_s: float = LEAVE_S) -> None:
        """Restore screen and modes as far as the terminal lets us within `patience_s`; idempotent.

        `restored` tells whether all of it arrived."""
        with self._state:
            if not self._given_back:
                self._given_back = True
                self._unsent.clear()  # an escape sequence cut short is ended by the next escape
                self.restored = self._leave(patience_s)
                self._state.notify_all()
                self.nudge()

    def close(self) -> None:
        """Close our copy, once the app and its threads are gone."""
        self.give_back()
        for fd in (self.fd, self._wake_r, self._wake_w):
            os.close(fd)

    # --- within -----------------------------------------------------------------------------------------------------

    def _push(self) -> None:
        """Send what there is room for. Called with the state held."""
        try:
            while self._unsent:
                sent = os.write(self.fd, self._unsent[:WRITE_BYTES])
                del self._unsent[:sent]
                self._moved = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.end(End.LOST)
        self._state.notify_all()

    @contextmanager
    def _listening(self) -> Iterator[selectors.BaseSelector]:
        # macOS cannot poll() a terminal; select() ends at descriptor 1,024, where a node may well be.
        selector = selectors.PollSelector() if sys.platform == "linux" else selectors.SelectSelector()
        selector.register(self.fd, selectors.EVENT_READ)
        selector.register(self._wake_r, selectors.EVENT_READ)
        self._reader = threading.get_ident()
        try:
            yield selector
        finally:
            with self._state:
                self._reader = None
                self._state.notify_all()
            selector.close()

    def _wait(self, selector: selectors.BaseSelector, tick: float | None) -> dict[int, int]:
        """Wait for a key, room, a nudge, `tick` or the end of patience. Sends what it can."""
        with self._state:
            sending = bool(self._unsent)
            until = [moment for moment in (tick, self._moved + STALL_S if sending else None) if moment is not None]
        selector.modify(self.fd, selectors.EVENT_READ | (selectors.EVENT_WRITE if sending else 0))
        timeout = max(0.0, min(until) - time.monotonic()) if until else None
        ready = {key.fd: mask for key, mask in selector.select(timeout)}
        if self._wake_r in ready:
            _drain(self._wake_r)
        with self._state:
            if ready.get(self.fd, 0) & selectors.EVENT_WRITE:
                self._push()
            elif self._unsent and sending and time.monotonic() >= self._moved + STALL_S:
                self.end(End.LOST)
        return {} if self._given_back else ready

    def _read(self) -> bytes:
        with self._state:
            if self._given_back:
                return b""  # what is typed now is meant for the shell
            try:
                data = os.read(self.fd, READ_BYTES)
            except BlockingIOError:
                return b""
            except OSError:
                data = b""
            if not data:
                self.end(End.LOST)
            return data

    def _leave(self, patience_s: float) -> bool:
        """Undo what the driver did. Modes first: they never wait, and the shell may be reading already."""
        try:
            termios.tcflush(self.fd, termios.TCIFLUSH)  # answers to our questions, not meant for the shell
            termios.tcsetattr(self.fd, termios.TCSANOW, self._modes)
        except termios.error:
            return False
        if not self._entered:
            return True
        return _send_all(self.fd, LEAVE.encode(), patience_s)


def reopen(fd: int) -> tuple[int, str, Modes]:
    """A second, non-blocking descriptor of the terminal behind `fd`, its name, and the modes it is in.

    By its name, or through `/proc` where the name is not ours to open (after `su`) or unknown here (in a container).
    Raises `FleetError` `terminal.closed`.
    """
    name = _name(fd)
    for path in (name, f"/proc/self/fd/{fd}"):
        try:
            copy = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.path.samestat(os.fstat(copy), os.fstat(fd)):
                return copy, name, termios.tcgetattr(copy)
        except termios.error:
            pass
        os.close(copy)
    raise FleetError(
        "terminal.closed",
        "The terminal cannot be opened",
        f"the node may not open {name or 'it'} a second time",
        "run `fleet --no-detach`, or open another terminal as the same user",
        Fault.WORLD,
    )


def _name(fd: int) -> str:
    try:
        return os.ttyname(fd)
    except OSError:
        return ""


def _send_all(fd: int, data: bytes, patience_s: float) -> bool:
    """Write all of `data` to a non-blocking descriptor, if it takes it within `patience_s`."""
    deadline = time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_WRITE)
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return False
            except OSError:
                return False
    return True


def _drain(fd: int) -> None:
    with suppress(BlockingIOError):
        while os.read(fd, 1024):
            pass


def _nothing(*_: object) -> None:
    pass
