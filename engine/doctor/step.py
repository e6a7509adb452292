"""The last examination and the onboardings, as a slice of the value: what was looked at again replaces what was seen.
Everything was looked at when the last look that left nothing out ended.

A finding keeps the moment it was first made, so that what has to last before it is shown can be told from what is new.
"""

from msgspec.structs import replace

from engine.effects import Effect
from engine.model.exam import Exam
from engine.model.finding import Finding
from engine.model.moment import Moment
from engine.signals import Examined, Signal, Ticked
from engine.state import Fleet


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """The examination after the doctor has looked."""
    if isinstance(signal, Ticked):
        return replace(fleet, doctor=replace(fleet.doctor, ticks=fleet.doctor.ticks.set(signal.peer, signal.ticks))), []
    if not isinstance(signal, Examined):
        return fleet, []
    first = {(one.code, one.subject): one.at_ms for exam in fleet.doctor.exams for one in exam.findings}
    looked = {exam.code for exam in signal.exams}
    fresh = {exam.code: _dated(exam, first, now) for exam in signal.exams}
    kept = tuple(fresh.pop(exam.code, exam) for exam in fleet.doctor.exams)
    whole = all(exam.code in looked for exam in fleet.doctor.exams)
    checked_ms = now.wall_ms if whole else fleet.doctor.checked_ms
    doctor = replace(fleet.doctor, exams=(*kept, *fresh.values()), checked_ms=checked_ms)
    return replace(fleet, doctor=doctor), []


def _dated(exam: Exam, first: dict[tuple[str, str], int], now: Moment) -> Exam:
    def dated(finding: Finding) -> Finding:
        at_ms = finding.at_ms or first.get((finding.code, finding.subject)) or now.wall_ms
        return replace(finding, at_ms=at_ms)

    return replace(exam, findings=tuple(map(dated, exam.findings)))
