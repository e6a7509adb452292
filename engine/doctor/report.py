"""What the doctor found, as a person reads it and as programs do: causes before symptoms, each symptom under its cause.

What has not lasted as long as it must is not shown, and explains nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from engine.model.exam import ONLY_JUST, Exam, Health, found, is_ill
from engine.model.finding import Finding, Placed, Severity, arranged, lasted


class Entry(msgspec.Struct, frozen=True):
    """A line of the report, for programs: a finding, or a check that found none. `check`: the check it is from (empty:
    the node found it by itself). `depth`: as of `Placed`. `health`: of the check."""

    code: str
    title: str
    severity: Severity
    detail: str
    subject: str
    next_step: str
    fixable: bool
    depends_on: tuple[str, ...]
    ok: bool
    check: str
    depth: int
    health: Health


def shown(findings: Iterable[Finding], now_ms: int) -> list[Placed]:
    """What is to be shown, in reading order."""
    return arranged(one for one in findings if lasted(one, now_ms))


def seen(exam: Exam, now_ms: int) -> Health:
    """How what a check looked at is: what may pass by itself is not known to be ill yet."""
    if exam.health is not Health.ILL:
        return exam.health
    ill = [lasted(one, now_ms) for one in exam.findings if is_ill(one)]
    return Health.ILL if any(ill) or not ill else Health.UNKNOWN


def entries(exams: Sequence[Exam], live: Iterable[Finding], now_ms: int) -> list[Entry]:
    """The report for programs: the findings in reading order, then the checks that found nothing."""
    whose = {(one.code, one.subject): exam.code for exam in exams for one in exam.findings}
    health = {exam.code: seen(exam, now_ms) for exam in exams}
    lines = [
        _entry(placed, check := whose.get((placed.finding.code, placed.finding.subject), ""), health.get(check))
        for placed in shown(found(exams, live), now_ms)
    ]
    quiet = (exam for exam in exams if not any(lasted(one, now_ms) for one in exam.findings))
    return lines + [_quiet(one, health[one.code]) for one in quiet]


def _quiet(exam: Exam, health: Health) -> Entry:
    facts = (exam.code, exam.title, Severity.INFO, _said(exam))
    return Entry(*facts, "", "", False, exam.under, True, exam.code, 0, health)


def _said(exam: Exam) -> str:
    """What a check saw; of what may pass by itself, too: a check that is not well says why."""
    passing = "; ".join(dict.fromkeys(one.detail or one.title for one in exam.findings if is_ill(one)))
    return f"{exam.said}; {ONLY_JUST}: {passing}" if passing else exam.said


def _entry(placed: Placed, check: str, health: Health | None) -> Entry:
    one = placed.finding
    facts = (one.code, one.title, one.severity, one.detail, one.subject, one.next_step, one.fixable, one.depends_on)
    return Entry(*facts, not is_ill(one), check, placed.depth, health or Health.ILL)
