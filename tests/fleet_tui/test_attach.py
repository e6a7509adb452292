"""Stub and node on a pty of the test's own, for what no terminal program does: stop reading, die, lie."""

import os
import pty
import select
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from engine.daemon import lock
from fleet_tui import lending
from fleet_tui.lending import LEAVE
from tests.fleet_tui.test_init import in_a_fresh_process
from tests.fleet_tui.tiny import COMMAND, ask
from tests.house import ROOT

LIMIT_S = 30

slow = pytest.mark.slow


def fleet(home: Path, mode: str = "attach", **environ: str) -> pexpect.spawn:
    """A stub on a terminal of 80x24."""
    env = {**os.environ, "TERM": "xterm-256color", **environ}
    program, *arguments = [*COMMAND, str(home), mode]
    return pexpect.spawn(
        program, arguments, env=env, cwd=str(ROOT), dimensions=(24, 80), timeout=LIMIT_S, encoding="utf-8"
    )


def ending(stub: pexpect.spawn) -> tuple[int | None, str]:
    """Exit status and all that was still shown."""
    shown = stub.read()
    stub.close()
    return stub.exitstatus, shown


def read_until(fd: int, end: bytes) -> None:
    """Read a terminal's master until it shows `end`."""
    seen = b""
    while end not in seen:
        assert select.select([fd], [], [], LIMIT_S)[0], seen
        seen += os.read(fd, 65536)


