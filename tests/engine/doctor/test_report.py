"""The report: what is shown of what was found, for people and for programs."""

import msgspec

from engine.doctor import report
from engine.model.exam import Exam, Health
from engine.model.finding import Finding, Severity
from engine.signals import Examined
from fleet_tui import doctor_text
from tests.engine.script import Script, fleet

NOW = 1_800_000_000_000


def found(code: str, *needs: str, subject: str = "", severity: Severity = Severity.MEDIUM, **more: object) -> Finding:
    """A finding in a line."""
    return Finding(code, code, severity, subject=subject, depends_on=needs, **more)  # type: ignore[arg-type]


def lines(*findings: Finding) -> list[str]:
    """The report as indented codes."""
    return [f"{'  ' * one.depth}{one.finding.code}" for one in report.shown(findings, NOW)]


def test_what_has_not_lasted_is_not_shown_and_explains_nothing() -> None:
    """Neither a flicker nor its consequences' excuse."""
    fresh = found("broker.down", at_ms=NOW - 1_000, visible_after_s=10.0)
    symptom = found("reach.channel", "broker")
    assert lines(fresh, symptom) == ["reach.channel"]
    old = found("broker.down", at_ms=NOW - 10_000, visible_after_s=10.0)
    assert lines(old, symptom) == ["broker.down", "  reach.channel"]


def test_a_line_for_every_check() -> None:
    """Programs get the findings in reading order, then each check that found nothing, ok; advice is ok too."""
    exams = [
        Exam("disk", "disk", Health.ILL, "", (found("disk.low"), found("disk.tip", severity=Severity.INFO))),
        Exam("broker", "broker", Health.ILL, "", (found("broker.down"),), under=("disk",)),
        Exam("clock", "clock", Health.WELL, "in step"),
    ]
    told = [(one.code, one.ok, one.check, one.depth) for one in report.entries(exams, [found("store.full")], NOW)]
    assert told == [
        ("disk.low", False, "disk", 0),
        ("broker.down", False, "broker", 1),
        ("store.full", False, "", 0),
        ("disk.tip", True, "disk", 0),
        ("clock", True, "clock", 0),
    ]


def test_a_check_that_is_ill_for_a_moment_says_of_what() -> None:
    """Nothing is wrong yet, and nobody reads that all is there beside a cross."""
    fresh = found("reach.channel", detail="nats to b: no answer", at_ms=NOW - 1_000, visible_after_s=10.0)
    (line,) = report.entries([Exam("reach", "reach", Health.ILL, "2 of 2 are there", (fresh,))], (), NOW)
    assert (line.ok, line.detail) == (True, "2 of 2 are there; only just: nats to b: no answer")
    said = list(doctor_text.report([msgspec.to_builtins(line)], [], running=True))
    assert said[0].startswith("  · ") or said[0].startswith("· ")
    assert "may pass" in said[-1]


def test_the_last_line() -> None:
    """How many causes there are of what is wrong; advice is nothing wrong; who is away is said, and is no fault."""
    away = Exam(
        "reach",
        "reach",
        Health.WELL,
        "0 of 1",
        (found("reach.away", severity=Severity.INFO, detail="b is away", next_step="x"),),
    )
    cold = found("channel.cold", subject="b")
    under = found("reach.channel", "channel.cold", subject="b/nats"), found("repair.nats", "reach", subject="b/nats")
    for exams, live, end in (
        ([], (), "Everything looks well."),
        ([away], (), "Nothing is wrong on this machine; b is away."),
        ([away], (cold,), "1 finding; 1 more to know."),
        ([], (cold, *under), "3 findings, 1 cause."),
    ):
        lines = msgspec.to_builtins(report.entries(exams, live, NOW))
        assert list(doctor_text.report(lines, [], running=True))[-1] == end


def test_what_was_tried_in_vain_was_not_mended() -> None:
    """Only what the second look does not find any more is mended."""
    told = {"code": "disk.low", "subject": "", "did": "nothing was freed"}
    for ok, tried, start in ((True, True, "✓ mended"), (False, True, "△ tried"), (False, False, "✗ not mended")):
        lines = list(doctor_text.report([], [{**told, "ok": ok, "tried": tried}], running=True))
        assert lines[0].startswith(start)
        assert lines[-1] == ("1 mended. " if ok else "") + "Everything looks well."


def test_a_look_at_some_checks_is_no_look_at_all_of_them() -> None:
    """What was looked at again replaces what was seen; only a look at everything is one at everything."""
    disk, keys = (Exam(code, code, Health.WELL, "old") for code in ("disk", "keys"))
    script = Script(fleet("A"))
    script.hear(Examined((disk, keys)), at=1)
    first = script.fleet.doctor.checked_ms
    script.hear(Examined((msgspec.structs.replace(keys, said="new"),)), at=2)
    assert ([one.said for one in script.fleet.doctor.exams], script.fleet.doctor.checked_ms) == (["old", "new"], first)
    script.hear(Examined((disk, keys)), at=3)
    assert script.fleet.doctor.checked_ms == first + 2_000
