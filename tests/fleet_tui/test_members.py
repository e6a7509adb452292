"""Members from the command line, against a node that answers by heart."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from engine.membership.invite import make
from engine.security.identity import Identity
from fleet_tui.call import Call
from fleet_tui.cli import DEFAULTS
from fleet_tui.commands import members, node, onboard


class Heart:
    """A node called vm that is called otherwise once it has joined."""

    def __init__(self, becomes: str) -> None:
        self._becomes = becomes

    def get(self, path: str) -> Any:
        return {"node": {"name": "vm"}, "outbox": {"waiting": 2}}

    def post(self, path: str, body: Any, wait_s: float) -> Any:
        left = {"left": {"story": "This machine has left home."}} if path == "/leave" else {}
        return {"node": {"name": self._becomes}, "fleet": {"name": "home"}, "peers": [], **left}


@pytest.mark.parametrize(
    ("becomes", "said"),
    [("vm", "vm is now in home."), ("vm-2", "vm-2 is now in home, for vm is the name of another there.")],
)
def test_who_joins_is_told_of_another_name(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], becomes: str, said: str
) -> None:
    """With the reason: the name it had was taken."""
    monkeypatch.setattr(node, "ensure", lambda call: None)
    monkeypatch.setattr(onboard, "ticked", lambda call, peer: 0)
    code = make(Identity(bytes(32)), "f" * 26, ("10.0.0.2:8856",), bytes(16))
    call = Call(Namespace(**DEFAULTS | {"home": str(home), "code": code}))
    call.node = Heart(becomes)  # type: ignore[assignment]
    assert members.join(call) == 0
    assert capsys.readouterr().out.splitlines()[0] == said


def test_who_leaves_is_asked_with_what_will_be_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of messages that wait is in the question, and how it went in the answer."""
    asked: list[str] = []
    monkeypatch.setattr(Call, "confirm", lambda call, question: asked.append(question))
    call = Call(Namespace(**DEFAULTS | {"home": str(home)}))
    call.node = Heart("vm")  # type: ignore[assignment]
    assert members.leave(call) == 0
    assert "2 messages waiting in the outbox will be given up. Go on?" in asked[0]
    assert capsys.readouterr().out == "This machine has left home.\n"
