"""Starting a node in the background and hearing whether it could (edge).

    this process --fork--> session leader --fork--> the node         a pipe leads back from the node
                 <------------ {"ready": pid} or {"error": …} --------

The node gets a session of its own before any thread or loop exists, so neither SIGHUP nor job control ever reaches it,
and descriptors of its own. The wait ends with the pipe: at its word, or at the end of the node, whichever comes first.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Be the node of a home in this process, call back when ready, return the exit status: `fleet_tui.node.run`, with parts.
RunNode = Callable[[Path, Callable[[], None]], int]
Problem = Mapping[str, Any]  # a `FleetError` as plain JSON, and `exit`


def launch(home: Path, run_node: RunNode) -> Problem | None:
    """Start `home`'s node and wait until it is ready. None, or why it could not. This process must have one thread."""
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            _live(home, run_node, says)
        os._exit(0)
    os.close(says)
    os.waitpid(child, 0)
    with open(heard, encoding="utf-8") as pipe:
        word = pipe.readline()
    return _problem(word, home)


def _live(home: Path, run_node: RunNode, says: int) -> None:
    """The node's whole life. Never returns into the caller's frames, which are a copy of another program's."""
    status = 1
    try:
        _own_descriptors(says)
        status = run_node(home, lambda: _say(says, {"ready": os.getpid()}))
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: whatever it was is told
        problem = _described(error, home)
        status = problem["exit"]
        _say(says, {"error": problem})
    finally:
        os._exit(status)


def _own_descriptors(says: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.closerange(3, says)
    os.closerange(says + 1, os.sysconf("SC_OPEN_MAX"))


def _say(says: int, word: Mapping[str, Any]) -> None:
    """One line, then the end; a second word is for nobody."""
    try:
        os.write(says, json.dumps(word).encode() + b"\n")
        os.close(says)
    except OSError:
        pass  # who started us has gone, or has heard enough


def _problem(word: str, home: Path) -> Problem | None:
    if not word:
        return _unexpected(f"it ended without a word; the end of {home / 'log' / 'fault.log'} may know more")
    problem: Problem | None = json.loads(word).get("error")
    return problem


def _described(error: BaseException, home: Path) -> dict[str, Any]:
    from engine.errors import FleetError
    from fleet_tui.crash import save_crash
    from fleet_tui.reception import told

    if isinstance(error, FleetError):
        return told(error)
    try:
        return _unexpected(f"the traceback is in {save_crash(home, error)}")
    except OSError as why:
        return _unexpected(f"{type(error).__name__}, and no traceback could be saved: {why}")


def _unexpected(detail: str) -> dict[str, Any]:
    return {
        "code": "start.crashed",
        "title": "The node could not start",
        "detail": detail,
        "next_step": "`fleet --daemon` starts it in the foreground and shows its log",
        "fault": "OURS",
        "exit": 1,
    }
