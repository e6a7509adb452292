"""Answers as text: what they look like where a person sits, and where a program reads."""

from typing import Any

import pytest

from engine.model.channel import CHANNELS
from fleet_tui import doctor_text, plain

WIDTH = 80
IDS = [f"01JABCDEFGHJKMNPQRSTVWXYZ{number}" for number in range(3)]
LINE: dict[str, Any] = {"dir": "out", "kind": "broadcast", "rung": "accepted", "channel": None, "at": 1_800_000_000_000}
TRIES = [{"channel": name, "outcome": "lost", "ms": 5_000.0} for name in CHANNELS]


def peer(name: str) -> dict[str, Any]:
    """One that every channel says something of."""
    facts = {"name": name, "role": "observer", "standing": "UNREACHABLE", "seen_s": 100.0, "best": "nats"}
    return facts | {"channels": dict.fromkeys(CHANNELS, "QUARANTINED")}


def entry(**facts: Any) -> dict[str, Any]:
    """A line of the doctor's report."""
    line = {"code": "x", "title": "tools", "severity": "low", "detail": "", "subject": "", "next_step": ""}
    return line | {"fixable": False, "ok": True, "check": "x", "depth": 0, "health": "well"} | facts


def messages(width: int) -> list[str]:
    lines = [LINE | {"id": one, "peer": "a-name-of-a-machine", "path": TRIES} for one in IDS]
    return list(plain.table(map(plain.message, lines), width=width))


def letters(width: int) -> list[str]:
    body = "what came of the long run of the night, in many words " * 3
    one = {"at": 1_800_000_000_000, "from": "b", "kind": "reply", "id": IDS[0], "body": body}
    return list(plain.letter(one, width))


def ledger(width: int) -> list[str]:
    facts = {"why": "a reason of several words " * 3, "channel": "nats"}
    one = {"seq": 9, "ts": 1_800_000_000_000, "actor": "atlas", "verb": "broke", "subject": "birch", "facts": facts}
    return list(plain.table([plain.entry(one)], width=width))


def peers(width: int) -> list[str]:
    return list(plain.peers([peer("birch"), peer("a-name-of-a-machine")], width))


def doctor(width: int) -> list[str]:
    said = "python 3.11.7, libraries as they are needed, git 2.39.5, ssh 9.2, tmux 3.3a, and nothing missing " * 2
    ill = entry(ok=False, health="ill", detail=said, next_step="chmod 600 /a/" + "long/" * 20 + "path")
    return list(
        doctor_text.report([entry(detail=said), entry(title="a longer one"), ill], [], running=False, width=width)
    )


@pytest.mark.parametrize("shown", [messages, letters, ledger, peers, doctor])
def test_lines_fit_a_terminal_and_no_word_is_parted(shown: Any) -> None:
    """Only what is to be typed is longer than the terminal; the words are the same as without one."""
    whole, fitted = shown(0), shown(WIDTH)
    assert [line for line in fitted if len(line) > WIDTH and "chmod" not in line] == []
    assert " ".join(fitted).split() == " ".join(whole).split()
    assert len(fitted) > len(whole)


def test_what_is_held_says_so_and_nothing_is_best_before_it_was_tried() -> None:
    """A hold takes a healthy channel out of the cascade; and what nobody measured is no best."""
    row = peer("birch") | {"channels": {"nats": "HEALTHY", "http": "UNKNOWN"}, "best": "http", "held": ["nats"]}
    _, line, _, way = plain.peers([row])
    assert way == "(held): kept back by you. `fleet hold birch nats --off` lets it back in."
    assert line.split()[7:] == ["–", "●", "healthy", "(held)", "·", "unknown"]
    _, line = plain.peers([row | {"best": "nats", "held": []}])
    assert line.split()[7:] == ["nats", "●", "healthy", "·", "unknown"]


def test_a_check_marks_what_is_held_and_calls_a_mere_retry_broken() -> None:
    """As the table of the channels does."""
    held = {"state": "HEALTHY", "outcome": "confirmed", "ms": 3.0, "held": True}
    retried = {"state": "HEALING", "outcome": "lost", "ms": None, "retried": True}
    _, first, second, _, way = plain.check("birch", {"nats": held, "http": retried})
    assert first.split()[:4] == ["nats", "●", "healthy", "(held)"]
    assert second.split()[:3] == ["http", "○", "broken"]
    assert "`fleet hold birch nats --off`" in way


def test_a_row_for_a_program_is_a_line() -> None:
    """Whatever its length."""
    assert [line.split()[7] for line in messages(0)] == IDS


def test_of_many_tries_the_first_and_the_last_are_told() -> None:
    """A message that was tried sixty times is a line like any other; `why` tells each."""
    seen = {"channel": "text", "outcome": "seen", "ms": 2.0}
    tries = [{"channel": "nats", "outcome": "lost", "ms": 1.0}, *[seen] * 63]
    assert plain.path(tries).split(" → ")[1] == "61 more"
    assert len(plain.path(tries)) < WIDTH
    assert plain.path(tries[:4]).count("→") == 3


def test_columns_go_on_under_each_other() -> None:
    """All rows are parted at the same column, under a head that is parted there too."""
    lines = peers(WIDTH)
    each = len(lines) // 3
    starts = [[len(line) - len(line.lstrip()) for line in lines[at : at + each]] for at in range(0, len(lines), each)]
    assert starts == [[2] + [6] * (each - 1)] * 3


def test_all_failures_that_are_remembered_may_have_been_more() -> None:
    """The newest sixteen are kept; fewer are as many as there were."""
    cell = {"state": "BROKEN", "latency_ms": None, "reason": "no answer"}
    told = list(plain.channels({"birch": {"nats": cell | {"fails": 15}, "http": cell | {"fails": 16}}}))
    assert [line.split()[-3] for line in told[1:]] == ["15", "16+"]
