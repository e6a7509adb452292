"""Real tmux servers for tests: each under its own name, gone with its test."""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from engine.transports.text.tmux import Pane, identify

HERE = Path(__file__).parent


class Tmux:
    """One tmux server of 100x30. `name`: start another one of the same name."""

    def __init__(self, name: str = ""):
        self.name = name or f"fl{uuid.uuid4().hex[:12]}"
        self._folder = tempfile.TemporaryDirectory(prefix="fl", dir="/tmp", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)

    def __call__(self, *argv: str) -> str:
        """A tmux command's output."""
        env = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        command = ["tmux", "-L", self.name, "-f", "/dev/null", "-u", *argv]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        return ran.stdout.rstrip("\n")

    def run(self, command: str) -> str:
        """A session with this command; its pane. A server of the same name that is about to end takes no session."""
        deadline = time.monotonic() + 30
        while True:
            self("new-session", "-d", "-x", "100", "-y", "30", command)
            if panes := self("list-panes", "-a", "-F", "#{pane_id}").splitlines():
                return panes[-1]
            assert time.monotonic() < deadline, "tmux does not start"
            time.sleep(0.05)

    def shell(self) -> str:
        """A session with a plain bash; its pane."""
        return self.run("env -i PS1='$ ' TERM=screen HOME=/ PATH=/usr/bin:/bin bash --norc --noprofile")

    def agent(self, capture: str = "claude-idle") -> str:
        """A session with something that looks like an agent; its pane."""
        os.mkfifo(self.folder / "fifo")
        self.said.touch()
        words = [str(HERE / "imitator.py"), capture, str(self.folder / "fifo"), str(self.said)]
        name = capture.partition("-")[0]
        return self.run(f"exec bash -c 'exec -a {name} {sys.executable} {' '.join(words)}'")

    def tell(self, line: str) -> None:
        """A wish of the test to the imitator."""
        with (self.folder / "fifo").open("w") as fifo:
            fifo.write(f"{line}\n")

    @property
    def said(self) -> Path:
        """What was said to the imitator, a line each."""
        return self.folder / "said"

    @property
    def socket(self) -> str:
        """Where the server listens."""
        return self("display-message", "-p", "#{socket_path}")

    async def pane(self, pane: str) -> Pane:
        """A pane as P8 sees it."""
        return Pane(self.socket, pane, await identify(self.socket, pane))

    def text(self, pane: str) -> str:
        """What a pane shows, wrapped lines joined."""
        return self("capture-pane", "-p", "-J", "-t", pane)

    def close(self) -> None:
        """Nothing is left."""
        self("kill-server")
        self._folder.cleanup()
