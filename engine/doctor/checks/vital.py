"""The node's own health: how its loop keeps up, and how many descriptors are left (edge)."""

from engine.doctor.check import Check, Saw
from engine.doctor.gauge import measure
from engine.doctor.scene import Scene
from engine.model import vitals
from engine.model.exam import judged, unused


def lag(scene: Scene) -> Saw:
    """Whether the engine's loop stands still, or is behind."""
    if scene.fleet is None:
        return unused("a running node measures it")
    watch, config = scene.fleet.watch, scene.config.watch
    last = watch.stalls[-1][1] if watch.stalls else 0.0
    # The watchdog holds what a minute of stalls means; here is what it has told, and what waits now.
    told = [one for key, one in scene.fleet.findings.items() if key[0] == "loop.lag"]
    backlog = watch.vitals.backlog
    said = f"{backlog} signal{' waits' if backlog == 1 else 's wait'}" + (
        f", last stall {last:.1f} s" if last else ", no stall"
    )
    return judged(said, [*told, *vitals.backlog(backlog, config.backlog)])


def descriptors(scene: Scene) -> Saw:
    """How many files and sockets are open, of how many."""
    if not scene.pid:
        return unused("a running node has them")
    none_left = scene.fleet is not None and scene.fleet.watch.vitals.none_left
    now = measure(scene.home, process=scene.pid, none_left=none_left)
    found = vitals.descriptors(now, scene.config.watch.descriptors)
    return judged(f"{now.descriptors} of {now.descriptor_limit or '?'} open, {now.memory_mb} MB in use", found)


LOOP = Check("loop", "the engine's loop", lag)
FDS = Check("fds", "file descriptors", descriptors)
