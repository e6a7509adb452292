"""The frame says the most important things first, at any width."""

import pytest

from engine.model.finding import Finding, Severity
from screens import frame
from screens.census import Census
from screens.roll import counts
from screens.spans import width, words
from tests.screens.golden import BROKEN, NOW, SMALL


@pytest.mark.parametrize("size", range(20, 220, 9))
def test_header_fits_and_keeps_the_time(size: int) -> None:
    """The header is exactly as wide as the screen, cuts nothing in the middle, and ends with the time."""
    line = frame.header(BROKEN, counts(Census()(BROKEN).values()), 3, NOW, size).spans
    assert width(line) == size
    assert words(line).rstrip().endswith(":02")
    assert size < 45 or "…" not in words(line)
    assert size < 60 or "3 need you" in words(line)


def test_header_counts_and_mail() -> None:
    """Counts by glyph, the outbox with what was given up, the broker's state in a word."""
    line = words(frame.header(BROKEN, counts(Census()(BROKEN).values()), 3, NOW, 140).spans)
    for part in ("mac1 chief", "●2 ◐2 ○1 ·1", "outbox 3", "1 dead", "nats ○ down"):
        assert part in line


def test_need_is_silent_when_there_is_none() -> None:
    """Calm by default: nothing is said where nothing needs a person."""
    assert "need" not in words(frame.header(SMALL, counts(Census()(SMALL).values()), 0, NOW, 140).spans)


def test_a_click_finds_its_part() -> None:
    """What lies under the pointer is known by its cell."""
    header = frame.header(BROKEN, counts(Census()(BROKEN).values()), 3, NOW, 140)
    assert header.at(words(header.spans).index("need")) == "next"
    tabs = frame.tabs("peers", 80)
    assert tabs.at(words(tabs.spans).index("Messages")) == "messages"
    assert tabs.at(79) == ""


def test_banner_names_cause_and_next_step() -> None:
    """The gravest finding with its word, its next step where there is room, and how many more."""
    findings = [
        Finding("a", "Disk full", Severity.HIGH, "3 MB left", next_step="free space"),
        Finding("b", "B", Severity.LOW),
    ]
    line = words(frame.banner(findings, 120).spans)
    assert "▲ high  Disk full · 3 MB left · free space" in line
    assert "1 more" in line
    assert words(frame.banner([], 30).spans) == "─" * 30


@pytest.mark.parametrize("size", range(1, 90, 4))
def test_rule_is_exact(size: int) -> None:
    """Words let into a rule never make it longer than the screen."""
    assert width(frame.rule(size, (("a long thing to say to a person", ""),), (("right", ""),)).spans) == size
