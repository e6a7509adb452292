"""The lent terminal end to end, in a real tmux: a stub, a node, an engine that counts, an app of one line."""

import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.daemon import lock
from tests.fleet_tui.pane import Pane
from tests.fleet_tui.tiny import COMMAND, ask
from tests.house import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux")]

Open = Callable[..., Pane]


def fleet(home: Path, mode: str = "attach") -> str:
    """The shell's line: run it, tell its exit status, and show that the shell can go on."""
    command = shlex.join([*COMMAND, str(home), mode])
    return f"cd {ROOT}; {command}; echo EXIT $?; stty -a | tr ' ' '\\n' | grep -x -e -*icanon -e -*echo; cat"


@pytest.fixture
def open_pane() -> Iterator[Open]:
    panes: list[Pane] = []

    def opened(command: str, size: tuple[int, int] = (100, 20)) -> Pane:
        panes.append(Pane(command, size))
        return panes[-1]

    yield opened
    for pane in panes:
        pane.close()


@pytest.fixture
def lived_in(home: Path) -> Iterator[Path]:
    """A home whose node, if there is one at the end, is stopped."""
    yield home
    pid = lock.holder(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        assert lock.await_end(pid, 30)


def counts_on(home: Path, state: dict[str, int]) -> dict[str, int]:
    """The same process, and it counts on."""
    later = ask(home, f"past {state['count'] + 50}")
    assert later["pid"] == state["pid"]
    return later


def test_attach_detach_attach(lived_in: Path, open_pane: Open) -> None:
    """`fleet` starts a node and shows it; detached, the shell has its terminal again; later the same node is back."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent 100x20 tmux-256color count")
    state = ask(lived_in, "now")
    pane.keys("d")
    shown = pane.until("EXIT 0", "\nicanon", "\necho", "detached; the node goes on")
    assert "tiny lent" not in shown
    pane.keys("typed", "Enter")
    pane.until("typed\ntyped")
    alone = ask(lived_in, "alone")
    assert alone["standard"] == ["/dev/null"] * 3
    again = open_pane(fleet(lived_in))
    again.until("tiny lent")
    counts_on(lived_in, state)
    assert ask(lived_in, "now")["handlers"] == alone["handlers"]


def test_ctrl_z_and_ctrl_c_reach_no_process(lived_in: Path, open_pane: Open) -> None:
    """ctrl+z detaches instead of suspending; ctrl+c is a key for the app, and the node runs on."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent")
    state = ask(lived_in, "now")
    pane.keys("C-c")
    pane.keys("C-z")
    pane.until("EXIT 0", "detached")
    counts_on(lived_in, state)


def test_the_node_has_a_session_and_descriptors_of_its_own(lived_in: Path, open_pane: Open) -> None:
    """While its terminal is lent, the node's descriptors 0 to 2 are /dev/null, and what is printed is nowhere."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent")
    state = ask(lived_in, "now")
    assert state["standard"] == ["/dev/null"] * 3
    assert len(state["terminals"]) == 1
    assert state["sid"] not in (os.getsid(0), state["pid"])
    pane.keys("n")
    counts_on(lived_in, state)
    assert "noise" not in pane.text()


def test_a_killed_pane_is_a_detach(lived_in: Path, open_pane: Open) -> None:
    """kill-pane closes the terminal under the app: its input thread ends, where stock Textual spins, and the node
    counts on."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent")
    state = ask(lived_in, "now")
    pane.tmux("kill-server")
    alone = ask(lived_in, "alone")
    assert alone["pid"] == state["pid"]
    assert "textual-output" not in alone["threads"]
    counts_on(lived_in, alone)
    again = open_pane(fleet(lived_in))
    again.until("tiny lent")
    counts_on(lived_in, state)


def test_a_second_terminal_takes_over(lived_in: Path, open_pane: Open) -> None:
    """The newest terminal has the node; the other's shell is told by whom, and gets its screen back."""
    first = open_pane(fleet(lived_in))
    first.until("tiny lent 100x20")
    state = ask(lived_in, "now")
    second = open_pane(fleet(lived_in), (80, 24))
    second.until("tiny lent 80x24")
    shown = first.until("EXIT 0", "taken over by another terminal (/dev/pts/")
    assert "tiny lent" not in shown
    counts_on(lived_in, state)


