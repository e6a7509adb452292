"""Causes before symptoms: what explains what, what is shown, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from engine.doctor import report
from engine.model.exam import Exam, Health
from engine.model.finding import Finding, Severity

NOW = 1_800_000_000_000


def found(code: str, *needs: str, subject: str = "", severity: Severity = Severity.MEDIUM, **more: object) -> Finding:
    """A finding in a line."""
    return Finding(code, code, severity, subject=subject, depends_on=needs, **more)  # type: ignore[arg-type]


def lines(*findings: Finding) -> list[str]:
    """The report as indented codes."""
    return [f"{'  ' * one.depth}{one.finding.code}" for one in report.arranged(findings, NOW)]


def test_a_symptom_stands_under_its_cause() -> None:
    """However grave it is, and over several steps."""
    symptom = found("reach.channel", "broker", severity=Severity.CRITICAL)
    cause = found("broker.down", "disk", severity=Severity.LOW)
    root = found("disk.low", severity=Severity.LOW)
    other = found("ports.taken", severity=Severity.HIGH)
    assert lines(symptom, cause, other, root) == ["ports.taken", "disk.low", "  broker.down", "    reach.channel"]


def test_a_check_or_a_whole_code_is_named() -> None:
    """`broker` names all that the check broker finds; `broker.down` that one; `brok` names nothing."""
    cause = found("broker.down")
    for name, depth in (("broker", 1), ("broker.down", 1), ("broker.up", 0), ("brok", 0)):
        (_, placed) = sorted(report.arranged([cause, found("x", name)], NOW), key=lambda one: one.finding.code)
        assert placed.depth == depth, name


def test_one_peer_explains_nothing_of_another() -> None:
    """A cause about a subject explains only that subject and what is below it."""
    cold = found("channel.cold", subject="birch")
    for subject, explained in (("birch", True), ("birch/nats", True), ("birches", False), ("cedar/nats", False)):
        assert report.explains(cold, found("reach.channel", "channel.cold", subject=subject)) is explained


def test_what_has_not_lasted_is_not_shown_and_explains_nothing() -> None:
    """Neither a flicker nor its consequences' excuse."""
    fresh = found("broker.down", at_ms=NOW - 1_000, visible_after_s=10.0)
    symptom = found("reach.channel", "broker")
    assert lines(fresh, symptom) == ["reach.channel"]
    old = found("broker.down", at_ms=NOW - 10_000, visible_after_s=10.0)
    assert lines(old, symptom) == ["broker.down", "  reach.channel"]


def test_a_circle_is_shown_all_the_same() -> None:
    """Two that name each other have no first; nothing is lost."""
    assert sorted(lines(found("a.x", "b"), found("b.x", "a"))) == ["a.x", "b.x"]


codes = st.sampled_from(["a.x", "a.y", "b.x", "c.x"])


@given(st.lists(st.builds(found, codes, st.sampled_from(["a", "b", "c.x", "d"]), subject=st.sampled_from(["", "p"]))))
def test_everything_is_shown_once(findings: list[Finding]) -> None:
    """Whatever names whatever: no finding is dropped and none is shown twice."""
    unique = list({(one.code, one.subject): one for one in findings}.values())
    shown = [id(one.finding) for one in report.arranged(unique, NOW)]
    assert sorted(shown) == sorted(map(id, unique))


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
