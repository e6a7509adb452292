"""`fleet`, as its terminal sees it: a process of about 45 ms that lends the terminal and waits (edge).

    no node? launch one -> lend the terminal -> forward sizes -> told why it ended -> restore -> one line, exit

It imports neither asyncio nor textual nor msgspec. While the terminal is lent it touches it only if the node could not
put it back itself: because the terminal was stalled, or because the node is gone. ctrl+c, ctrl+z and SIGTERM, wherever
they come from, ask the node to detach; a killed stub is a detach too, for the node sees its line end.
"""

import os
import select
import signal
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.daemon.lock import await_end, holder
from engine.daemon.rundir import run_dir
from fleet_tui import lending
from fleet_tui.launch import Problem, RunNode, launch
from fleet_tui.lending import LEAVE, End, Line, Message
from fleet_tui.place import program

ATTEMPTS = 3  # a node that is just stopping is outlived twice at most
STOPPING_S = 20.0  # how long a node may drain while a stub waits to start the next one
GOODBYE_S = 2.0  # how long the node may take to answer a detach before the stub leaves by itself
UNFIT = ("", "dumb", "unknown")

NOTICES = {
    End.DETACHED: "detached; the node goes on, `{fleet}` attaches again",
    End.TAKEN_OVER: "taken over by another terminal{by}; the node goes on",
    End.LOST: "the terminal did not answer and was let go; the node goes on, `{fleet}` attaches again",
    End.STOPPED: "the node has stopped",
    End.CRASHED: "the screen crashed and the node goes on; `{fleet}` opens a new one. Traceback: {log}",
}
WENT_WRONG = (End.CRASHED,)


def main_attach(
    home: Path,
    run_node: RunNode,
    *,
    environ: Mapping[str, str] = os.environ,
    options: Mapping[str, str] | None = None,
) -> int:
    """Open the control room of `home`'s node on this terminal; returns the exit status once the terminal is back.

    `options` reach the app through `Terminal.options`. `run_node` is called in a new process if no node runs.
    """
    line_or_problem = _unfit(environ) or _reach(home, run_node)
    if not isinstance(line_or_problem, Line):
        return _complain(line_or_problem)
    return _Stub(line_or_problem, home).lend(environ, options or {})


def _unfit(environ: Mapping[str, str]) -> Problem | None:
    """Why no app can be shown here, before anything is started."""
    if not (os.isatty(0) and os.isatty(1)):
        return _unfit_because("standard input or output is no terminal")
    if environ.get("TERM", "") in UNFIT:
        return _unfit_because(f"TERM={environ.get('TERM', '')} can only print")
    if os.tcgetpgrp(0) != os.getpgrp():
        return _unfit_because("this job is in the background")
    return None


def _reach(home: Path, run_node: RunNode) -> Line | Problem:
    """The line to the node, which is started if there is none."""
    problem: Problem | None = None
    for _ in range(ATTEMPTS):
        if line := lending.connect(run_dir(home)):
            return line
        problem = launch(home, run_node)
        if problem is None or problem["code"] != "home.taken":
            break
        # Somebody else's node: either it has begun to listen meanwhile, or it is on its way out.
        if line := lending.connect(run_dir(home)):
            return line
        if (pid := holder(home)) is not None and not await_end(pid, STOPPING_S):
            break
    return problem or lending.connect(run_dir(home)) or _gone(home)


class _Stub:
    """One terminal while it is lent."""

    def __init__(self, line: Line, home: Path) -> None:
        self._line, self._home = line, home
        self._modes = termios.tcgetattr(0)
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)

    def lend(self, environ: Mapping[str, str], options: Mapping[str, str]) -> int:
        """Lend, wait, restore, explain."""
        for number in (signal.SIGWINCH, signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        try:
            self._line.send(lending.lend_message(_size(), environ, options), [0])
            ended = self._wait()
        except OSError:
            ended = None
        self._restore(ended)
        self._line.close()
        return _explain(ended, self._home)

    def _wait(self) -> Message | None:
        """What the node says at the end; None if it is gone without a word."""
        patience: float | None = None
        line = self._line.fileno()
        while True:
            ready, _, _ = select.select([line, self._woken], [], [], patience)
            if not ready:
                return {"ended": End.DETACHED, "restored": False}
            if self._woken in ready and self._forward(os.read(self._woken, 64)):
                patience = GOODBYE_S
            if line in ready:
                messages, open_ = self._line.receive()
                if messages or not open_:
                    return messages[0] if messages else None

    def _forward(self, signals: bytes) -> bool:
        """Tell the node what the signals mean; whether one of them is a goodbye."""
        if signal.SIGWINCH in signals:
            self._line.send({"do": "size", "size": _size()})
        goodbye = any(number != signal.SIGWINCH for number in signals)
        if goodbye:
            self._line.send({"do": "detach"})
        return goodbye

    def _restore(self, ended: Message | None) -> None:
        """The screen only if the node could not; the modes always, for they cost nothing."""
        try:
            termios.tcsetattr(0, termios.TCSANOW, self._modes)
            if not (ended and ended["restored"]):
                os.write(1, LEAVE.encode())
        except (OSError, termios.error):
            pass  # the terminal is gone: there is nothing to restore


def _explain(ended: Message | None, home: Path) -> int:
    if ended is None:
        return _complain(_gone(home))
    if "error" in ended:
        return _complain(ended["error"])
    reason = End(ended["ended"])
    by = f" ({ended['by']})" if "by" in ended else ""
    _tell(NOTICES[reason].format(fleet=program(home), by=by, log=ended.get("log", "")))
    return 1 if reason in WENT_WRONG else 0


def _complain(problem: Problem) -> int:
    _tell(f"{problem['title']}: {problem['detail']}\n  {problem['next_step']}")
    return int(problem["exit"])


def _tell(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(f"fleet: {text}", file=sys.stderr, flush=True)


def _size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return 0, 0
    return size.columns, size.lines


def _unfit_because(detail: str) -> Problem:
    return {
        "code": "usage.terminal",
        "title": "The control room cannot open here",
        "detail": detail,
        "next_step": "`fleet status` prints the same facts once, `fleet --plain` shows them without painting",
        "fault": "THEIRS",
        "exit": 2,
    }


def _gone(home: Path) -> Problem:
    return {
        "code": "node.gone",
        "title": "The node ended unexpectedly",
        "detail": f"{home / 'log' / 'fault.log'} and {home / 'log' / 'node.log'} tell how far it came",
        "next_step": "`fleet` starts it again; what it had accepted is kept",
        "fault": "OURS",
        "exit": 1,
    }