def test_a_window_of_40_by_10(lived_in: Path, open_pane: Open) -> None:
    """A new size goes from the stub to the app, small or large."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent 100x20")
    pane.tmux("resize-window", "-x", "40", "-y", "10")
    pane.until("tiny lent 40x10")
    pane.tmux("resize-window", "-x", "120", "-y", "40")
    pane.until("tiny lent 120x40")


def test_a_crashed_screen_leaves_a_traceback_and_the_node(lived_in: Path, open_pane: Open) -> None:
    """The shell gets its terminal, the file's name and status 1; the next `fleet` opens a new screen of this node."""
    pane = open_pane(fleet(lived_in), (160, 20))
    pane.until("tiny lent")
    state = ask(lived_in, "now")
    pane.keys("x")
    shown = pane.until("EXIT 1", "\nicanon", "the screen crashed")
    found = re.search(r"Traceback: (\S+\.txt)", shown)
    assert found
    assert "RuntimeError: the tiny app broke" in Path(found[1]).read_text()
    again = open_pane(fleet(lived_in))
    again.until("tiny lent")
    counts_on(lived_in, state)


def test_a_killed_node_is_named(lived_in: Path, open_pane: Open) -> None:
    """kill -9 of the node under an open screen: the stub restores the terminal itself and names the logs."""
    pane = open_pane(fleet(lived_in), (160, 20))
    pane.until("tiny lent")
    os.kill(ask(lived_in, "now")["pid"], signal.SIGKILL)
    shown = pane.until("EXIT 1", "\nicanon", "\necho", "ended unexpectedly", "fault.log")
    assert "tiny lent" not in shown


def test_stopping_the_node_from_its_screen(lived_in: Path, open_pane: Open) -> None:
    """An app that exits with `STOP` ends the node as well, drained."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent")
    pid = ask(lived_in, "now")["pid"]
    pane.keys("s")
    pane.until("EXIT 0", "the node has stopped")
    assert lock.await_end(pid, 30)
    assert lock.holder(lived_in) is None


def test_sigterm_drains_and_stops(lived_in: Path, open_pane: Open) -> None:
    """SIGTERM while a screen is open: the terminal is given back, the engine stopped, the socket gone."""
    pane = open_pane(fleet(lived_in))
    pane.until("tiny lent")
    pid = ask(lived_in, "now")["pid"]
    os.kill(pid, signal.SIGTERM)
    pane.until("EXIT 0", "\nicanon", "the node has stopped")
    assert lock.await_end(pid, 30)
    assert not (lived_in / "run" / "tiny.sock").exists()
    assert not (lived_in / "run" / "tty.sock").exists()


def test_a_daemon_of_the_same_session_is_not_stopped(lived_in: Path, open_pane: Open) -> None:
    """`fleet --daemon &`, then `fleet` in the same terminal: job control does not stop the node that paints there."""
    daemon = shlex.join([*COMMAND, str(lived_in), "foreground"])
    ready = f"{lived_in}/ready"
    background = f"cd {ROOT}; set -m; mkfifo {ready}; {daemon} 2>/dev/null >{ready} & read -r _ <{ready}; "
    pane = open_pane(background + fleet(lived_in))
    pane.until("tiny lent")
    state = ask(lived_in, "now")
    pane.keys("d")
    pane.until("EXIT 0", "detached")
    counts_on(lived_in, state)


def test_no_detach_runs_in_the_terminals_own_process(lived_in: Path, open_pane: Open) -> None:
    """`--no-detach` is one process on Textual's own driver: another `fleet` is told so, and leaving ends the node."""
    pane = open_pane(fleet(lived_in, "here"))
    pane.until("tiny own 100x20")
    pid = ask(lived_in, "now")["pid"]
    other = open_pane(fleet(lived_in), (160, 20))
    other.until("EXIT 1", "The control room is open elsewhere")
    pane.keys("d")
    pane.until("EXIT 0")
    assert lock.await_end(pid, 30)


def test_no_detach_drains_when_its_terminal_goes(lived_in: Path, open_pane: Open) -> None:
    """A killed pane stops the engine properly instead of leaving a process that spins."""
    pane = open_pane(fleet(lived_in, "here"))
    pane.until("tiny own")
    pid = ask(lived_in, "now")["pid"]
    pane.tmux("kill-server")
    assert lock.await_end(pid, 30)
    assert not (lived_in / "run" / "tiny.sock").exists()
