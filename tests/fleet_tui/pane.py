"""A pane of a real tmux, for tests: what it shows is waited for by its output, never by a clock."""

import os
import select
import shlex
import subprocess
import tempfile
from pathlib import Path

LIMIT_S = 30.0


class Pane:
    """One detached tmux server with one window of `size`, running `command` in a shell."""

    def __init__(self, command: str, size: tuple[int, int] = (100, 20), environ: dict[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fl", dir="/tmp")
        self._fifo = Path(self._folder.name) / "output"
        os.mkfifo(self._fifo)
        self._output = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        self._server = f"fl{os.getpid()}-{id(self)}"
        width, height = map(str, size)
        clean = {name: value for name, value in os.environ.items() if name not in ("TMUX", "COLORTERM", "NO_COLOR")}
        waiting = f"read -r _; {command}"  # until the pipe is in place, so that no output is missed
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, waiting, environ=clean)
        self.tmux("pipe-pane", f"cat > {shlex.quote(str(self._fifo))}")
        for name, value in (environ or {}).items():
            self.tmux("set-environment", name, value)
        self.keys("Enter")

    def tmux(self, *arguments: str, environ: dict[str, str] | None = None) -> str:
        command = ["tmux", "-L", self._server, *arguments]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60).stdout

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def until(self, *texts: str) -> str:
        """What the pane shows, once all of `texts` are in it."""
        while True:
            shown = self.text()
            if all(text in shown for text in texts):
                return shown
            if not select.select([self._output], [], [], LIMIT_S)[0]:
                raise AssertionError(f"never showed {texts}:\n{shown}")
            os.read(self._output, 65536)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._server, "kill-server"], capture_output=True, timeout=60, check=False)
        os.close(self._output)
        self._folder.cleanup()
