"""Copying out of a terminal (edge): OSC 52, and tmux's own buffer where tmux swallows it.

Under tmux's default `set-clipboard external` an OSC 52 from inside a pane is lost. `tmux load-buffer -w -` hands the
text to tmux, which writes it to the outer terminal itself. Both are done, and neither can fail loudly.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping

PATIENCE_S = 1.0


def in_tmux(environment: Mapping[str, str]) -> bool:
    """Whether this terminal is a pane of a tmux that can be asked."""
    return bool(environment.get("TMUX")) and shutil.which("tmux") is not None


def load_buffer(text: str, environment: Mapping[str, str]) -> bool:
    """Give `text` to tmux. False when tmux is not there or refused."""
    if not in_tmux(environment):
        return False
    try:
        ended = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=text.encode(),
            env={**os.environ, "TMUX": environment["TMUX"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0
