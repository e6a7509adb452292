"""Where stubs come to lend their terminals: the node's end of `tty.sock` (edge).

One thread accepts stubs, checks them, opens what they lend, hands each `Loan` to the node, and then listens to what its
stub says: another size, or goodbye. It is also where signals arrive: the interpreter writes their numbers into this
thread's pipe, so that SIGTERM is heard even while the main thread hangs in a screen.

It never runs an app and never waits for one: neither a busy screen nor a stub that stopped reading delays it.
"""

import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import FleetError, exit_code
from fleet_tui import lending
from fleet_tui.lending import End, Line, Message
from fleet_tui.terminal import Size, Terminal

log = logging.getLogger(__name__)


# These come from the terminal itself and need no further word; the node tells the others, with what it knows.
TOLD_AT_ONCE = (End.LOST, End.DETACHED)


class Loan:
    """A terminal and the line to the stub that lent it."""

    def __init__(self, terminal: Terminal, line: Line) -> None:
        self.terminal = terminal
        self._line = line
        self._told = threading.Lock()  # taken once and never released: the stub is told once
        terminal.lender = self._ended

    def end(self, reason: End, **detail: Any) -> None:
        """Give the terminal back and tell the stub why; only the first reason counts."""
        self.terminal.end(reason)
        self._tell(self.terminal.ended or reason, detail)

    def _ended(self, reason: End) -> None:
        if reason in TOLD_AT_ONCE:
            self._tell(reason, {})

    def _tell(self, reason: End, detail: dict[str, Any]) -> None:
        if self._told.acquire(blocking=False):
            log.info("terminal %s: %s", self.terminal.name, reason)
            _say(self._line, {"ended": reason, "restored": self.terminal.restored, **detail})


class Reception(threading.Thread):
    """Listens until `close`. `lent` gets each new loan, `signalled` each signal's number, both in this thread."""

    def __init__(self, run_dir: Path, lent: Callable[[Loan], None], signalled: Callable[[int], None]) -> None:
        """The socket listens when this returns; stubs are answered once the thread is started."""
        super().__init__(name="fleet-reception", daemon=True)
        self._path = run_dir / lending.SOCKET
        self._listener = lending.listen(run_dir)
        self._lent, self._signalled = lent, signalled
        self._loans: dict[Line, Loan | None] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self.wakeup = socket.socketpair()  # `wakeup` is for `signal.set_wakeup_fd`
        self._woken.setblocking(False)
        self.wakeup.setblocking(False)

    def run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while not self._closed():
            for key, _mask in self._selector.select():
                if key.fileobj is self._listener:
                    self._welcome()
                elif isinstance(key.fileobj, Line):
                    self._hear(key.fileobj)
        for line in list(self._loans):
            self._dismiss(line, End.STOPPED)

    def close(self) -> None:
        """Stop listening and end every loan that is left. Returns when the thread is gone."""
        self.wakeup.send(b"\0")
        if self.is_alive():
            self.join()
        self._path.unlink(missing_ok=True)
        for resource in (self._listener, self._selector, self._woken, self.wakeup):
            resource.close()

    def _closed(self) -> bool:
        """Hear the signals; a zero is no signal but `close`."""
        try:
            numbers = self._woken.recv(64)
        except BlockingIOError:
            return False
        for number in numbers:
            if number:
                self._signalled(number)
        return 0 in numbers

    def _welcome(self) -> None:
        line = lending.accept(self._listener)
        if line is not None:
            self._loans[line] = None
            self._selector.register(line, selectors.EVENT_READ)

    def _hear(self, line: Line) -> None:
        try:
            messages, open_ = line.receive()
            for message in messages:
                self._do(line, message)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("a stub said something else: %s", type(error).__name__)
            open_ = False
        if not open_:
            self._dismiss(line, End.DETACHED)

    def _do(self, line: Line, message: Message) -> None:
        loan = self._loans[line]
        match message["do"]:
            case "lend" if loan is None:
                self._lend(line, message)
            case "size" if loan is not None:
                loan.terminal.resize(_size(message))
            case "detach" if loan is not None:
                loan.end(End.DETACHED)

    def _lend(self, line: Line, message: Message) -> None:
        try:
            loan = Loan(_opened(line, message), line)
        except FleetError as error:
            _say(line, refusal(error))
            return
        self._loans[line] = loan
        log.info("terminal %s lent, %dx%d", loan.terminal.name, *loan.terminal.size)
        self._lent(loan)

    def _dismiss(self, line: Line, reason: End) -> None:
        loan = self._loans.pop(line)
        if loan is not None:
            loan.end(reason)
        self._selector.unregister(line)
        line.close()


def refusal(error: FleetError) -> Message:
    """What a stub is told instead of being served."""
    return {"ended": End.REFUSED, "restored": True, "error": told(error)}


def told(error: FleetError) -> dict[str, str | int]:
    """An error as a stub can print it, which knows neither msgspec nor the table of exit codes."""
    facts = {"code": error.code, "title": error.title, "detail": error.detail, "next_step": error.next_step}
    return {**facts, "fault": str(error.fault), "exit": exit_code(error.code)}


def _opened(line: Line, message: Message) -> Terminal:
    fds = line.take_fds()
    try:
        if message["protocol"] != lending.PROTOCOL:
            raise FleetError(
                "start.version",
                "The node is of another version",
                f"it lends terminals by protocol {lending.PROTOCOL}, this command by {message['protocol']}",
                "`fleet restart` starts the node again with the version installed now",
            )
        if len(fds) != 1:
            raise ValueError("a loan is one descriptor")
        return Terminal(fds[0], _size(message), _words(message["env"]), _words(message["options"]))
    finally:
        for fd in fds:
            os.close(fd)


def _size(message: Message) -> Size:
    """Columns and rows; a terminal that claims to have none has the usual ones."""
    columns, rows = map(int, message["size"])
    return (columns, rows) if columns > 0 and rows > 0 else (80, 24)


def _words(table: dict[str, str]) -> dict[str, str]:
    return {str(name): str(value) for name, value in table.items()}


def _say(line: Line, message: Message) -> None:
    try:
        line.send(message)
    except OSError:
        log.info("a stub left without waiting for its answer")
