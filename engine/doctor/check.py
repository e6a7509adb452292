"""A check: one thing of this machine that can be looked at, judged, and sometimes mended (edge).

`run` looks at the real thing and judges it; `fix` mends one of its findings, only where that is safe and can be taken
back, and says what it did. `depends_on` names the checks (or findings) that explain what this one finds, so that a
cause is shown before its symptoms. A check that fails itself is a finding, and never the end of the examination.
"""

import logging
from collections.abc import Callable, Iterable

import msgspec

from engine.doctor.scene import Scene
from engine.errors import Fault, FleetError
from engine.model.exam import Exam, Health
from engine.model.finding import Finding, Severity

log = logging.getLogger(__name__)

Saw = tuple[Health, str, tuple[Finding, ...]]
EVERYWHERE = ("linux", "darwin")


class Check(msgspec.Struct, frozen=True):
    """One check. Its findings are called `<code>.<what>`, or as the node itself calls the same thing."""

    code: str
    title: str
    run: Callable[[Scene], Saw]
    fix: Callable[[Scene, Finding], str] | None = None
    depends_on: tuple[str, ...] = ()
    platforms: tuple[str, ...] = EVERYWHERE


def examine(checks: Iterable[Check], scene: Scene) -> list[Exam]:
    """What every check that applies to this platform sees, in their order."""
    return [_examined(check, scene) for check in checks if scene.platform in check.platforms]


def _examined(check: Check, scene: Scene) -> Exam:
    try:
        health, said, findings = check.run(scene)
    except Exception as error:
        log.exception("the check %s failed", check.code)
        return Exam(check.code, check.title, Health.ILL, "the check itself failed", (_failed(check, error),))
    able = tuple(msgspec.structs.replace(one, fixable=one.fixable and check.fix is not None) for one in findings)
    return Exam(check.code, check.title, health, said, able, check.depends_on)


def _failed(check: Check, error: Exception) -> Finding:
    what = f"{type(error).__name__} while looking at {check.title}"
    step = "`fleet log` has the traceback; please report it"
    return Finding(f"{check.code}.check", "A check failed", Severity.LOW, what, next_step=step)


def mended(checks: Iterable[Check], scene: Scene, finding: Finding) -> str:
    """Mend one finding; what was done. Raises `FleetError` `refused.unsafe` where no safe way is known."""
    for check in checks:
        if check.fix is not None and finding.fixable and finding.code.partition(".")[0] == check.code:
            return check.fix(scene, finding)
    why = f"{finding.code}: {finding.next_step or 'no safe way is known'}"
    raise FleetError("refused.unsafe", "Fleet does not mend that itself", why, "do it yourself, then look again")


def cannot(error: OSError, step: str) -> FleetError:
    """A mend that the machine refused."""
    return FleetError("world.os", "The machine said no", f"{error.filename}: {error.strerror}", step, Fault.WORLD)
