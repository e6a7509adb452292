"""The home a command works on, with what may be wrong in it."""

from pathlib import Path

import pytest

from engine.errors import FleetError
from fleet_tui.commands.home import configured


def test_a_configuration_that_is_a_folder(tmp_path: Path) -> None:
    """What cannot be read is named, with what to do; it is no mistake of ours."""
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(FleetError) as caught:
        configured(tmp_path)
    assert caught.value.code == "usage.config"
    assert caught.value.next_step
