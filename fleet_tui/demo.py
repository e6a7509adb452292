"""`fleet demo`: a real fleet of several nodes on this machine (edge).

Each node is a process with its own home, keys, broker and ports, started by `fleet up` and brought together by real
invitations. Nothing of it touches this user's own node: the homes lie in a folder of their own, everything listens on
loopback, and `FLEET_*` settings of the caller are not passed on. The folder holds a mark with the nodes' names, so that
`--stop` ends exactly what `demo` began, and nothing without the mark is ever removed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import fleet_tui
from engine.api.client import Client
from engine.daemon.lock import await_end, holder
from engine.errors import Fault, FleetError
from engine.home import CONFIG
from fleet_tui.place import api_socket

NAMES = ("atlas", "birch", "cedar", "dune", "elm", "fjord", "glen", "heath")
MARK = "demo.json"
MOST = 20
# On a slow machine a node needs seconds to start; nothing waits this long where all is well.
START_S, JOIN_S, STOP_S = 60.0, 60.0, 30.0


class DemoNode:
    """One node of the demo: its name, its home, and its API while it runs."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.home = root / name

    @property
    def api(self) -> Client:
        """The control API of the node."""
        return Client(api_socket(self.home))

    @property
    def pid(self) -> int | None:
        """Its process, or None when it does not run."""
        return holder(self.home) if self.home.exists() else None

    def make(self) -> None:
        """Its home, with what it is told: so it is the same node whoever starts it again."""
        self.home.mkdir(mode=0o700)
        told = f'[node]\nname = "{self.name}"\nfleet = "demo"\n\n[net]\nlisten = "127.0.0.1"\n'
        (self.home / CONFIG).write_text(told, encoding="utf-8")

    def starting(self) -> "subprocess.Popen[str]":
        """`fleet up` on this home, under way."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
        env["FLEET_HOME"] = str(self.home)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_packages()), env.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "fleet_tui", "up", "--json"]
        # A session of its own: a ctrl+c at the terminal is ours to act on, in order.
        return subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )

    def stop(self) -> None:
        """Drain and end it. Raises `FleetError` `demo.stuck` when it does not end."""
        pid = self.pid
        if pid is None:
            return
        with suppress(FleetError):
            self.api.post("/down", {}, STOP_S)
        if not await_end(pid, STOP_S):
            raise _failed("stuck", f"{self.name}, process {pid}, has not ended in {STOP_S:g} s")


class Demo:
    """The nodes under one folder."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self.nodes = [DemoNode(root, name) for name in names]
        self._starting: list[tuple[DemoNode, subprocess.Popen[str]]] = []

    @property
    def first(self) -> DemoNode:
        """The one that founded the fleet and invites."""
        return self.nodes[0]

    def start(self) -> None:
        """Start every node that does not run, all at once. Raises `FleetError`, the first that a node gave."""
        self._starting = [(node, node.starting()) for node in self.nodes if node.pid is None]
        for node, process in self._starting:
            try:
                said, _ = process.communicate(timeout=START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise _failed("start", f"{node.name} has not started in {START_S:g} s") from None
            if process.returncode != 0:
                raise _told(node, said)

    def join(self) -> None:
        """Bring everybody into the first one's fleet, each by an invitation of its own."""
        for node in self.nodes[1:]:
            if len(node.api.get("/peers")) == 0:
                code = self.first.api.post("/invite", {})["code"]
                node.api.post("/join", {"code": code}, JOIN_S)

    def await_together(self) -> None:
        """Until every node has every other ALIVE with a healthy P1."""
        names = {node.name for node in self.nodes}
        for node in self.nodes:
            until(node.api, lambda status: names <= {status["node"]["name"], *_well(status)}, f"{node.name} to see all")

    def end(self) -> None:
        """End every node, asked first and killed if it does not hear, and remove the homes. Brokers end with their
        nodes. A ctrl+c meanwhile changes nothing: what was begun is finished."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for _, process in self._starting:
                # Whoever is only half started cannot be ended yet, and would be left behind.
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=START_S)
            for number in (signal.SIGTERM, signal.SIGKILL):
                _signal([pid for node in self.nodes if (pid := node.pid) is not None], number)
            if (self.root / MARK).exists():
                shutil.rmtree(self.root, ignore_errors=True)
        finally:
            signal.signal(signal.SIGINT, before)


def _signal(pids: Sequence[int], number: int) -> None:
    """Send a signal to all of them, and wait for their ends."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    for pid in pids:
        await_end(pid, STOP_S)


def found(root: Path) -> Demo | None:
    """The demo whose mark lies in `root`."""
    try:
        names = json.loads((root / MARK).read_text(encoding="utf-8"))["nodes"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _failed("mark", f"{root / MARK}: {error}") from None
    return Demo(root, names)


def check_count(count: int, least: int = 1) -> None:
    """Raises `FleetError` `usage.nodes` for what is no number of nodes, or too small a one for what is to be shown."""
    if not least <= count <= MOST:
        said = f"{count}; {least} to {MOST} fit"
        raise FleetError("usage.nodes", "Not a number of nodes", said, "3 show everything", Fault.THEIRS)


def prepared(root: Path, count: int) -> Demo:
    """A new demo in `root`, which must be empty or not exist. Raises `FleetError` `usage.nodes`, `usage.folder`."""
    check_count(count)
    if root.exists() and any(root.iterdir()):
        step = "name another with --home, or remove what is in it"
        raise FleetError("usage.folder", "The folder is not empty", str(root), step, Fault.THEIRS)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise FleetError("usage.folder", "The folder is not yours", str(root), "name another with --home", Fault.THEIRS)
    names = [*NAMES, *(f"node{number}" for number in range(len(NAMES) + 1, MOST + 1))][:count]
    (root / MARK).write_text(json.dumps({"nodes": names}), encoding="utf-8")
    made = Demo(root, names)
    for node in made.nodes:
        node.make()
    return made


def usual_root() -> Path:
    """Where the demo lives unless it is told: short, because its sockets' paths must be."""
    return Path(f"/tmp/fleet-demo-{os.getuid()}")


def until(api: Client, fits: Callable[[Any], bool], what: str, timeout_s: float = 60.0) -> Any:
    """The first status that fits, looked at whenever something happens. Raises `FleetError` `timeout.demo`."""
    deadline = time.monotonic() + timeout_s
    for status in _statuses(api, deadline):
        if fits(status):
            return status
    said, step = f"waited {timeout_s:g} s for {what}", "run it again; a machine that is very busy may need more time"
    raise FleetError("timeout.demo", "It did not happen", said, step, Fault.OURS)


def broker_up(status: Any) -> bool:
    """Whether the node's own broker runs."""
    return bool(status["broker"]["state"] == "up" and status["broker"]["pid"])


def _statuses(api: Client, deadline: float) -> Iterator[Any]:
    """The status now and after each event, until the deadline. Silence ends the feed, and it is asked again."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            for name, data in api.events(patience_s=min(left, 1.0)):
                yield data if name == "snapshot" else api.get("/status")
                if time.monotonic() > deadline:
                    return
        except FleetError as error:
            if error.code != "timeout.api":
                raise


def _well(status: Any) -> Iterator[str]:
    for peer in status["peers"]:
        if peer["standing"] == "ALIVE" and peer["channels"]["nats"] == "HEALTHY":
            yield peer["name"]


def _packages() -> Path:
    return Path(fleet_tui.__file__).parent.parent


def _told(node: DemoNode, said: str) -> FleetError:
    """The error that `fleet up --json` printed, with the node's name before it."""
    try:
        error = json.loads(said)["error"]
    except (ValueError, KeyError):
        return _failed("start", f"{node.name} said nothing; see {node.home / 'log'}")
    detail = f"{node.name}: {error['title']}: {error['detail']}"
    return FleetError(error["code"], "A demo node could not start", detail, error["next_step"], Fault(error["fault"]))


def _failed(code: str, detail: str) -> FleetError:
    return FleetError(f"demo.{code}", "The demo failed", detail, "`fleet demo --stop` cleans up", Fault.OURS)
