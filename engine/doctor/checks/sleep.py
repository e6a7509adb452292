"""Sleep, on macOS alone: a machine that sleeps with its lid is away, and network wake has to be allowed (edge)."""

import re
import subprocess

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged, unknown
from engine.model.finding import Finding, Severity

ASK_S = 5.0


def look(scene: Scene) -> Saw:
    """What `pmset` says."""
    try:
        ran = subprocess.run(
            ["pmset", "-g", "custom"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return unknown("pmset does not answer")
    settings = read(ran.stdout)
    return judged(", ".join(f"{key} {value}" for key, value in sorted(settings.items())), judge(settings))


def read(said: str) -> dict[str, int]:
    """The settings on mains power."""
    mains = said.partition("AC Power:")[2] or said
    return {key: int(value) for key, value in re.findall(r"^\s*(sleep|womp|disksleep)\s+(\d+)", mains, re.M)}


def judge(settings: dict[str, int]) -> list[Finding]:
    """A machine that sleeps and cannot be woken."""
    if settings.get("sleep", 0) and not settings.get("womp", 0):
        what = f"it sleeps after {settings['sleep']} min on mains power, and no packet wakes it (P6)"
        step = "sudo pmset -c womp 1; or `sudo pmset -c sleep 0` to keep it up"
        return [Finding("sleep.deaf", "This machine sleeps unreachably", Severity.LOW, what, next_step=step)]
    return []


CHECK = Check("sleep", "sleep and wake (P6)", look, platforms=("darwin",))
