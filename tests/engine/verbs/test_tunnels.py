"""Tunnels that cannot be opened: that and why is said at once, and is a finding until one stands or is kept no more."""

from pathlib import Path
from typing import Any

from engine.config import SshConfig
from engine.loop import Loop
from engine.signals import Found
from engine.state import Fleet
from engine.verbs.tunnels import RETRYING, Tunnels
from tests.engine.script import fleet, moment


class Dry:
    """Hands that lose whatever they are given; nothing is behind them."""

    def perform(self, effects: list[Any], value: Fleet) -> None: ...

    async def flush(self) -> None: ...


async def test_why_it_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    """Where the peer told of no sshd and no host is named, nothing has to be tried to know it."""
    hands: Any = Dry()
    loop = Loop(fleet("A", "B"), hands, lambda: moment(0.0))
    posted: list[Any] = []
    loop.post = posted.append  # type: ignore[method-assign]
    tunnels = Tunnels(tmp_path, SshConfig(), loop)
    try:
        added = await tunnels.add("B")
        assert (added.state, added.reason) == (RETRYING, "it told of no sshd")
        assert tunnels.lines() == [added]
        assert (await tunnels.add("B", "gate")).reason == ""
        await tunnels.remove("B")
    finally:
        await tunnels.close()
    found = [(one.finding.code, one.finding.subject, one.present) for one in posted if isinstance(one, Found)]
    assert found == [("tunnels.shut", "B", True), ("tunnels.shut", "B", False)]
