"""The smallest fleet that can be lent a terminal: an engine that counts, an app that shows the count.

Run as a program it is `fleet` for the tests: `COMMAND HOME attach|foreground|here|broken|dies`, from the root.
Whoever connects to the engine's socket asks for a condition and is answered when it holds: a test waits for events
and never sleeps.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from engine.daemon.rundir import make_run_dir, run_dir
from fleet_tui.stub import main_attach

COMMAND = [sys.executable, "-m", "tests.fleet_tui.tiny"]
TICK_S = 0.002


class TinyEngine:
    """Counts every 2 ms on a thread of its own and answers questions on `<home>/run/tiny.sock`."""

    def __init__(self, home: Path) -> None:
        self.path = make_run_dir(home) / "tiny.sock"
        self.fleet = 0
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="tiny-engine")

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    async def _live(self) -> None:
        server = await asyncio.start_unix_server(self._answer, self.path)
        self._ready.set()
        while not self._stop.is_set():
            self.fleet += 1
            await asyncio.sleep(TICK_S)
        server.close()
        self.path.unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word, _, argument = (await reader.readline()).decode().strip().partition(" ")
        while not CONDITIONS[word](self, argument):
            await asyncio.sleep(TICK_S)
        writer.write(json.dumps(self.state()).encode())
        writer.close()

    def state(self) -> dict[str, Any]:
        """What a test may want to know of this process."""
        names = [thread.name for thread in threading.enumerate()]
        terminals = [name for fd in os.listdir("/proc/self/fd") if "/pts/" in (name := _target(fd))]
        handlers = {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGTSTP", "SIGCONT", "SIGWINCH")}
        standard = [_target(fd) for fd in ("0", "1", "2")]
        return {
            "pid": os.getpid(),
            "count": self.fleet,
            "threads": names,
            "terminals": terminals,
            "handlers": handlers,
            "standard": standard,
            "sid": os.getsid(0),
        }


CONDITIONS = {
    "now": lambda engine, _: True,
    "past": lambda engine, number: engine.fleet >= int(number),
    "alone": lambda engine, _: not engine.state()["terminals"] and "textual-input" not in engine.state()["threads"],
}


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def ask(home: Path, question: str) -> dict[str, Any]:
    """The engine's state, once what is asked for holds."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(run_dir(home) / "tiny.sock"))
        sock.sendall(question.encode() + b"\n")
        answer = b""
        while part := sock.recv(4096):
            answer += part
    state: dict[str, Any] = json.loads(answer)
    return state


def make_app(engine: Any, terminal: Any) -> Any:
    """An app of one line, and a key for each way to end or to misbehave."""
    from textual.app import App
    from textual.widgets import Static

    class TinyApp(App[str]):
        BINDINGS: ClassVar = [(key, action, "") for key, action in KEYS.items()]

        def compose(self):
            yield Static(id="line")

        def on_mount(self) -> None:
            self.set_interval(0.05, self.show)
            self.show()

        def on_resize(self) -> None:
            self.show()

        def show(self) -> None:
            where = "own" if terminal is None else terminal.options.get("where", "lent")
            line = f"tiny {where} {self.size.width}x{self.size.height} {os.environ['TERM']} count {engine.fleet}"
            self.query_one(Static).update(line)

        def action_leave(self) -> None:
            self.exit()

        def action_stop_node(self) -> None:
            self.exit("stop")

        def action_crash(self) -> None:
            raise RuntimeError("the tiny app broke")

        def action_hang(self) -> None:
            self._driver.write("hanging")
            time.sleep(3600)

        def action_flood(self) -> None:
            self.set_interval(0.01, lambda: self._driver.write("flood " * 2000))

        def action_noise(self) -> None:
            print("noise on stdout")
            os.write(1, b"noise on descriptor 1")

    return TinyApp()


KEYS = {"d": "leave", "s": "stop_node", "x": "crash", "h": "hang", "f": "flood", "n": "noise"}


def broken_engine(home: Path) -> Any:
    from engine.errors import FleetError

    raise FleetError("store.broken", "The store is broken", "a test broke it", "mend the test")


def run_node(home: Path, ready: Any, *, foreground: bool = False, make_engine: Any = TinyEngine) -> int:
    from fleet_tui import node

    return node.run(home, foreground=foreground, make_engine=make_engine, make_app=make_app, ready=ready)


def run_here(home: Path) -> int:
    from fleet_tui import node

    return node.run_here(home, make_engine=TinyEngine, make_app=make_app)


MODES = {
    "attach": lambda home: main_attach(home, run_node, options={"where": "lent"}),
    "broken": lambda home: main_attach(home, lambda home, ready: run_node(home, ready, make_engine=broken_engine)),
    "dies": lambda home: main_attach(home, lambda home, ready: os._exit(7)),
    "foreground": lambda home: run_node(home, lambda: print("ready", flush=True), foreground=True),
    "here": run_here,
}

if __name__ == "__main__":
    sys.exit(MODES[sys.argv[2]](Path(sys.argv[1])))
