"""`fleet onboard` as a person reads it."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fleet_tui.call import Call
from fleet_tui.commands import onboard

TICKS = (
    {"code": "keys", "title": "keys", "required": True, "done": True, "health": "well", "said": "so", "peer": "atlas"},
    {"code": "p1", "title": "P1 nats", "required": False, "done": True, "health": "ill", "said": "no", "peer": "atlas"},
)


@pytest.mark.parametrize("as_json", [False, True])
def test_whoever_named_nobody_reads_with_whom(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool
) -> None:
    """The machine that was chosen is named above the ticks, and in each of them for a program."""
    call = Call(Namespace(home=str(tmp_path), json=as_json, readonly=False, ascii=False, peer=None))
    call.node = SimpleNamespace(told=lambda *_: iter(TICKS))  # type: ignore[assignment]
    assert onboard.onboard(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (2 if as_json else 3)
    assert "atlas" in lines[0]
