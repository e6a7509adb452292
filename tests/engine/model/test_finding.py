"""Causes before symptoms: what explains what, and in which order it is read."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model.finding import Finding, Severity, arranged, causes, explains


def found(code: str, *needs: str, subject: str = "", severity: Severity = Severity.MEDIUM) -> Finding:
    """A finding in a line."""
    return Finding(code, code, severity, subject=subject, depends_on=needs)


def lines(*findings: Finding) -> list[str]:
    """All in their places, as indented codes."""
    return [f"{'  ' * one.depth}{one.finding.code}" for one in arranged(findings)]


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
        (_, placed) = sorted(arranged([cause, found("x", name)]), key=lambda one: one.finding.code)
        assert placed.depth == depth, name


def test_one_peer_explains_nothing_of_another() -> None:
    """A cause about a subject explains only that subject and what is below it."""
    cold = found("channel.cold", subject="birch")
    for subject, explained in (("birch", True), ("birch/nats", True), ("birches", False), ("cedar/nats", False)):
        assert explains(cold, found("reach.channel", "channel.cold", subject=subject)) is explained


def test_a_circle_is_shown_all_the_same() -> None:
    """Two that name each other have no first: the graver one begins, and nothing is lost."""
    assert lines(found("a.x", "b"), found("b.x", "a", severity=Severity.HIGH)) == ["b.x", "  a.x"]


codes = st.sampled_from(["a.x", "a.y", "b.x", "c.x"])


@given(st.lists(st.builds(found, codes, st.sampled_from(["a", "b", "c.x", "d"]), subject=st.sampled_from(["", "p"]))))
def test_everything_is_shown_once(findings: list[Finding]) -> None:
    """Whatever names whatever: no finding is dropped and none is shown twice."""
    unique = list({(one.code, one.subject): one for one in findings}.values())
    shown = [id(one.finding) for one in arranged(unique)]
    assert sorted(shown) == sorted(map(id, unique))


def test_a_cause_of_one_peer_hides_nothing_of_another() -> None:
    """Atlas has no channel and borealis has mail that does not leave: both are causes, and both are told."""
    cold, stuck = found("channel.cold", subject="atlas"), found("queue.stuck", "channel.cold", subject="borealis")
    assert causes([cold, stuck]) == [cold, stuck]
    assert causes([cold, found("queue.stuck", "channel.cold", subject="atlas")]) == [cold]
