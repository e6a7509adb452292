"""The git hub of channel P7: can it be listed with what this machine signs in with (edge)."""

import os
import subprocess

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity

DEADLINE_S = 15.0
REFS = "refs/fleet/inbox/*"
# Nobody is asked for a password, neither here nor by ssh.
SILENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=5", "LC_ALL": "C"}


def look(scene: Scene) -> Saw:
    """List its refs."""
    hub = scene.config.git.hub
    if not hub:
        return unused("git.hub is empty; mail never waits in a repository")
    try:
        listed = subprocess.run(
            ["git", "ls-remote", "--", hub, REFS],
            env={**os.environ, **SILENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        return judged("no git", [judge(hub, "git is not installed")])
    except subprocess.TimeoutExpired:
        return judged("no answer", [judge(hub, f"no answer within {DEADLINE_S:.0f} s")])
    if listed.returncode:
        said = listed.stderr.decode(errors="replace").strip().splitlines() or [f"exit {listed.returncode}"]
        return judged("it cannot be listed", [judge(hub, said[-1])])
    return judged(f"{hub} answers, {len(listed.stdout.splitlines())} boxes in it", [])


def judge(hub: str, why: str) -> Finding:
    """It cannot be used now."""
    step = f"`git ls-remote {hub}` must work without a question; then P7 heals by itself"
    return Finding("hub.unreachable", "The git hub cannot be used", Severity.MEDIUM, f"{hub}: {why}", "", step)


CHECK = Check("hub", "git hub (P7)", look, depends_on=("tools",))
