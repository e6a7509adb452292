"""The node's process: does it run, as what, and where does it answer (edge)."""

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.home import RUN
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity


def look(scene: Scene) -> Saw:
    """Pid, version, and the folder of its sockets."""
    if not scene.pid:
        return unused("no node runs here (`fleet up` starts it); what only a running one can tell was not looked at")
    said = f"pid {scene.pid}, version {scene.running or scene.version}"
    return judged(said, [*judge(scene.running, scene.version, bool(scene.fleet)), *_folder(scene)])


def judge(running: str, program: str, answers: bool) -> list[Finding]:
    """A node that does not answer, or that is another version than the program that asks."""
    if not answers and not running:
        what = "its process lives, but its API does not answer"
        step = "`fleet log` tells what it is doing; `fleet restart` starts it anew"
        title, under = "The node does not answer", ("daemon.run",)
        return [Finding("daemon.deaf", title, Severity.CRITICAL, what, "", step, under)]
    if running and running != program:
        what = f"it runs {running}, this program is {program}"
        step = "fleet restart"
        return [Finding("daemon.version", "The node is another version", Severity.MEDIUM, what, next_step=step)]
    return []


def _folder(scene: Scene) -> list[Finding]:
    """The folder of its sockets must be there, or a link to one that is shorter to name; who may reach it is seen with
    the rest of the home."""
    folder = scene.home / RUN
    if folder.exists():
        return []
    what = f"{folder} is not there; nobody can ask the node for anything"
    step = "fleet restart"
    return [Finding("daemon.run", "The socket folder is gone", Severity.HIGH, what, next_step=step)]


CHECK = Check("daemon", "the node itself", look)
