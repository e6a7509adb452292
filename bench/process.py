"""What a process costs, as the kernel counts it (edge; Linux)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.broker import machine

MB = 1024

# A process that only has a loop: what nobody who uses asyncio can go below.
BARE = "import asyncio; asyncio.run(asyncio.sleep(3600))"


def child(*command: str, **options: Any) -> "subprocess.Popen[bytes]":
    """A quiet process that the kernel ends with us, however we end."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, preexec_fn=machine.dies_with_us(), **{**quiet, **options})


def rss_mb(pid: int) -> float:
    """Resident memory."""
    return _status_kb(pid, "VmRSS") / MB


def cpu_s(pid: int) -> float:
    """Processor seconds of all its threads so far, to the nanosecond."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


def bare() -> "subprocess.Popen[bytes]":
    """The control: a bare asyncio process."""
    return child(sys.executable, "-c", BARE)


def _status_kb(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(field)
