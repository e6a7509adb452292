"""The words of the roster."""

import pytest

from engine.model.roster import is_group

GROUPS = {"all": True, "role:worker": True, "a,b": True, "allegra": False, "all-2": False, "role": False, "": False}


@pytest.mark.parametrize(("to", "several"), GROUPS.items())
def test_what_addresses_several(to: str, several: bool) -> None:
    """A machine whose name begins like a group's word is one machine."""
    assert is_group(to) is several
