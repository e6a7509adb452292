"""The scout asks each source by itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.config import Config, DiscoveryConfig
from engine.membership import discovery_ssh
from engine.verbs.scout import Scout
from tests.engine.script import fleet


async def test_a_source_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others still say what they know, and whoever asks hears who did not, and why."""

    def fails(config: Path) -> Any:
        raise RuntimeError("no home directory")

    async def one() -> Any:
        return [discovery_ssh.Sighting("elm", "elm", "tailscale")]

    monkeypatch.setattr("engine.membership.discovery_ssh.sightings", fails)
    monkeypatch.setattr("engine.membership.discovery_tailscale.sightings", one)
    value = fleet("A", "B", config=Config(discovery=DiscoveryConfig(mdns=False)))
    failed: dict[str, str] = {}
    scout = Scout(SimpleNamespace(fleet=value), tmp_path / "config")  # type: ignore[arg-type]
    assert [line.name for line in await scout.discover(0.0, failed)] == ["elm"]
    assert failed == {"ssh": "no home directory"}
