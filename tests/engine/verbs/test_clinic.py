"""The doctor of a running node: what it found is looked at again, and nothing else is."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config import Config, Resolved
from engine.loop import Loop
from engine.model.exam import Exam, Health
from engine.model.finding import Finding, Severity
from engine.state import Doctor
from engine.verbs.clinic import Clinic
from tests.engine.script import fleet, moment


async def test_only_what_was_found_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advice and what is well are not; nor is anything within a minute of the last such look."""
    looked: list[tuple[str, ...]] = []

    async def look(self: Clinic, codes: set[str]) -> list[Exam]:
        looked.append(tuple(codes))
        return []

    monkeypatch.setattr(Clinic, "_look", look)
    grave = Finding("keys.mode", "Others can read a key", Severity.HIGH)
    tip = msgspec.structs.replace(grave, code="disk.tip", severity=Severity.INFO)
    exams = Exam("keys", "", Health.ILL, "", (grave,)), Exam("disk", "", Health.WELL, "", (tip,))
    hands: Any = None
    loop = Loop(fleet("A"), hands, moment)
    home = Path(tempfile.gettempdir())
    nobody: Any = None
    one = Clinic(home, Resolved(Config(), {}), "1", loop, hands, now_ms=lambda: 0, mend=nobody, prune=nobody)
    await one.follow()
    assert not looked
    loop.fleet = msgspec.structs.replace(loop.fleet, doctor=Doctor(exams, 1))
    await one.follow()
    await one.follow()
    assert looked == [("keys",)]
    monkeypatch.setattr(one, "_again", 0.0)
    await one.follow()
    assert looked == [("keys",)] * 2
