"""An examination: what one check of the doctor saw, when it looked."""

from enum import StrEnum

import msgspec

from engine.model.finding import Finding


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
    """Well where nothing was found."""
    return (Health.ILL if findings else Health.WELL), said, tuple(findings)
