"""An observer hears, answers and tells; it commands nobody."""

import pytest

from engine.model.envelope import KINDS, Kind
from engine.model.roster import Role
from engine.security.role import COMMANDS, FORBIDDEN, may_send


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", Kind)
def test_who_may_send_what(role: Role, kind: Kind) -> None:
    """Only commands are forbidden, and only to observers; what keeps the fleet running is forbidden to nobody."""
    command = kind in COMMANDS
    assert may_send(role, kind) is not (command and role is Role.OBSERVER)
    assert command <= (KINDS[kind].public or kind in (Kind.WAKE, Kind.MEND))


def test_every_role_is_in_the_table() -> None:
    """A new role must be thought about."""
    assert set(FORBIDDEN) == set(Role)
