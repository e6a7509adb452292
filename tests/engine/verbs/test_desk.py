"""Who is meant by an address, and what is said where nobody is."""

import pytest
from msgspec.structs import replace

from engine.api.routes import member_id
from engine.config import Config
from engine.errors import FleetError
from engine.state import Fleet, Me
from engine.verbs.desk import recipients
from tests.engine.parts import ROSTER, A

TRIO = Fleet(Me(A, "a", 1, "0"), Config(), ROSTER)
ALONE = replace(TRIO, roster=replace(ROSTER, members=ROSTER.members[:1]))


def refused(fleet: Fleet, to: str) -> FleetError:
    """What is said of this address."""
    with pytest.raises(FleetError) as caught:
        recipients(fleet, to)
    return caught.value


@pytest.mark.parametrize("to", ["x", "all", "role:chief", "role:worker", "a", A])
def test_nobody_to_name_is_a_machine_to_invite(to: str) -> None:
    """In a fleet of one there is no other name to choose, and no list of peers to look into."""
    said = refused(ALONE, to)
    assert "`fleet invite`" in said.next_step
    assert "none of" not in said.detail


def test_this_machine_is_told_by_its_name() -> None:
    """Whoever gave its id learns whose it is."""
    assert refused(TRIO, A).detail == "`a`"
    assert "`fleet peers`" in refused(TRIO, A).next_step


def test_a_role_nobody_else_has_is_told_with_the_roles_there_are() -> None:
    """The chief asks for the chief."""
    assert (
        refused(TRIO, "role:chief").detail
        == "`role:chief`: no other machine is chief; the others: b (worker), c (worker)"
    )


def test_who_left_is_told_as_that() -> None:
    """By its name, from a command on mail and from one on a peer; a role is nobody's name."""
    left = tuple(replace(one, left_ms=1) if one.name == "b" else one for one in ROSTER.members)
    without = replace(TRIO, roster=replace(ROSTER, members=left))
    assert refused(without, "b").detail == "`b` has left the fleet"
    with pytest.raises(FleetError, match=r"`b` has left the fleet$"):
        member_id(without, "b")
    out = tuple(replace(one, revoked_ms=1) if one.name == "b" else one for one in ROSTER.members)
    assert refused(replace(TRIO, roster=replace(ROSTER, members=out)), "b").detail == "`b` was revoked"


def test_an_unknown_peer_is_told_with_the_others() -> None:
    """Never with this machine itself."""
    with pytest.raises(FleetError, match=r"is none of: b, c$"):
        member_id(TRIO, "x")
    with pytest.raises(FleetError, match=r"nobody else is in the fleet$") as caught:
        member_id(ALONE, "x")
    assert "`fleet invite`" in caught.value.next_step
