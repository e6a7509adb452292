"""`fleet_tui/terminal.py`: a lent terminal, on a real pty."""

import fcntl
import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Iterator

import pytest
from textual import constants

from engine.errors import FleetError
from fleet_tui import terminal as module
from fleet_tui.lending import LEAVE, End
from fleet_tui.terminal import HIGH_WATER, Terminal, reopen


class Lent:
    """A terminal, the master side of its pty, and what its reader thread heard."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.terminal = Terminal(slave, (80, 24), {"TERM": "xterm"}, {})
        self.stop, self.heard, self.ticks = threading.Event(), bytearray(), threading.Semaphore(0)
        self.keys = threading.Semaphore(0)
        self.reader = threading.Thread(target=self._read)

    def enter(self) -> None:
        """What a driver does first."""
        with self.terminal.entering() as welcome:
            assert welcome
            tty.setraw(self.terminal.fd)
        self.reader.start()

    def _read(self) -> None:
        for data in self.terminal.incoming(self.stop, lambda: 0.001):
            self.heard += data
            (self.keys if data else self.ticks).release()

    def read_until(self, end: bytes) -> bytes:
        """What the terminal shows, up to and with `end`."""
        seen = b""
        while not seen.endswith(end):
            assert select.select([self.master], [], [], 30)[0], seen
            seen += os.read(self.master, 65536)
        return seen

    def fill(self) -> None:
        """Write until the terminal takes no more, without anybody reading."""
        while not self.terminal._unsent:
            self.terminal.write("x" * 4096)

    def hang_up(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def lent() -> Iterator[Lent]:
    found = Lent()
    yield found
    found.stop.set()
    found.terminal.nudge()
    if found.reader.ident is not None:
        found.reader.join(30)
    found.terminal.close()
    os.close(found.slave)
    found.hang_up()


def test_it_is_a_copy_of_its_own(lent: Lent) -> None:
    """The node opens the same terminal once more: its descriptor does not block, the shell's stays as it was."""
    fd = lent.terminal.fd
    assert os.path.samestat(os.fstat(fd), os.fstat(lent.slave))
    assert not os.get_blocking(fd)
    assert os.get_blocking(lent.slave)
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    assert lent.terminal.name == os.ttyname(lent.slave)


def test_what_is_no_terminal_is_refused() -> None:
    """A file cannot be lent."""
    with open(os.devnull) as nowhere, pytest.raises(FleetError) as refused:
        reopen(nowhere.fileno())
    assert refused.value.code == "terminal.closed"


