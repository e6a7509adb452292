"""A message's path in a few glyphs, and the filter as a question to the store."""

import msgspec
import pytest
from msgspec.structs import replace

from engine.model.channel import Channel
from engine.model.envelope import Rung
from engine.model.story import Query, TryLine
from fleet_tui import plain
from screens.message_rows import path, path_within, question
from screens.messages import resend_refused
from screens.spans import words
from tests.screens.golden import BROKEN
from tests.screens.scripted import LINES, LOST, OK, H, N, R, tried

PATHS = {
    0: "P1 ● 2ms",
    1: "P2 http",
    2: "P1 ✗ 3.0s → P2 ✗ 1ms",
    3: "P1 ✗ 0.3ms → P2 ● 18ms",
    5: "P1 ✗ 3.0s → 3 more → P1 ✗ 3.0s → P1 ✗ 3.0s",
}


def test_what_is_over_is_not_offered_again() -> None:
    """Whoever wants to try it again is told before what the engine would say: only what waits goes again."""
    waits, dead, came, arrived = (LINES[at] for at in (2, 5, 1, 3))
    assert not resend_refused(waits)
    assert resend_refused(dead) == "it is over (dead); m writes a new one"
    assert resend_refused(replace(dead, rung=Rung.EXPIRED)) == "it is over (expired); m writes a new one"
    assert resend_refused(came)
    assert resend_refused(arrived)


@pytest.mark.parametrize(("at", "said"), PATHS.items())
def test_path(at: int, said: str) -> None:
    """Every try with its end and its time; of many tries the first and the last."""
    assert words(path(LINES[at])) == said


def test_a_path_that_is_cut_keeps_its_end() -> None:
    """The try that decided is the last one: what is between goes first."""
    tries = (tried(N, LOST, 900, s=9), tried(H, LOST, 700, s=6), tried(R, OK, 4.0, s=3))
    line = replace(LINES[0], path=tries, channel=R)
    assert words(path_within(line, 60)) == "P1 ✗ 0.9s → P2 ✗ 0.7s → P3 ● 4ms"
    assert words(path_within(line, 24)) == "P1 ✗ → … → P3 ● 4ms"
    assert words(path_within(replace(line, path=tries[1:]), 18)) == "P2 ✗ → P3 ● 4ms"


def test_hedges_stand_beside_each_other() -> None:
    """What ran at once has no arrow between, and the one whose answer came first has a mark."""
    one, two = TryLine(Channel.NATS, "confirmed", 14.0, at=1_014), TryLine(Channel.HTTP, "confirmed", 12.0, at=1_012)
    line = replace(LINES[3], path=(one, two), channel=Channel.HTTP)
    assert words(path(line)) == "P1 ● 14ms + P2 ●✓ 12ms"
    told = [msgspec.to_builtins(each) for each in line.path]
    assert plain.path(told, "http") == "nats ● 14 ms + http ●✓ 12 ms"


def test_path_of_nothing() -> None:
    """A message that nothing carried yet has no path."""
    assert words(path(replace(LINES[0], path=(), channel=None))) == "–"


QUESTIONS = {
    "": Query(),
    "login race": Query(text="login race"),
    "peer:nas rung:dead": Query(peer="id-nas", rung="dead"),
    "dir:out kind:task http": Query(dir="out", kind="task", text="http"),
    "14:02": Query(text="14:02"),
}


@pytest.mark.parametrize(("text", "query"), QUESTIONS.items())
def test_question(text: str, query: Query) -> None:
    """Fields go to their fields, the rest is text."""
    assert question(BROKEN, text) == (query, "")


@pytest.mark.parametrize("text", ["peer:nobody", "dir:up", "rung:dea", "kind:x"])
def test_a_wrong_question_is_explained(text: str) -> None:
    """A name or a value that does not exist is told, not silently ignored."""
    assert question(BROKEN, text)[1]
