"""The node from the command line (edge): up, down, restart, status, metrics."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.daemon import stopped
from engine.daemon.lock import await_end, holder
from engine.errors import Fault, FleetError
from engine.home import CONFIG
from fleet_tui import plain
from fleet_tui.call import Call
from fleet_tui.commands import home
from fleet_tui.launch import Problem, launch
from fleet_tui.place import program, start_command

# Draining is given this long by the node itself; a stop beyond it is stuck.
STOP_S = 60.0


def up(call: Call) -> int:
    """Start the node in the background, and wait until it answers."""
    if not holder(call.home):
        if call.args.unless_stopped and stopped.is_marked(call.home):
            step = "`fleet up` starts it all the same"
            raise FleetError("refused.stopped", "It was stopped on purpose", str(call.home), step)
        if (status := start(call)) is not None:
            call.show(status, [f"{_is_up(status)}.", f"Next: `{program(call.home)}` opens the control room."])
            _tell_of_passing(call)
            return 0
    status = _awaited(call)
    call.show(status, [f"{status['node']['name']} runs already, pid {status['node']['pid']}."])
    return 0


def ensure(call: Call) -> None:
    """Start the node if none runs, and say so beside the output. It comes of a process of its own: a node shows the
    arguments it was begun with to everybody on this machine for as long as it lives, and ours may hold a secret."""
    if holder(call.home):
        return
    done = subprocess.run(
        start_command(call.home, "--json"), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        step = "`fleet up` starts it and tells more"
        raise FleetError("start.crashed", "The node could not start", last, step, Fault.OURS) from None
    if "error" in said:
        raise _raised(said["error"])
    call.tell(f"{_is_up(said)}.")
    _tell_of_passing(call)


def _tell_of_passing(call: Call) -> None:
    """What holds for this start only: a peer that brings the node back knows nothing of this shell."""
    if passing := home.passing(call.home):
        path = call.home / CONFIG
        call.tell(
            f"Of this shell's environment: {', '.join(passing)}. A start from elsewhere, such as a peer's that brings "
            f"this node back, is without; what shall stay belongs into {path}."
        )


def start(call: Call) -> Any:
    """A node that did not run, started and answering: its status; None where somebody else has just started it. Raises
    the `FleetError` that kept it from it."""
    problem = launch(call.home, _run_node)
    if problem is not None and problem["code"] == "home.taken":
        return None
    if problem is not None:
        raise _raised(problem)
    return _awaited(call)


def _is_up(status: Any) -> str:
    return f"{status['node']['name']} is up, pid {status['node']['pid']}"


def _run_node(where: Path, ready: Callable[[], None]) -> int:
    """In the node's own process: only there is any of it imported."""
    from fleet_tui.parts import in_background

    return in_background(where, ready)


def down(call: Call) -> int:
    """Stop the node; what it accepted is delivered or safely stored."""
    left = _stopped(call)
    said = f"; {left['waiting']} waiting in the outbox, safe until the next start" if left["waiting"] else ""
    call.show(left, [f"The node has stopped{said}."])
    return 0


def restart(call: Call) -> int:
    """Stop the node if one runs, and start it. One that could not be started again is not stopped."""
    call.args.unless_stopped = False
    if not holder(call.home):
        return up(call)
    home.check_startable(call.home)
    _stopped(call)
    # Only for a moment, whatever comes of it: a peer may start it, as it may one that crashed.
    stopped.clear(call.home)
    try:
        return up(call)
    except FleetError as error:
        detail = f"{error.detail}; the node is stopped"
        raise FleetError(error.code, error.title, detail, error.next_step, error.fault) from None


def status(call: Call) -> int:
    """This node, its broker, its outbox, its peers."""
    now = call.node.get("/status")
    call.show(now, plain.status(now, call.width))
    return 0


def metrics(call: Call) -> int:
    """Prometheus text; with `--json` the samples by name."""
    text = call.node.text("/metrics")
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    call.show({name: float(value) for name, _, value in samples}, text.splitlines())
    return 0


def _stopped(call: Call) -> dict[str, int | None]:
    """End the node and wait for its end: its pid, how many messages wait, and how many approvals of commands it broke
    off; None where it could not say."""
    pid = holder(call.home)
    if pid is None:
        call.node.get("/health")  # raises `node.absent`
        raise FleetError("node.absent", "No node is running", str(call.home), "start it with `fleet up`")
    left: dict[str, int | None] = {"pid": pid, "waiting": None, "plans": None}
    try:
        left |= call.node.post("/down", {"now": call.args.now}, STOP_S)
        if left["plans"]:
            call.tell(
                "Approved commands of a repair were running: they are broken off, their outcome is unknown. The next "
                "start tells which, and what to do."
            )
    except FleetError as error:
        # A node whose API does not answer still hears a signal, and stops in the same way.
        call.tell(f"{error.title}; asked by signal instead")
        stopped.mark(call.home)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if not await_end(pid, STOP_S):
        step = f"`fleet log` tells what it is doing; `kill -9 {pid}` ends it, and nothing accepted is lost"
        raise FleetError("timeout.stop", "The node has not stopped yet", f"process {pid}", step, Fault.OURS)
    return left


def _awaited(call: Call) -> Any:
    """The status of a node that may only just have started."""
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            found = call.node.get("/status")
        except FleetError as error:
            if error.code != "node.absent" or time.monotonic() > deadline or not holder(call.home):
                raise
            time.sleep(0.02)
        else:
            return found


def _raised(problem: Problem) -> FleetError:
    fault = Fault(problem["fault"])
    return FleetError(problem["code"], problem["title"], problem["detail"], problem["next_step"], fault)
