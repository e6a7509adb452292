"""What is configured: can a node start with it (edge)?"""

from engine.configured import configured
from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import CONFIG
from engine.model.exam import judged, well
from engine.model.finding import Finding, Severity


def look(scene: Scene) -> Saw:
    """The file and the variables as they are now; a running node keeps what it read at its start."""
    path = scene.home / CONFIG
    try:
        configured(scene.home, scene.environ)
    except FleetError as error:
        what = f"{error.detail}; a start ends with this"
        found = Finding("config.unfit", error.title, Severity.HIGH, what, str(path), error.next_step)
        return judged("it does not fit", [found])
    return well(f"{path} fits" if path.exists() else "the defaults are in force")


CHECK = Check("config", "configuration", look)
