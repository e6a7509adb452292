"""A real node as a process of this machine: its home, its commands, its API, and its end in any case."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from engine.api.client import Client
from engine.daemon.lock import await_end, holder
from engine.errors import FleetError
from fleet_tui.place import api_socket
from tests.e2e.until import until

ROOT = Path(__file__).parents[2]
COMMAND_S = 100.0


class Ran:
    """What a command left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def value(self) -> Any:
        """Its answer in JSON."""
        return json.loads(self.out)

    @property
    def values(self) -> list[Any]:
        """Its answer in JSON, a value a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, str]:
        """Its error, which must have all five parts."""
        error: dict[str, str] = self.value["error"]
        assert error.keys() - {"retry_after_s"} == {"code", "title", "detail", "next_step", "fault"}, error
        assert error["code"], error
        assert error["title"], error
        assert error["next_step"], error
        assert error["fault"] in {"OURS", "THEIRS", "WORLD"}, error
        return error

    def __repr__(self) -> str:
        return f"exit {self.status}\n{self.out}\n{self.err}"


class Node:
    """One node. `settings`: environment beyond the usual, such as `FLEET_STORE_BALLAST_MB`. `inside`: the command that
    runs another one where this node lives, such as `ip netns exec …`."""

    def __init__(
        self,
        name: str,
        settings: Mapping[str, str] | None = None,
        home: Path | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        self.name, self.inside = name, tuple(inside)
        self.home = home or Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        self.settings = dict(settings or {})

    def __repr__(self) -> str:
        return f"{self.name} in {self.home}"

    # ----------------------------------------------------------------------------------------------- as a person

    def spawn(self, *argv: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """A command, under way."""
        given = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
        given |= {"FLEET_NODE_NAME": self.name, "FLEET_NET_LISTEN": "127.0.0.1", **self.settings, **(env or {})}
        command = [*self.inside, sys.executable, "-m", "fleet_tui", "--home", str(self.home), *argv]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=ROOT, env=given, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def fleet(self, *argv: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Ran:
        """`fleet … --json`, whatever it comes to."""
        process = self.spawn(*argv, "--json", env=env)
        try:
            out, err = process.communicate(stdin, COMMAND_S)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Ran(process.returncode, out, err)

    def must(self, *argv: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Any:
        """The answer of a command that has to succeed."""
        ran = self.fleet(*argv, stdin=stdin, env=env)
        assert ran.status == 0, f"{self.name}: fleet {' '.join(argv)}: {ran}"
        return ran.value

    def up(self, env: Mapping[str, str] | None = None) -> Any:
        """Start it; its status."""
        return self.must("up", env=env)

    def down(self) -> Any:
        """Stop it, draining."""
        return self.must("down")

    # ---------------------------------------------------------------------------------------------- as a program

    @property
    def api(self) -> Client:
        """Its control API."""
        return Client(api_socket(self.home))

    def status(self) -> Any:
        """`GET /status`."""
        return self.api.get("/status")

    def peer(self, name: str) -> Any:
        """How it sees a member, or nothing."""
        return next((one for one in self.status()["peers"] if one["name"] == name), None)

    def sees(self, *others: "Node", channels: Iterable[str] = ("nats", "http")) -> bool:
        """Whether these are alive and these channels to them healthy."""
        seen = {one["name"]: one for one in self.status()["peers"] if one["standing"] == "ALIVE"}
        rows = [seen.get(other.name) for other in others]
        return all(row and all(row["channels"][channel] == "HEALTHY" for channel in channels) for row in rows)

    def post(self, to: str, body: str, **ask: Any) -> Any:
        """Accept a message; its story."""
        return self.api.post("/message", {"to": to, "payload": {"body": body}, **ask})

    def send(self, to: str, body: str, **ask: Any) -> Any:
        """Send a message and wait until its receipt is in; its story."""
        story = self.post(to, body, wait="on_host", timeout=60, **ask)
        assert story["rung"] == "on_host", story
        return story

    def ended(self, msg_id: str) -> Any:
        """The story of a message once each of its tries has its own end, which a receipt may be ahead of."""

        def story() -> Any:
            told = self.api.why(msg_id)
            over = told["tries"] and not {one["outcome"] for one in told["tries"]} & {"flying", "overtaken"}
            return told if over else None

        return until(story, f"every try of {msg_id} to have ended")

    def bulk(self, to: str, bodies: Iterable[str]) -> list[Any]:
        """Accept many, as `send --stdin` does; their stories in order."""
        return list(self.api.stream({"to": to, "payload": {"body": body}} for body in bodies))

    def letters(self) -> list[Any]:
        """Its whole inbox, oldest first."""
        found: list[Any] = []
        while page := self.api.get("/inbox", after=found[-1]["id"] if found else "0", limit=1_000):
            found += page
        return found

    def bodies(self) -> Counter[str]:
        """What its letters say, and how often each came."""
        return Counter(letter["body"] for letter in self.letters())

    def rung(self, msg_id: str) -> str:
        """Where a message of its own is."""
        return str(self.api.why(msg_id)["rung"])

    def refusals(self) -> Counter[tuple[str, str]]:
        """Refused frames by (reason, channel), of those it still lists."""
        return Counter((one["reason"], one["channel"]) for one in self.api.get("/refusals")["last"])

    def refused(self, reason: str) -> int:
        """Frames refused for a reason since it started."""
        return int(self.api.get("/refusals")["counts"].get(reason, 0))

    def metric(self, name: str) -> float:
        """One sample of its metrics; 0 where it is not there yet."""
        samples = dict(line.rsplit(" ", 1) for line in self.api.text("/metrics").splitlines() if line[0] != "#")
        return float(samples.get(name, 0))

    def findings(self) -> dict[str, Any]:
        """What a person should know, by code."""
        return {one["code"]: one for one in self.status()["findings"]}

    def events(self) -> Iterator[tuple[str, Any]]:
        """What happens there from now on; a minute of silence is an error."""
        feed = self.api.events(patience_s=60)
        next(feed)  # the snapshot
        return feed

    # ------------------------------------------------------------------------------------------------ as a force

    @property
    def pid(self) -> int | None:
        """Its process, if it lives."""
        return holder(self.home) if self.home.exists() else None

    @property
    def broker_pid(self) -> int:
        """Its nats-server, 0 while there is none."""
        return int(self.status()["broker"]["pid"])

    def kill(self) -> None:
        """End it as a power cut would."""
        pid = self.pid
        assert pid, f"{self} does not run"
        os.kill(pid, signal.SIGKILL)
        assert await_end(pid, 10)

    def died(self) -> bool:
        """Whether its process is gone."""
        return self.pid is None

    def kill_broker(self) -> int:
        """End its nats-server as a crash would; the pid it had."""

        def killed() -> int:
            # The one it tells of may be dead already, and not missed yet.
            with suppress(ProcessLookupError):
                if pid := self.broker_pid:
                    os.kill(pid, signal.SIGKILL)
                    return pid
            return 0

        return until(killed, f"a broker of {self}")

    def brokers(self) -> list[int]:
        """Every nats-server that runs from its home."""
        return [one.pid for one in psutil.process_iter() if _runs_from(one, self.home)]

    def port(self) -> int:
        """Its peer port: beside the control API's the only one the process itself listens on."""
        pid = self.pid
        assert pid, f"{self} does not run"
        opened = [one for one in psutil.Process(pid).net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        (port,) = {int(one.laddr.port) for one in opened} - {self.status()["api"]["tcp"]}
        return port

    def end(self) -> None:
        """Nothing is left of it: neither node nor broker nor home."""
        with suppress(FleetError, OSError):
            if pid := self.pid:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
                await_end(pid, 10)
        for left in self.brokers():
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


def start(nodes: Sequence[Node]) -> None:
    """Start these, side by side."""
    started = [(node, node.spawn("up", "--json")) for node in nodes]
    for node, process in started:
        out, err = process.communicate(timeout=COMMAND_S)
        assert process.returncode == 0, f"{node}: {out}\n{err}"


def join(nodes: Sequence[Node]) -> None:
    """Bring the others into the first one's fleet, each by an invitation of its own, and wait until all are well."""
    for node in nodes[1:]:
        code = nodes[0].api.post("/invite")["code"]
        node.api.post("/join", {"code": code})
    together(nodes)


@contextmanager
def living(*nodes: Node) -> Iterator[list[Node]]:
    """These in one fleet inside the `with`; nothing of them is left after it, whatever happened."""
    try:
        start(nodes)
        join(nodes)
        yield list(nodes)
    finally:
        for node in nodes:
            node.end()


def together(nodes: Sequence[Node]) -> None:
    """Wait until every one has every other alive, on both direct channels."""
    for node in nodes:
        others = [one for one in nodes if one is not node]
        until(lambda node=node, others=others: node.sees(*others), f"{node.name} to see the others")


def _runs_from(process: psutil.Process, home: Path) -> bool:
    try:
        return process.name() == "nats-server" and str(home / "broker") in " ".join(process.cmdline())
    except psutil.Error:
        return False