def test_a_nameless_terminal_is_opened_through_proc(lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the name may be unknown or lead elsewhere; the descriptor itself still leads there."""
    monkeypatch.setattr(module, "_name", lambda fd: "/dev/null")
    copy, _name, _modes = reopen(lent.slave)
    assert os.path.samestat(os.fstat(copy), os.fstat(lent.slave))
    os.close(copy)


def test_keys_arrive_and_quiet_is_told_once(lent: Lent) -> None:
    """What is typed is yielded, then one empty chunk when nothing follows: an escape alone is a key."""
    lent.enter()
    os.write(lent.master, b"\x1b")
    assert lent.keys.acquire(timeout=30)
    assert lent.ticks.acquire(timeout=30)
    assert lent.heard == b"\x1b"
    assert not lent.ticks.acquire(timeout=0.05)


def test_writing_reaches_the_screen_in_order(lent: Lent) -> None:
    """More than the terminal holds at once comes out whole and in order, while its writer waits only when far ahead."""
    lent.enter()
    text = "".join(f"{number:07d}\n" for number in range(100_000))
    writer = threading.Thread(target=lent.terminal.write, args=(text + "end",))
    writer.start()
    assert lent.read_until(b"end") == text.encode() + b"end"
    writer.join(30)
    assert not writer.is_alive()


def test_a_writer_far_ahead_waits_for_the_terminal(lent: Lent) -> None:
    """Beyond `HIGH_WATER` the app waits instead of painting frames that are stale when they show."""
    lent.enter()
    lent.fill()
    writer = threading.Thread(target=lent.terminal.write, args=("y" * (4 * HIGH_WATER),))
    writer.start()
    writer.join(0.1)
    assert writer.is_alive()
    while writer.is_alive():
        # It may be done with the last of it: then there is nothing more to read, and no end of that.
        if select.select([lent.master], [], [], 0.1)[0]:
            os.read(lent.master, 65536)
    assert lent.terminal.ended is None


@pytest.mark.slow
def test_a_terminal_that_takes_nothing_is_lost(lent: Lent) -> None:
    """When no byte is taken for `STALL_S`, waiting writers are freed, the reader ends, and later writes go nowhere."""
    ended = threading.Event()
    lent.terminal.watch(lambda reason: ended.set(), lambda: None)
    lent.enter()
    lent.fill()
    writer = threading.Thread(target=lent.terminal.write, args=("y" * (2 * HIGH_WATER),))
    writer.start()
    assert ended.wait(30)
    writer.join(30)
    lent.reader.join(30)
    assert (lent.terminal.ended, lent.terminal.restored) == (End.LOST, False)
    lent.terminal.write("z" * (2 * HIGH_WATER))


def test_a_closed_terminal_is_lost_and_its_reader_ends(lent: Lent) -> None:
    """EOF or EIO ends the input thread, which in stock Textual spins, and raises nowhere."""
    reasons: list[End] = []
    lent.terminal.watch(reasons.append, lambda: None)
    lent.enter()
    lent.hang_up()
    lent.reader.join(30)
    assert not lent.reader.is_alive()
    lent.terminal.write("nobody reads this")
    assert reasons == [End.LOST]


def test_a_write_to_a_closed_terminal_is_lost() -> None:
    """The same when it is a write that finds out."""
    lent = Lent()
    lent.hang_up()
    lent.terminal.write("x")
    assert lent.terminal.ended is End.LOST
    lent.terminal.close()
    os.close(lent.slave)


def test_giving_back_restores_modes_and_screen(lent: Lent) -> None:
    """Modes are those from before, and the screen is told to leave whatever a driver entered."""
    lent.enter()
    assert termios.tcgetattr(lent.slave) != lent.before
    assert lent.terminal.end(End.TAKEN_OVER)
    assert termios.tcgetattr(lent.slave) == lent.before
    assert lent.read_until(LEAVE.encode()) == LEAVE.encode()
    assert lent.terminal.restored


def test_what_was_never_entered_is_not_left(lent: Lent) -> None:
    """A terminal whose app never started gets no escape sequences, and no app may enter it any more."""
    lent.terminal.end(End.DETACHED)
    assert not select.select([lent.master], [], [], 0)[0]
    with lent.terminal.entering() as welcome:
        assert not welcome


def test_the_first_reason_counts(lent: Lent) -> None:
    """Ending is once: a later reason changes nothing, and a late watcher is told the first."""
    lent.enter()
    assert lent.terminal.end(End.TAKEN_OVER)
    assert not lent.terminal.end(End.LOST)
    told: list[End] = []
    lent.terminal.watch(told.append, lambda: None)
    assert told == [End.TAKEN_OVER]


def test_after_giving_back_the_shell_owns_it(lent: Lent) -> None:
    """Nothing is written, and no key is read, that is not for the app any more."""
    lent.enter()
    lent.terminal.end(End.DETACHED)
    lent.reader.join(30)
    lent.read_until(LEAVE.encode())
    lent.terminal.write("late")
    os.write(lent.master, b"ls\n")
    assert os.read(lent.slave, 64) == b"ls\n"
    assert b"late" not in lent.read_until(b"ls\r\n")
    assert lent.heard == b""


def test_the_environment_is_assumed_and_forgotten(lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each app sees its terminal's variables, not the last one's, and Textual's constants follow."""
    for name in ("TERM", "NO_COLOR", "ESCDELAY", "COLUMNS", "TEXTUAL_SMOOTH_SCROLL"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("HOME", "/as/it/was")
    lent.terminal.env = {"TERM": "tmux-256color", "ESCDELAY": "25", "LC_TERMINAL": "iTerm2", "LANG": "tlh"}
    lent.terminal.assume()
    assert os.environ["TERM"] == "tmux-256color"
    assert {"NO_COLOR", "COLUMNS"}.isdisjoint(os.environ)
    assert os.environ["HOME"] == "/as/it/was"
    assert os.environ.get("LANG") != "tlh"
    assert (constants.ESCAPE_DELAY, constants.SMOOTH_SCROLL) == (0.025, False)
    lent.terminal.env = {"TERM": "xterm"}
    lent.terminal.assume()
    assert (constants.ESCAPE_DELAY, constants.SMOOTH_SCROLL) == (0.1, True)


def test_a_size_is_kept_and_told(lent: Lent) -> None:
    """Another size is there before the app is told of it."""
    sizes = []
    lent.terminal.watch(lambda reason: None, lambda: sizes.append(lent.terminal.size))
    lent.terminal.resize((40, 10))
    assert sizes == [(40, 10)]
