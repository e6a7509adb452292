"""What is configured: can a node start with it (edge)?"""

from engine.configured import configured, in_force, strangers
from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import CONFIG
from engine.model.exam import judged
from engine.model.finding import Finding, Severity


def look(scene: Scene) -> Saw:
    """The file and the variables as they are now; a running node keeps what it read at its start."""
    path = scene.home / CONFIG
    try:
        config = configured(scene.home, scene.environ)
    except FleetError as error:
        what = f"{error.detail}; a start ends with this"
        found = Finding("config.unfit", error.title, Severity.HIGH, what, str(path), error.next_step)
        return judged("it does not fit", [found])
    strange = [_strange(name, meant) for name, meant in strangers(config, scene.environ).items()]
    return judged(in_force(config, path.exists(), scene.environ), strange)


def _strange(name: str, meant: str) -> Finding:
    what = f"{name} is set, and names no key: nothing comes of it"
    step = (
        f"`{meant}` may be meant; `fleet config show` prints every key"
        if meant
        else "`fleet config show` prints every key"
    )
    return Finding("config.variable", "A variable names no key", Severity.INFO, what, name, step)


CHECK = Check("config", "configuration", look)
