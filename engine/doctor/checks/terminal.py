"""The terminal that was lent or that asks: what it can draw, and what tmux would take from it (edge).

Advice, mostly: the control room works in all of these, less well. Where there is no terminal nothing is said.
"""

import subprocess
from collections.abc import Mapping

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity

ASK_S = 3.0
LEAST = (60, 20)
COLOURS = ("truecolor", "24bit")
# tmux server option -> (what is fine, the command, why): measured on tmux 3.3a.
TMUX = {
    "set-clipboard": (("on",), "tmux set -s set-clipboard on", "`y` copies through tmux's buffer only"),
    "focus-events": (
        ("on",),
        "tmux set -s focus-events on",
        "the screen is drawn at full rate behind another pane too",
    ),
    "escape-time": (
        tuple(str(ms) for ms in range(51)),
        "tmux set -s escape-time 10",
        "esc takes that many milliseconds to be heard",
    ),
}


def look(scene: Scene) -> Saw:
    """What the environment and tmux say."""
    env = scene.environ
    if not env.get("TERM") or scene.size == (0, 0):
        return unused("no terminal asks; run `fleet doctor` in one to have it looked at")
    options = _tmux(env) if env.get("TMUX") else {}
    return judged(described(env, scene.size), judge(env, scene.size, options))


def described(env: Mapping[str, str], size: tuple[int, int]) -> str:
    """What it is."""
    colours = (
        "truecolor" if env.get("COLORTERM") in COLOURS else "256 colours" if "256" in env["TERM"] else "16 colours"
    )
    within = ", in tmux" if env.get("TMUX") else ""
    return f"{env['TERM']}, {colours}, {size[0]}×{size[1]}{within}"


def judge(env: Mapping[str, str], size: tuple[int, int], options: Mapping[str, str]) -> list[Finding]:
    """What it cannot do, and what is set so that it cannot."""
    found = []
    if env.get("TERM") == "dumb":
        step = "`fleet --plain` prints instead; or run it in a real terminal"
        found.append(Finding("terminal.dumb", "This terminal cannot paint", Severity.MEDIUM, "TERM=dumb", "", step))
    words = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    if words and "utf" not in words.lower():
        step = "export LC_ALL=C.UTF-8, or `fleet --ascii`"
        title = "The locale is not UTF-8"
        found.append(Finding("terminal.utf8", title, Severity.INFO, f"it is {words}", "", step))
    if size < LEAST or size[1] < LEAST[1]:
        what = f"{size[0]}×{size[1]}; from {LEAST[0]}×{LEAST[1]} on a room has a list and keys"
        found.append(Finding("terminal.small", "The terminal is very small", Severity.INFO, what, "", "make it larger"))
    for option, value in sorted(options.items()):
        fine, command, why = TMUX[option]
        if value not in fine:
            what = f"{option} is {value}: {why}"
            found.append(Finding("terminal.tmux", "tmux could be set better", Severity.INFO, what, option, command))
    return found


def _tmux(env: Mapping[str, str]) -> dict[str, str]:
    """The options, as the server this terminal lies in has them."""
    found: dict[str, str] = {}
    for option in TMUX:
        try:
            ran = subprocess.run(
                ["tmux", "show", "-sv", option],
                env={**env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ASK_S,
                check=False,
                text=True,
            )
        except (OSError, subprocess.TimeoutExpired):
            return found
        if not ran.returncode and ran.stdout.strip():
            found[option] = ran.stdout.strip()
    return found


CHECK = Check("terminal", "terminal", look)
