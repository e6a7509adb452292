"""The git hub of channel P7: can it be listed as the channel lists it (edge).

It is asked with the channel's own way in (the person's ssh, no question asked), so that the two cannot disagree.
"""

import subprocess

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity
from engine.model.hub import flaw
from engine.transports.git import refs
from engine.transports.git.remote import told
from engine.transports.git.repository import environment

DEADLINE_S = 15.0
# What git prints beside the reason: advice, and what ssh remembered.
BESIDE = ("hint:", "warning:")


def look(scene: Scene) -> Saw:
    """List its refs."""
    hub = scene.config.git.hub
    if not hub:
        return unused("git.hub is empty; mail never waits in a repository")
    if why := flaw(hub):
        return judged("it cannot be a hub", [judge(hub, why)])
    try:
        ssh = _git(scene, "config", "--get", "core.sshCommand").stdout.decode(errors="replace").strip()
        listed = _git(scene, "ls-remote", "--", told(hub), f"{refs.INBOX}/*", ssh=ssh)
    except FileNotFoundError:
        return judged("no git", [judge(hub, "git is not installed")])
    except subprocess.TimeoutExpired:
        return judged("no answer", [judge(hub, f"no answer within {DEADLINE_S:.0f} s")])
    if listed.returncode:
        why = reason(listed.stderr.decode(errors="replace")) or f"git ended with {listed.returncode}"
        return judged("it cannot be listed", [judge(hub, why)])
    return judged(f"{hub} answers, {len(listed.stdout.splitlines())} boxes in it", [])


def _git(scene: Scene, *words: str, ssh: str = "") -> "subprocess.CompletedProcess[bytes]":
    """In no repository: what one around our home says is not about the hub."""
    return subprocess.run(
        ["git", *words],
        cwd=scene.home,
        env={**environment(ssh), "GIT_CEILING_DIRECTORIES": str(scene.home.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


def reason(said: str) -> str:
    """Why, of all that git printed: what ssh said before git gave up, else git's own first word; never the advice that
    follows, which is the same for every reason."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if not line.lower().startswith(BESIDE)]
    fatal = next((number for number, line in enumerate(lines) if line.startswith("fatal:")), None)
    if fatal is None:
        return lines[-1] if lines else ""
    return lines[fatal - 1] if fatal else lines[0]


def judge(hub: str, why: str) -> Finding:
    """It cannot be used now."""
    step = f"`git ls-remote {hub}` must work without a question; then P7 heals by itself"
    return Finding("hub.unreachable", "The git hub cannot be used", Severity.MEDIUM, f"{hub}: {why}", "", step)


CHECK = Check("hub", "git hub (P7)", look, depends_on=("tools",))