@pytest.fixture
def lived_in(home: Path) -> Iterator[Path]:
    """A home whose node, if there is one at the end, is stopped."""
    yield home
    pid = lock.holder(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        assert lock.await_end(pid, LIMIT_S)


@pytest.fixture
def node(lived_in: Path) -> Iterator[Path]:
    """A home where a node runs in the foreground, without a terminal."""
    command = [*COMMAND, str(lived_in), "foreground"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield lived_in
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(LIMIT_S)


# --- the stub ---------------------------------------------------------------------------------------------------------


def test_the_stub_is_light() -> None:
    """It starts at once: neither asyncio nor textual nor msgspec nor httpx is imported, nor what comes with them."""
    code = (
        "import fleet_tui.stub; print(sorted({'asyncio','textual','msgspec','httpx','rich','ssl'} & set(sys.modules)))"
    )
    assert in_a_fresh_process(code) == "[]"


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_a_terminal_that_can_only_print_is_refused(home: Path, term: str) -> None:
    """TERM=dumb is refused before any node is started, with what works there."""
    status, shown = ending(fleet(home, TERM=term))
    assert status == 2
    assert f"TERM={term} can only print" in shown
    assert "fleet status" in shown
    assert "--plain" in shown
    assert lock.holder(home) is None


def test_what_is_no_terminal_is_refused(home: Path) -> None:
    """Input from a file or pipe is refused the same way."""
    command = [*COMMAND, str(home), "attach"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "standard input or output is no terminal" in done.stderr
    assert done.stdout == ""


@slow
def test_a_node_that_cannot_start_says_why(lived_in: Path) -> None:
    """The engine's own error reaches the person: title, detail, next step and the exit status of its code."""
    status, shown = ending(fleet(lived_in, "broken"))
    assert status == 1
    assert "The store is broken: a test broke it" in shown
    assert "mend the test" in shown
    assert lock.holder(lived_in) is None


@slow
def test_a_node_that_dies_while_starting_is_told(lived_in: Path) -> None:
    """A node that ends without a word is not waited for."""
    status, shown = ending(fleet(lived_in, "dies"))
    assert status == 1
    assert "The node could not start: it ended without a word" in shown


@slow
def test_two_stubs_at_once_start_one_node(lived_in: Path) -> None:
    """On an empty home the second finds the first one's node; both are served, the later one stays."""
    stubs = [fleet(lived_in), fleet(lived_in)]
    ends = [stub.expect(["taken over", "count"]) for stub in stubs]
    pid = ask(lived_in, "now")["pid"]
    for stub in stubs:
        stub.sendcontrol("z")
    assert {ending(stub)[0] for stub in stubs} == {0}
    assert lock.holder(lived_in) == pid
    assert 1 in ends


@slow
def test_a_home_too_deep_for_a_socket(lived_in: Path) -> None:
    """A path longer than a socket's may be works like any other."""
    deep = lived_in / ("d" * 70) / ("e" * 50)
    stub = fleet(deep, XDG_RUNTIME_DIR=str(lived_in))
    stub.expect("tiny lent 80x24")
    stub.sendcontrol("z")
    assert ending(stub)[0] == 0
    again = fleet(deep, XDG_RUNTIME_DIR="")
    again.expect("tiny lent 80x24")
    again.send("s")
    assert "the node has stopped" in ending(again)[1]


# --- the terminal's misfortunes ---------------------------------------------------------------------------------------


@slow
def test_a_killed_stub_is_a_detach(node: Path) -> None:
    """kill -9 of the stub: the node gives the terminal back as it was and goes on."""
    stub = fleet(node)
    before = termios.tcgetattr(stub.child_fd)
    stub.expect("tiny lent 80x24")
    assert termios.tcgetattr(stub.child_fd) != before
    stub.kill(signal.SIGKILL)
    read_until(stub.child_fd, LEAVE.encode())  # pexpect itself stops reading when its child is dead
    assert termios.tcgetattr(stub.child_fd) == before
    alone = ask(node, "alone")
    assert ask(node, f"past {alone['count'] + 50}")["pid"] == alone["pid"]


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP])
def test_signals_to_the_stub_are_a_detach(node: Path, number: signal.Signals) -> None:
    """Whatever asks the stub to go lets it say goodbye: terminal restored, status 0."""
    stub = fleet(node)
    stub.expect("tiny lent 80x24")
    stub.kill(number)
    stub.expect_exact(LEAVE)
    status, shown = ending(stub)
    assert status == 0
    assert "detached" in shown
    ask(node, "alone")


@slow
def test_a_terminal_that_is_not_read_is_dropped_and_the_engine_never_waits(node: Path) -> None:
    """The app floods a terminal whose reader stands still: the engine counts on, and the terminal is let go.

    When it is read again, the stub restores it and says what happened."""
    stub = fleet(node)
    stub.expect("tiny lent 80x24")
    before = ask(node, "now")
    stub.send("f")
    alone = ask(node, "alone")
    assert alone["pid"] == before["pid"]
    assert alone["count"] - before["count"] >= 100
    status, shown = ending(stub)
    assert status == 0
    assert LEAVE in shown
    assert "the terminal did not answer and was let go" in shown
    again = fleet(node)
    again.expect("tiny lent 80x24")
    again.sendcontrol("z")
    assert ending(again)[0] == 0


@slow
def test_a_hanging_screen_gives_its_terminal_back(node: Path) -> None:
    """An app whose loop hangs is left by ctrl+z alone; whoever comes next is told why, and the node counts on."""
    stub = fleet(node)
    stub.expect("tiny lent 80x24")
    before = ask(node, "now")
    stub.send("h")
    stub.expect("hanging")
    stub.sendcontrol("z")
    stub.expect("detached")  # its pty stays open in the node until the screen ends: there is no end to read up to
    assert stub.wait() == 0
    again = fleet(node)
    again.expect("The last screen has not ended")
    assert again.wait() == 1
    assert "action_hang" in (node / "log" / "fault.log").read_text()
    assert ask(node, f"past {before['count'] + 50}")["pid"] == before["pid"]


@slow
def test_sigterm_does_not_wait_for_a_hanging_screen(node: Path) -> None:
    """A node whose screen hangs still drains and ends when asked to."""
    stub = fleet(node)
    stub.expect("tiny lent 80x24")
    pid = ask(node, "now")["pid"]
    stub.send("h")
    stub.expect("hanging")
    os.kill(pid, signal.SIGTERM)
    stub.expect("the node has stopped")
    assert stub.wait() == 0
    assert lock.await_end(pid, LIMIT_S)
    assert not (node / "run" / "tiny.sock").exists()


# --- stubs that lie ---------------------------------------------------------------------------------------------------


@slow
@pytest.mark.parametrize(
    "words",
    [
        b"not json\n",
        b'{"do": "lend"}\n',
        b'{"do": "size", "size": [80, 24]}\n',
        b'{"do": "lend", "protocol": 1, "size": [80, 24], "env": {}, "options": {}}\n',
        b'{"no": "verb"}\n',
        b"x" * 200_000,
    ],
    ids=["not-json", "bare", "early", "no-descriptor", "no-verb", "endless"],
)
def test_noise_on_the_socket_harms_nobody(node: Path, words: bytes) -> None:
    """Whatever else is said there is hung up on or ignored, and the next stub is served."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(node / "run" / lending.SOCKET))
        with suppress(OSError):
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert sock.recv(65536) == b""
    stub = fleet(node)
    stub.expect("tiny lent 80x24")
    stub.sendcontrol("z")
    assert ending(stub)[0] == 0


@slow
def test_another_protocol_is_refused_with_the_way_out(node: Path) -> None:
    """A stub of another version learns that the node has to be restarted."""
    line = lending.connect(node / "run")
    assert line is not None
    master, slave = pty.openpty()
    line.send({**lending.lend_message((80, 24), {}, {}), "protocol": 2}, [slave])
    select.select([line], [], [], LIMIT_S)
    (answer,), _ = line.receive()
    assert answer["ended"] == "refused"
    assert "fleet restart" in answer["error"]["next_step"]
    line.close()
    os.close(master)
    os.close(slave)


@slow
def test_a_file_instead_of_a_terminal_is_refused(node: Path) -> None:
    """A descriptor that is no terminal is an error for its sender alone."""
    line = lending.connect(node / "run")
    assert line is not None
    with open(os.devnull) as nowhere:
        line.send(lending.lend_message((80, 24), {}, {}), [nowhere.fileno()])
    select.select([line], [], [], LIMIT_S)
    (answer,), _ = line.receive()
    assert answer["error"]["code"] == "terminal.closed"
    line.close()
