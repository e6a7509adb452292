"""The last examination, as a slice of the value. What was looked at again replaces what was seen before.

A finding keeps the moment it was first made, so that what has to last before it is shown can be told from what is new.
"""

from msgspec.structs import replace

from engine.effects import Effect
from engine.model.exam import Exam
from engine.model.finding import Finding
from engine.model.moment import Moment
from engine.signals import Examined, Signal
from engine.state import Doctor, Fleet


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """The examination after the doctor has looked."""
    if not isinstance(signal, Examined):
        return fleet, []
    first = {(one.code, one.subject): one.at_ms for exam in fleet.doctor.exams for one in exam.findings}
    fresh = {exam.code: _dated(exam, first, now) for exam in signal.exams}
    kept = tuple(fresh.pop(exam.code, exam) for exam in fleet.doctor.exams)
    return replace(fleet, doctor=Doctor((*kept, *fresh.values()), now.wall_ms)), []


def _dated(exam: Exam, first: dict[tuple[str, str], int], now: Moment) -> Exam:
    def dated(finding: Finding) -> Finding:
        at_ms = finding.at_ms or first.get((finding.code, finding.subject)) or now.wall_ms
        return replace(finding, at_ms=at_ms)

    return replace(exam, findings=tuple(map(dated, exam.findings)))
