"""A finding: something a person should know, with the next step. Doctor, health, store and trust all speak it.

A person reads causes before symptoms, each symptom under its cause. A finding explains another when the other names it,
by its whole code or by the check it belongs to, and both speak of the same subject or the cause of the whole machine.
Of several causes the gravest counts.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How much it matters."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True):
    """`code` and `subject` together are its identity: finding the same thing again replaces it. `depends_on`: codes
    whose presence explains this one, so that causes are shown before symptoms. `at_ms`: wall time first seen; before
    it has lasted `visible_after_s` it is not shown. `fixable`: Fleet can mend it itself, safely and reversibly."""

    code: str
    title: str
    severity: Severity
    detail: str = ""
    subject: str = ""
    next_step: str = ""
    depends_on: tuple[str, ...] = ()
    at_ms: int = 0
    visible_after_s: float = 0.0
    fixable: bool = False


class Placed(msgspec.Struct, frozen=True):
    """A finding in its place. `depth`: 0 is a cause, 1 its symptom, and so on."""

    finding: Finding
    depth: int = 0


# The gravest first.
ORDER = {severity: place for place, severity in enumerate(Severity)}


def explains(cause: Finding, symptom: Finding) -> bool:
    """Whether the one is why there is the other."""
    if cause is symptom or not any(_named(cause.code, name) for name in symptom.depends_on):
        return False
    return cause.subject in ("", symptom.subject) or symptom.subject.startswith(f"{cause.subject}/")


def lasted(finding: Finding, now_ms: int) -> bool:
    """Whether it has lasted as long as it must."""
    return not finding.at_ms or now_ms - finding.at_ms >= finding.visible_after_s * 1_000


def arranged(findings: Iterable[Finding]) -> list[Placed]:
    """All of them, in reading order."""
    shown = sorted(findings, key=_gravity)
    under: dict[int, list[Finding]] = {}
    roots = list[Finding]()
    for one in shown:
        cause = next((two for two in shown if explains(two, one)), None) if one.depends_on else None
        (roots if cause is None else under.setdefault(id(cause), [])).append(one)
    placed: dict[int, Placed] = {}
    # A circle of causes has no root: its gravest stands for one.
    for one in (*roots, *shown):
        _place(one, 0, under, placed)
    return list(placed.values())


def causes(findings: Iterable[Finding]) -> list[Finding]:
    """Those that no other one explains."""
    return [one.finding for one in arranged(findings) if not one.depth]


def _place(one: Finding, depth: int, under: dict[int, list[Finding]], placed: dict[int, Placed]) -> None:
    if id(one) in placed:
        return
    placed[id(one)] = Placed(one, depth)
    for symptom in under.get(id(one), ()):
        _place(symptom, depth + 1, under, placed)


def _named(code: str, name: str) -> bool:
    return code == name or code.startswith(f"{name}.")


def _gravity(one: Finding) -> tuple[int, int, str, str]:
    return ORDER[one.severity], one.at_ms, one.code, one.subject


# An alert that nobody took so far.
ALERT_WAITS = "mail.alert_waits"
# Peers that nobody hears, which is no fault of this machine.
PEERS_AWAY = "reach.away"
