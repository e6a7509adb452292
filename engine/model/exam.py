"""An examination: what one check of the doctor saw, when it looked; and how it all is, in one line."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from engine.model.finding import Finding, Severity

# Before what may pass by itself.
ONLY_JUST = "only just"
# After what was done in vain.
STILL = "; looked again: it is still so"


class Health(StrEnum):
    """WELL. ILL: see the findings. UNUSED: nothing here needs it. UNKNOWN: it cannot be told from here."""

    WELL = "well"
    ILL = "ill"
    UNUSED = "unused"
    UNKNOWN = "unknown"


class Exam(msgspec.Struct, frozen=True):
    """One check, done. `said`: what it saw, in a line. `under`: codes or checks whose findings explain these."""

    code: str
    title: str
    health: Health
    said: str = ""
    findings: tuple[Finding, ...] = ()
    under: tuple[str, ...] = ()


class Tick(msgspec.Struct, frozen=True):
    """One of the ten checks of a pair of machines that met for the first time. `done`: there is an answer (`health`,
    `said`), about the machine called `peer`. `required`: without it the two cannot work together."""

    code: str
    title: str
    required: bool = False
    done: bool = False
    health: Health = Health.UNKNOWN
    said: str = ""
    peer: str = ""

    @property
    def holds(self) -> bool:
        """Whether it does not stand in the way."""
        return not self.required or self.health is Health.WELL


def well(said: str) -> tuple[Health, str, tuple[Finding, ...]]:
    """All is as it should be."""
    return Health.WELL, said, ()


def unused(why: str) -> tuple[Health, str, tuple[Finding, ...]]:
    """Nothing on this machine needs it."""
    return Health.UNUSED, why, ()


def unknown(why: str) -> tuple[Health, str, tuple[Finding, ...]]:
    """It cannot be told from here."""
    return Health.UNKNOWN, why, ()


def judged(said: str, findings: "list[Finding] | tuple[Finding, ...]") -> tuple[Health, str, tuple[Finding, ...]]:
    """Well where nothing was found but advice."""
    ill = any(map(is_ill, findings))
    return (Health.ILL if ill else Health.WELL), said, tuple(findings)


def is_ill(finding: Finding) -> bool:
    """Whether it is more than advice."""
    return finding.severity is not Severity.INFO


def found(exams: Iterable[Exam], live: Iterable[Finding]) -> list[Finding]:
    """Everything that is wrong, once: what the checks saw, and what the node has noticed since."""
    all_of_them = {(one.code, one.subject): one for one in live}
    for exam in exams:
        for one in exam.findings:
            full = replace(one, depends_on=(*one.depends_on, *exam.under))
            before = all_of_them.get((one.code, one.subject))
            at_ms = min(filter(None, (full.at_ms, before.at_ms if before else 0)), default=0)
            all_of_them[one.code, one.subject] = replace(full, at_ms=at_ms)
    return list(all_of_them.values())


def troubles(exams: Iterable[Exam], live: Iterable[Finding]) -> list[Finding]:
    """Of these what a person who looked for nothing is told: no advice, and of what may pass by itself only what the
    node has noticed; as grave as the doctor says."""
    noticed = {(one.code, one.subject): one for one in live}
    told = (one for one in found(exams, noticed.values()) if is_ill(one))
    return [one for one in told if (one.code, one.subject) in noticed or not one.visible_after_s]


def verdict(found: Sequence[tuple[int, bool]], away: str = "", *, fresh: bool = False) -> str:
    """How it all is, in one line, every row counted. `found`: the depth of each finding that is shown, and whether it
    is ill. `away`: which peers are. `fresh`: something may be wrong and has not lasted yet."""
    wrong = [depth for depth, ill in found if ill]
    roots = sum(not depth for depth in wrong)
    if wrong:
        from_ = f", {roots} cause{'s' if roots != 1 else ''}" if 0 < roots < len(wrong) else ""
        more = f"; {len(found) - len(wrong)} more to know" if len(wrong) < len(found) else ""
        return f"{len(wrong)} finding{'s' if len(wrong) != 1 else ''}{from_}{more}."
    if fresh:
        return "Nothing has been wrong for long; what has only just begun may pass: look again in a moment."
    return f"Nothing is wrong on this machine; {away}." if away else "Everything looks well."
