"""Room on the disk of the home: enough that nothing is refused, and files can still be made (edge)."""

from engine.doctor.check import Check, Saw
from engine.doctor.gauge import room
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.model import vitals
from engine.model.exam import judged, unknown
from engine.model.finding import Finding


def look(scene: Scene) -> Saw:
    """How much is left, and whether it is enough."""
    free_mb, inodes, disk_mb = room(scene.home)
    if free_mb < 0:
        return unknown(f"the disk of {scene.home} tells nothing of itself")
    store = scene.config.store
    now = vitals.Vitals(free_mb, inodes, home=str(scene.home), platform=scene.platform, disk_mb=disk_mb)
    found = vitals.disk(now, store.ballast_mb, store.resume_mb)
    return judged(f"{free_mb:,} MB free", found)


def fix(scene: Scene, finding: Finding) -> str:
    """Forget what is settled and older than is kept, as the node does once an hour; what that freed."""
    prune = scene.deeds.get("prune")
    if prune is None:
        raise FleetError("node.absent", "No node is running", "only a running node tidies its store", "fleet up")
    before_mb, gone = room(scene.home)[0], prune()
    days = scene.config.store.keep_days
    if not gone:
        return f"nothing was freed: no settled mail is older than {days} days"
    freed = f"{before_mb:,} MB were free, {room(scene.home)[0]:,} MB are now"
    return f"{gone} settled message{'s' if gone != 1 else ''} older than {days} days forgotten; {freed}"


CHECK = Check("disk", "disk space", look, fix)
